"""From Start to the first logged step: a warm studio against `llamafactory-cli train` on the same recipe."""

import time

from benchmarks.commands import Studio, Training, new_workspace
from benchmarks.report import Row, compared

RUNS = 5
REACH = 0.35
SHORT = {"max_steps": 1}


def measure(runs: int, quick: bool) -> list[Row]:
    """Train one run to warm the studio, then begin the default recipe here and there in turn, and return one row."""
    ours, theirs = [], []
    with new_workspace() as workspace, Studio(workspace) as studio:
        studio.ready().train(SHORT)
        for number in range(runs):
            asked = time.time()
            run = studio.start({})
            ours.append(studio.first_step(run) - asked)
            studio.call("train_stop", run, False)
            studio.end(run)
            with Training(studio.folder(run), workspace / f"cli-{number}") as training:
                theirs.append(next(training.steps()) - training.spawned)
            print(f"  studio {ours[-1]:.2f} s, llamafactory-cli {theirs[-1]:.2f} s", flush=True)
    return [
        compared(
            "first_step", "from Start to the first logged step, against `llamafactory-cli train`", ours, theirs, REACH
        )
    ]

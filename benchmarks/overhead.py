"""Training time of one recipe: in the studio, its page open at the live curves or closed, against `llamafactory-cli
train`; the losses; and the steps of one run while a page looks on and while none does.
"""

import json
import statistics
import time
from pathlib import Path

from benchmarks.browser import chromium, train_page
from benchmarks.commands import Studio, Training, new_workspace
from benchmarks.report import Row, compared

RUNS = 3
BLOCKS = 4  # of each run, with a page and without one
BLOCK_S, SETTLED_S = 14.0, 3.5  # what a page takes until it stands is measured by `start`
REACH_TIME = 1.02
REACH_LOSS = 1e-6


def measure(runs: int, quick: bool) -> list[Row]:
    """Train the default recipe here and there in turn; return the rows of both times and of the losses."""
    recipe = {"max_steps": 6} if quick else {}
    stepping, whole, unseen, differences = ([], []), ([], []), [], []
    with new_workspace() as workspace, chromium() as browser, Studio(workspace) as studio:
        studio.ready().train({"max_steps": 1})
        for number in range(runs):
            run, seconds = _in_studio(studio, browser, recipe)
            folder, cli_seconds = _in_cli(studio.folder(run), workspace / f"cli-{number}")
            unseen.append(_between(studio, studio.train(recipe)))
            stepping[0].append(seconds)
            stepping[1].append(cli_seconds)
            whole[0].append(_runtime(studio.folder(run)))
            whole[1].append(_runtime(folder))
            differences.append(_difference(_losses(studio, run), _cli_losses(folder)))
            print(
                f"  first to last step: studio {seconds:.2f} s, with no page open {unseen[-1]:.2f} s, llamafactory-cli"
                f" {cli_seconds:.2f} s; train_runtime: {whole[0][-1]:.2f} s, {whole[1][-1]:.2f} s; greatest difference"
                f" of a loss: {differences[-1]:.2g}",
                flush=True,
            )
        steps = len(_losses(studio, run))
        seen, alone = _in_turn(studio, browser, 1 if quick else BLOCKS * runs)
    against = "against `llamafactory-cli train`"
    return [
        compared("overhead", f"first to last of {steps} steps with a page open, {against}", *stepping, REACH_TIME),
        compared(
            "overhead",
            f"the same with no page open: here the browser takes its time from the same cores, {against}",
            unseen,
            stepping[1],
            None,
        ),
        compared("overhead", f"`train_runtime` with a page open, {against}", *whole, REACH_TIME),
        compared(
            "overhead", "a step with a page open against one without, in turn in the same run", seen, alone, REACH_TIME
        ),
        Row(
            "overhead",
            f"greatest difference of a loss at any of {steps} steps",
            f"{max(differences):.2g}",
            "",
            "",
            f"at most {REACH_LOSS:g}",
            max(differences) <= REACH_LOSS,
        ),
    ]


def _in_studio(studio: Studio, browser, recipe: dict) -> tuple[str, float]:
    """Return the run's name and the seconds from its first to its last logged step, watched all along."""
    with train_page(browser, studio.url) as page:
        run = studio.start(recipe)
        page.evaluate("run => window.studio.pick('run', run)", run)
        studio.end(run)
    return run, _between(studio, run)


def _in_turn(studio: Studio, browser, blocks: int) -> tuple[list[float], list[float]]:
    """Return the seconds of a step in the blocks of one run at which a page looks on, and in those between them: a
    machine that is slower for a minute is so for both.
    """
    run, spans = studio.start({"max_steps": 100_000}), ([], [])
    while len(_logged(studio, run)) < 3:
        time.sleep(0.5)
    for _ in range(blocks):
        with train_page(browser, studio.url) as page:
            page.evaluate("run => window.studio.pick('run', run)", run)
            page.wait_for_timeout(1000 * SETTLED_S)
            began = time.time()
            page.wait_for_timeout(1000 * BLOCK_S)
            spans[0].append((began, time.time()))
        time.sleep(SETTLED_S / 2)
        began = time.time()
        time.sleep(BLOCK_S)
        spans[1].append((began, time.time()))
    times = [event["time"] for event in _logged(studio, run)]
    studio.call("train_stop", run, False)
    studio.end(run)
    steps = list(zip(times, times[1:], strict=False))
    return tuple(
        [statistics.mean(end - start for start, end in steps if began <= start and end <= over) for began, over in kind]
        for kind in spans
    )


def _between(studio: Studio, run: str) -> float:
    """Return the seconds from the first to the last logged step of a run."""
    times = [event["time"] for event in _logged(studio, run)]
    return times[-1] - times[0]


def _in_cli(recipe_of: Path, folder: Path) -> tuple[Path, float]:
    """Return the output folder and the seconds from the first to the last logged step."""
    with Training(recipe_of, folder) as training:
        times = list(training.steps())
    return training.folder, times[-1] - times[0]


def _logged(studio: Studio, run: str) -> list[dict]:
    return [event for event in studio.events(run) if event["event"] == "metrics" and "loss" in event["values"]]


def _losses(studio: Studio, run: str) -> dict[int, float]:
    return {event["step"]: event["values"]["loss"] for event in _logged(studio, run)}


def _cli_losses(folder: Path) -> dict[int, float]:
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    return {entry["step"]: entry["loss"] for entry in state["log_history"] if "loss" in entry}


def _difference(ours: dict[int, float], theirs: dict[int, float]) -> float:
    if ours.keys() != theirs.keys():
        raise RuntimeError(f"not the same steps: {sorted(ours.keys() ^ theirs.keys())}")
    return max(abs(ours[step] - theirs[step]) for step in ours)


def _runtime(folder: Path) -> float:
    return json.loads((folder / "train_results.json").read_text(encoding="utf-8"))["train_runtime"]

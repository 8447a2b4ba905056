"""Training time of one recipe: in the studio, its page open at the live curves or closed, against `llamafactory-cli
train`; the losses; the same steps of both, a page open, while each stands still when the other is at work; and what the
page alone takes from a run, whose browser stands still every second turn.

Of one program the steps of two processes differ by up to a tenth on some machines, wherever their memory happens to
lie: what the page costs is told by the steps of one process.
"""

import contextlib
import json
import threading
import time
from pathlib import Path

import psutil

from benchmarks.browser import chromium, train_page
from benchmarks.commands import Studio, Training, new_workspace
from benchmarks.in_turn import Side, same_steps, standing
from benchmarks.report import Row, compared

RUNS = 3
TURNS, TURN_S = 10, 9.0
PAGE_TURNS, PAGE_TURN_S = 20, 15.0
LONG_S = 100.0  # by then the page asks as seldom as it ever does
SETTLED = 4  # steps, before the turns
# Many short steps, on any processor: both sides compute in float32, for which nobody has a way of their own.
IN_TURN = {
    "bf16": False,
    "finetuning_type": "full",
    "per_device_train_batch_size": 1,
    "cutoff_len": 64,
    "max_steps": 100_000,
    "save_steps": 100_000,
}
REACH_TIME = 1.02
REACH_LOSS = 1e-6


def measure(runs: int, quick: bool) -> list[Row]:
    """Train the default recipe here and there in turn; return the rows of both times and of the losses."""
    recipe = {"max_steps": 6} if quick else {}
    stepping, whole, turns, watched, unseen, differences = ([], []), ([], []), ([], []), ([], []), [], []
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
            turns_steps, seconds = _in_turn(studio, browser, workspace / f"cli-turns-{number}", 2 if quick else TURNS)
            for side, taken in zip(turns, seconds, strict=True):
                side.append(taken / turns_steps)
            for side, taken in zip(watched, _page_in_turn(studio, browser, 1 if quick else PAGE_TURNS), strict=True):
                side.extend(taken)
            print(
                f"  first to last step: studio {seconds:.2f} s, with no page open {unseen[-1]:.2f} s, llamafactory-cli"
                f" {cli_seconds:.2f} s; train_runtime: {whole[0][-1]:.2f} s, {whole[1][-1]:.2f} s; greatest difference"
                f" of a loss: {differences[-1]:.2g}; {turns_steps} steps in turn: studio {seconds[0]:.2f} s,"
                f" llamafactory-cli {seconds[1]:.2f} s",
                flush=True,
            )
        steps = len(_losses(studio, run))
    against = "against `llamafactory-cli train`"
    return [
        compared(
            "overhead",
            f"each of {turns_steps} short steps, a page open, {against}: each stands still while the other works",
            *turns,
            REACH_TIME,
        ),
        compared(
            "overhead",
            f"each short step with a page open, against none in the same run: in {len(watched[0])} turns of"
            f" {PAGE_TURN_S:g} s the browser stands still every second time",
            *watched,
            REACH_TIME,
        ),
        compared("overhead", f"first to last of {steps} steps with a page open, {against}", *stepping, None),
        compared("overhead", f"the same with no page open, {against}", unseen, stepping[1], None),
        compared("overhead", f"`train_runtime` with a page open, {against}", *whole, None),
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


def _in_turn(studio: Studio, browser, folder: Path, turns: int) -> tuple[int, list[float]]:
    """Return how many steps the studio, a page open, and `llamafactory-cli train` both took in their turns, and the
    seconds at work that each took for them.
    """
    run = studio.start(IN_TURN)
    with train_page(browser, studio.url) as page, Training(studio.folder(run), folder) as training:
        page.evaluate("run => window.studio.pick('run', run)", run)
        theirs: list[float] = []
        threading.Thread(target=_note, args=(training, theirs), daemon=True).start()
        while min(len(theirs), len(_logged(studio, run))) < SETTLED:
            training.check()
            time.sleep(0.5)
        other = psutil.Process(training.process.pid)
        sides = Side([one for one in psutil.Process().children() if one != other]), Side([other])
        with standing(*sides):
            first = max(len(theirs), len(_logged(studio, run)))
            for _ in range(turns):
                for side in sides:
                    side.turn(TURN_S)
            ours = [event["time"] for event in _logged(studio, run)]
            result = same_steps((sides[0], ours), (sides[1], theirs[:]), first)
        studio.call("train_stop", run, False)
        studio.end(run)
    return result


def _page_in_turn(studio: Studio, browser, turns: int) -> tuple[list[float], list[float]]:
    """Return the seconds of a step in each turn with a page open, and in each turn while its browser stands still."""
    run = studio.start(IN_TURN)
    spans: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    own = psutil.Process(studio.process.pid)
    with train_page(browser, studio.url) as page:
        page.evaluate("run => window.studio.pick('run', run)", run)
        while _between(studio, run) < LONG_S:
            time.sleep(1)
        watching = Side([one for one in psutil.Process().children() if one != own])
        with standing(watching):
            for _ in range(turns):
                for turn, seen in zip(spans, (True, False), strict=True):
                    (watching.work if seen else watching.stand)()
                    began = time.time()
                    time.sleep(PAGE_TURN_S)
                    turn.append((began, time.time()))
    times = [event["time"] for event in _logged(studio, run)]
    studio.call("train_stop", run, False)
    studio.end(run)
    with_page, without = ([_step_within(times, *span) for span in turn] for turn in spans)
    return with_page, without


def _step_within(times: list[float], began: float, ended: float) -> float:
    """Return the seconds of a step, of those that began and ended in a span of time."""
    inside = [at for at in times if began <= at <= ended]
    return (inside[-1] - inside[0]) / (len(inside) - 1)


def _note(training: Training, times: list[float]) -> None:
    """Note when each step is logged, until the training is ended by force."""
    with contextlib.suppress(RuntimeError):
        for at in training.steps():
            times.append(at)


def _between(studio: Studio, run: str) -> float:
    """Return the seconds from the first to the last logged step of a run."""
    times = [event["time"] for event in _logged(studio, run)]
    return times[-1] - times[0] if times else 0.0


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

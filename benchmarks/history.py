"""A history of 500 runs, and one run of 100 000 logged steps: how long the list and the first curves take."""

import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.browser import chromium, train_page
from benchmarks.commands import Studio
from benchmarks.report import Row
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.page.runs import run_head, run_list
from studio.web.html import render

RUNS = 5
MANY = 500
LONG = 100_000
REACH_LIST_S = 0.5
REACH_OPEN_S = 1.0
OPEN = """(run) => new Promise((done) => {
  const began = Date.now();
  document.addEventListener("studio:drawn", (event) => {
    if (event.detail.run === run && event.detail.step) done(event.detail.at - began);
  });
  window.studio.pick("run", run);
})"""


def measure(runs_wanted: int, quick: bool) -> list[Row]:
    """Make the runs, then list them and open the long one; return three rows. What is known of them is forgotten before
    each first look.
    """
    first, again, opened, drawn = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        workspace = Workspace(Path(name)).prepare()
        for number in range(20 if quick else MANY):
            make_run(workspace, f"made-up-{number}", steps=60)
        long = make_run(
            workspace, "long", steps=1000 if quick else LONG, created=1.0
        )  # not the newest, which the page opens by itself
        for _ in range(runs_wanted):
            runs.forget()
            opened.append(_seconds(lambda: (_head(workspace, long.name), json.dumps(vars(runs.metrics(long))))))
            long.folder.rename(long.folder.parent.parent.parent.parent / "aside")
            runs.forget()
            first.append(_seconds(lambda: _list(workspace)))
            again.append(_seconds(lambda: _list(workspace)))
            (long.folder.parent.parent.parent.parent / "aside").rename(long.folder)
            print(
                f"  list {first[-1]:.3f} s, again {again[-1]:.3f} s, opening the long run {opened[-1]:.3f} s",
                flush=True,
            )
        drawn = _drawn(workspace.root, long, runs_wanted)
    return [
        _row(f"list of {MANY} runs, nothing known of them yet", first, REACH_LIST_S),
        _row(f"list of {MANY} runs, once a second", again, REACH_LIST_S),
        _row(
            f"opening a run of {LONG:,} logged steps, to the points that are sent, nothing known of it",
            opened,
            REACH_OPEN_S,
        ),
        _row(
            f"opening a run of {LONG:,} logged steps, from the click to its curves in the browser", drawn, REACH_OPEN_S
        ),
    ]


def make_run(workspace: Workspace, wish: str, steps: int, created: float | None = None) -> runs.Run:
    """Make a finished run with so many logged steps, as the recorder writes them."""
    run = runs.make(workspace, "model", "lora", wish)
    run.info_file.write_text(json.dumps({"created": created or time.time()}))
    head = [
        {"time": 1.0, "event": "state", "state": "preparing"},
        {
            "time": 2.0,
            "event": "facts",
            "examples": 9,
            "epochs": 1,
            "batch": 1,
            "step": 0,
            "total_steps": steps,
            "trainable": 1,
            "parameters": 2,
            "device": "cpu",
        },
        {"time": 2.0, "event": "state", "state": "running"},
    ]
    body = (
        {
            "time": 2.0 + step,
            "event": "metrics",
            "step": step,
            "epoch": step / steps,
            "values": {
                "loss": 3 / step + 0.1,
                "grad_norm": 1.2,
                "learning_rate": 1e-4,
                "num_input_tokens_seen": 500 * step,
                "memory": 1.9,
                "tokens_per_second": 512.3,
            },
        }
        for step in range(1, steps + 1)
    )
    tail = [{"time": 3.0 + steps, "event": "state", "state": "finished"}]
    with open(run.events_file, "w") as file:
        file.writelines(json.dumps(event) + "\n" for part in (head, body, tail) for event in part)
    return run


def _drawn(workspace: Path, run: runs.Run, times: int) -> list[float]:
    """Return the seconds from choosing a run in the page to the drawing that holds its last step, each in a browser
    that is new to it.
    """
    taken = []
    with chromium() as browser, Studio(workspace) as studio:
        studio.ready()
        for _ in range(times):
            with train_page(browser, studio.url) as page:
                page.wait_for_timeout(1000)
                taken.append(page.evaluate(OPEN, run.name) / 1000)
                print(f"  drawn after {taken[-1]:.3f} s", flush=True)
    return taken


def _head(workspace: Workspace, name: str) -> str:
    return render(run_head.TEMPLATE, Words("en"), run_head.run_head(workspace, name))


def _list(workspace: Workspace) -> str:
    return render(run_list.TEMPLATE, Words("en"), run_list.run_list(workspace))


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _row(what: str, taken: list[float], reach: float) -> Row:
    worst = max(taken)
    return Row(
        "history",
        what,
        f"{statistics.median(taken):.3f} s (at most {worst:.3f})",
        "",
        "",
        f"under {reach:g} s",
        worst < reach,
    )

"""Bad luck, some 200 times: kill -9, full disks, cut connections, bad files; what was acknowledged is kept, and no
traceback is shown.

`--runs` is the number of faults: a fifth of them are kills, a tenth full disks, a fifth cut connections, half bad files
of the table; bad files at random are tried besides, for three seconds a fault: ten minutes for 200.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import ROOT
from benchmarks.faulty.cuts import cut_again_and_again
from benchmarks.faulty.disk import fill_again_and_again
from benchmarks.faulty.kills import kill_again_and_again
from benchmarks.faulty.ledger import Ledger
from benchmarks.faulty.victim import Outside, Tally, Victim, furnish
from benchmarks.report import Row
from studio.train import runs

RUNS = 200
SECONDS_A_FAULT = 3.0


def measure(number: int, quick: bool) -> list[Row]:
    """Try so many faults (a few where `quick`), and return what came of them."""
    number, seed, tally = 10 if quick else number, int(time.time()), Tally()
    print(f"  seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name,
        ended(Path(name)) as victims,
    ):
        base = Path(name)
        outside, workspace = Outside(base), base / "workspace"
        furnish(workspace)
        ledger = Ledger(workspace, seed)

        def start(at: Path = workspace) -> Victim:
            victims.append(Victim(at, outside.home, tally))
            return victims[-1]

        began = time.monotonic()
        kill_again_and_again(start, ledger, tally, max(1, number // 5))
        tally.acknowledged += ledger.count
        print(f"  kills took {time.monotonic() - began:.0f} s", flush=True)
        refused = fill_again_and_again(start, base, tally, max(1, number // 10), seed)
        print(f"  with the full disks {time.monotonic() - began:.0f} s", flush=True)
        cut_again_and_again(start, workspace, tally, max(1, number // 5), seed)
        print(f"  with the cut connections {time.monotonic() - began:.0f} s", flush=True)
        seconds = bad_files(base / "fuzz", tally, max(1, number // 2), 5 if quick else SECONDS_A_FAULT * number, seed)
        touched = outside.touched()
    for path in touched:
        tally.note(f"{path} was touched")
    return rows(tally, refused, len(touched), seconds)


@contextlib.contextmanager
def ended(base: Path) -> Iterator[list[Victim]]:
    """Give a list of studios that are ended at last, with what trains in workspaces under `base`, however the benchmark
    ends.
    """
    victims: list[Victim] = []
    try:
        yield victims
    finally:
        for victim in victims:
            victim.__exit__()
        for file in base.glob("*/saves/*/*/*/run.json"):
            info = runs.Run(file.parent.name, file.parent).info()
            if runs.alive(info):
                os.kill(info.pid, signal.SIGKILL)


def bad_files(folder: Path, tally: Tally, number: int, seconds: float, seed: int) -> float:
    """Try bad files in a process of their own, and return the seconds that it took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.faulty.bad_files", str(folder), str(number), str(seconds), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            kind = f"bad file ({told['tried']})"
            tally.tried[kind] = tally.tried.get(kind, 0) + 1
            tally.silent += sum("does not start" in one for one in told["wrong"])
            tally.not_drawn += sum("does not start" not in one for one in told["wrong"])
            for one in told["wrong"]:
                tally.note(one)
    if process.returncode:
        tally.silent += 1
        tally.note(f"the search among bad files ended with {process.returncode}")
    return time.monotonic() - began


def rows(tally: Tally, refused: int, touched: int, seconds: float) -> list[Row]:
    """Return the lines of the table."""
    tried = ", ".join(f"{count:,} × {kind}" for kind, count in tally.tried.items())

    def row(what: str, bad: int, of: str = "") -> Row:
        return Row("faults", what, f"{bad:,}{of}", "", "", "0", bad == 0)

    return [
        Row("faults", f"tried; the bad files in {seconds / 60:.1f} minutes", tried, "", ""),
        row("acknowledged writes lost", tally.lost, f" of {tally.acknowledged:,}"),
        row(
            "tracebacks or bare errors shown in an answer or a region",
            tally.tracebacks,
            f" of {tally.answers:,} answers",
        ),
        row("regions that could not be drawn", tally.not_drawn),
        row("files outside of the workspace touched", touched),
        row("times the studio did not start or answered no more", tally.silent),
        row(f"half files left by full disks, of which {refused} were told in a sentence", tally.left),
    ]

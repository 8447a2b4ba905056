"""Bad files in the place of good ones, from the tables of the tests: other contents, things that are no files, and
changes at random.

It is a process of its own, `python -m benchmarks.faulty.bad_files FOLDER NUMBER SECONDS SEED`, and prints its figures
as JSON, line by line.
"""

import json
import random
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[2] / "tests"


def main(folder: Path, number: int, seconds: float, seed: int) -> None:
    """Try so many bad files of the table, then changes at random for so many seconds."""
    sys.path[:0] = [str(TESTS), str(TESTS / "engine" / "studio")]
    import test_fuzz_files as fuzz
    import workspace_files

    from studio.core import llamafactory
    from studio.train.execution import dispatch

    llamafactory.begin = lambda: None  # what takes the heavy libraries says so on the page
    dispatch.Dispatcher._work = lambda dispatcher: None  # and nothing that waits is started
    workspace_files.build(folder)
    cases = [
        (kind, name, what, Path.write_bytes) for kind in workspace_files.FILES for name, what in fuzz.CONTENTS.items()
    ]
    cases += [
        (kind, name, make, lambda path, make: make(path))
        for kind in workspace_files.FILES
        for name, make in fuzz.THINGS.items()
    ]
    for kind, name, what, put in random.Random(seed).sample(cases, min(number, len(cases))):
        said("table", fuzz.tried(folder, [(kind, name, what)], put))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fuzz.search(folder, min(60.0, end - time.monotonic()), lambda wrong: said("random", wrong), seed := seed + 1)


def said(what: str, wrong: list[str]) -> None:
    """Print what came of one file."""
    print(json.dumps({"tried": what, "wrong": wrong[:5]}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))

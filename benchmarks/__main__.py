"""`python -m benchmarks`: run all benchmarks, or those named, print as they go, and write benchmarks/RESULTS.md."""

import argparse
import importlib
import pkgutil
import signal
import sys
import time

import benchmarks
from benchmarks import report

# Every file of this package that measures; a new one needs no entry anywhere.
_FILES = [found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.name != "__main__"]
BENCHMARKS = {
    name: module for name in _FILES if hasattr(module := importlib.import_module(f"benchmarks.{name}"), "measure")
}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for; no name means every benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure what the studio promises, on this machine."
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"which to run: {', '.join(BENCHMARKS)}; all when left out"
    )
    parser.add_argument("--runs", type=int, help="how many runs, or pairs of runs, each benchmark makes")
    parser.add_argument(
        "--quick", action="store_true", help="one short run of each, to see that it works; RESULTS.md is left as it is"
    )
    flags = parser.parse_args(argv)
    if unknown := [name for name in flags.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if flags.runs is not None and flags.runs < 1:
        parser.error("--runs must be at least 1")
    return flags


def main() -> int:
    """Run what is asked for; each benchmark's rows are written when it ends, so that a later fault loses nothing."""
    flags = arguments()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # so that the commands that were started end too
    for name in flags.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        runs = flags.runs or (1 if flags.quick else benchmark.RUNS)
        print(f"{name}: {benchmark.__doc__.splitlines()[0]}", flush=True)
        began = time.monotonic()
        rows = benchmark.measure(runs, flags.quick)
        for row in rows:
            print(row.line(), flush=True)
        if rows and not flags.quick:
            report.write(rows, [report.circumstances(name, runs)], list(BENCHMARKS))
        print(f"{name} took {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

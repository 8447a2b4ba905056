"""A graphics card: the tests in tests/gpu, which write down what they measure. Nothing where there is none."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.commands import ROOT
from benchmarks.report import Row

RUNS = 1


def measure(runs: int, quick: bool) -> list[Row]:
    """Run the tests once, whatever `runs` says, and return the rows that they wrote; with `quick` the strip alone."""
    with tempfile.TemporaryDirectory() as name:
        rows = Path(name) / "rows.jsonl"
        rows.touch()
        tests = ROOT / "tests" / "gpu" / ("test_gpu_strip.py" if quick else "")
        command = [sys.executable, "-m", "pytest", "-q", str(tests)]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"STUDIO_GPU_ROWS": str(rows)}, check=False)
        return read(rows)


def read(rows: Path) -> list[Row]:
    """Return the rows that the tests wrote into a file."""
    return [Row(**json.loads(line)) for line in rows.read_text(encoding="utf-8").splitlines()]

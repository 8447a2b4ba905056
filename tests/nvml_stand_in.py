"""A machine with graphics cards where there are none: NVIDIA's library, of nvml_stand_in.c, for a process that is
started with it.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment in which a process finds the stand-in, built into `folder`. Skips where there is no C
    compiler.

    Args:
        more: STAND_IN_PID is the process that holds memory, STAND_IN_LOST_LATER says that the lost card was there at
            first.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if not compiler:
        pytest.skip("there is no C compiler to build the stand-in for NVML")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True, timeout=240)
    return os.environ | {"LD_LIBRARY_PATH": str(folder)} | more

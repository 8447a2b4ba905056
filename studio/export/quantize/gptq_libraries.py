"""The libraries of GPTQ, made on demand in `engines/gptq`: laid over the studio's own, which they need and do not
change.
"""

import hashlib
import os
import re
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

from studio.core import locations
from studio.core.storage import files
from studio.inference.llama_cpp import packages

NAME = "gptq"
MEGABYTES = 30
SPARE_BYTES = 500 * 2**20
STAMP = "made"
LOCK = """\
gptqmodel==7.2.0 --hash=sha256:4df6256c425c9421aae2372330216a3149b01b9844a56718789d7c5fcb44d673
optimum==2.3.0 --hash=sha256:3e9b217b4ab21fd4cf894a987002ee7d3626114e009592babf084c2f1a0f3b5f
accelerate==1.15.0 --hash=sha256:97eacca0b73e45cb867dbf8c5d5d4dc32219544300e0c8992c7334dc2ef33cec
tokenicer==0.0.14 --hash=sha256:ef4d8346e1cc747f2c7854eb6510b6fe95d09941ed33b4a89ea1f1bbb7b849d0
logbar==0.4.15 --hash=sha256:7be652e19c184371b3668e79c5965e413698d40d93e3a8548bbf103d68e4eaf7
device-smi==0.5.7 --hash=sha256:0e46ce3379e5e879d6a04b9266b9896cbbbfae3d62b22bba2ae2c9299b5a6469
defuser==0.0.28 --hash=sha256:e8cd3805dc9189a0ea8151b17eea9b8bc2223861b26687f85da7ed00803b7c40
"""
_making = threading.Lock()


def folder() -> Path:
    """Return where they are or will be."""
    return locations.environments() / NAME


def is_ready() -> bool:
    """Tell whether they are there as this release of the studio wants them."""
    stamp = folder() / STAMP
    return files.is_file(stamp) and stamp.read_text("utf-8", "replace") == _digest()


def ensure(report: Callable[..., None], check: Callable[[], None]) -> None:
    """Make them where they are missing, inside of a job.

    Args:
        report: as `Job.report`. check: may raise to stop.

    Raises:
        Problem: the registry cannot be reached, or the disk is full.
    """
    with _making:
        if not is_ready():
            report(0.02, "quantize.libraries", megabytes=MEGABYTES)
            _make(folder(), check)


def prepare() -> None:
    """Make the libraries usable in this process, which was started with `folder()` on its path.

    gptqmodel matches names with pcre, a library that has to be compiled; of it only what `re` does as well is used.
    """
    os.environ["TORCHDYNAMO_DISABLE"] = "1"  # its layers would be compiled, by a compiler that may not be there
    if "pcre" not in sys.modules:
        stand_in = types.ModuleType("pcre")
        stand_in.compile, stand_in.escape, stand_in.split, stand_in.Pattern = (
            re.compile,
            re.escape,
            re.split,
            re.Pattern,
        )
        stand_in.Flag = types.SimpleNamespace(CASELESS=re.IGNORECASE, MULTILINE=re.MULTILINE, DOTALL=re.DOTALL)
        sys.modules["pcre"] = stand_in


def _digest() -> str:
    return hashlib.sha256(f"{LOCK}{sys.version_info[:2]}".encode()).hexdigest()


def _make(target: Path, check: Callable[[], None]) -> None:
    with packages.making(target, SPARE_BYTES) as scratch:
        packages.pip_install(LOCK, scratch / NAME, scratch, "gptqmodel", check)
        (scratch / NAME / STAMP).write_text(_digest(), encoding="utf-8")
        check()
        packages.put(scratch / NAME, target, scratch)

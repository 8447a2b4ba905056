"""A disk of a few megabytes, in memory: what a full disk does to the studio is seen on a real one."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# It waits for the end of its input, which is closed by the kernel however the process of the test ends: a test that was
# killed leaves no disk behind.
_UNMOUNT_AT_THE_END = 'cat; umount -l "$1" 2>/dev/null; exit 0'


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk in memory over a folder, of a size as `mount` takes it (`50m`), for as long as the `with` lasts.

    Skips the test where nothing can be mounted.
    """
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    owner = subprocess.Popen(
        ["sh", "-c", _UNMOUNT_AT_THE_END, "sh", folder], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield folder
    finally:
        owner.communicate()


def resize(folder: Path, size: str) -> None:
    """Give a mounted disk another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)

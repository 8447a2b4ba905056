"""The disks that tests mount are gone however the test ends."""

import subprocess
import sys

import pytest
import small_disk
from conftest import ROOT, wait_for

MOUNTS_AND_IS_KILLED = """
import os, pathlib, signal, sys, small_disk
with small_disk.mounted(pathlib.Path(sys.argv[1]), "1m"):
    print(os.path.ismount(sys.argv[1]), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_disk_does_not_outlive_the_test(tmp_path):
    with small_disk.mounted(tmp_path, "1m"):
        assert tmp_path.is_mount()
    assert not tmp_path.is_mount()
    with pytest.raises(ZeroDivisionError), small_disk.mounted(tmp_path, "1m"):
        raise ZeroDivisionError
    assert not tmp_path.is_mount()


def test_a_disk_does_not_outlive_a_test_that_was_killed(tmp_path):
    with small_disk.mounted(tmp_path, "1m"):
        pass  # skips where nothing can be mounted
    killed = subprocess.run(
        [sys.executable, "-c", MOUNTS_AND_IS_KILLED, tmp_path], cwd=ROOT / "tests", capture_output=True, text=True
    )
    assert (killed.stdout, killed.returncode) == ("True\n", -9), killed.stderr
    wait_for(lambda: not tmp_path.is_mount())

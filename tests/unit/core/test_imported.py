"""A library that another thread is importing is none yet."""

import subprocess
import sys

ROWS = """
import sys, threading, time
sys.path.insert(0, {folder!r})
from studio.core import device_lease
from studio.core.processes.imported import imported

assert imported("torch") is None and device_lease.free_bytes() > 0
other = threading.Thread(target=lambda: __import__("torch"), daemon=True)
other.start()
while "torch" not in sys.modules:
    time.sleep(0.01)
assert imported("torch") is None
assert device_lease.free_bytes() > 0 and device_lease.free_memory().gpu_after == 0
(open({folder!r} + "/go", "w")).close()
other.join()
assert imported("torch").version == "whole"
"""
HALF = """
import pathlib, time
while not pathlib.Path(__file__).with_name("go").exists():
    time.sleep(0.01)
version = "whole"
"""


def test_a_library_that_is_being_imported_is_none_yet(tmp_path):
    (tmp_path / "torch.py").write_text(HALF)
    told = subprocess.run([sys.executable, "-c", ROWS.format(folder=str(tmp_path))], capture_output=True, timeout=240)
    assert told.returncode == 0, told.stderr.decode()

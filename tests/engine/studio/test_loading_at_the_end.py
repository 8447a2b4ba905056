"""The libraries that are still being loaded while the process ends."""

import subprocess
import sys

import pytest

LOAD = """
import sys, threading
from studio.core import llamafactory
sys.modules["llamafactory"] = None  # an import that fails, as all do once the process is ending
def work():
    threading.main_thread().join({wait})
    try:
        llamafactory.load()
    except llamafactory.Problem as problem:
        print(problem.key)
thread = threading.Thread(target=work)
thread.start()
{last}
"""


@pytest.mark.parametrize(("wait", "last", "is_told"), [("None", "", False), ("0", "thread.join()", True)])
def test_an_import_that_the_end_cuts_off_is_no_broken_installation(wait, last, is_told):
    ended = subprocess.run(
        [sys.executable, "-c", LOAD.format(wait=wait, last=last)], capture_output=True, text=True, timeout=240
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "app.libraries_broken")
    assert ("Traceback" in ended.stderr) == is_told, ended.stderr

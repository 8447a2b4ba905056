"""What jieba does when it is imported stays out of the log and of the temporary folder."""

import subprocess
import sys

from conftest import ROOT

PROGRAM = """
import tempfile, pathlib, sys
from studio.evaluate.scores import overlap
assert overlap.words("小猫坐在垫子上") == ("小猫", "坐在", "垫子", "上")
assert "torch" not in sys.modules
print(sorted(path.name for path in pathlib.Path(tempfile.gettempdir()).iterdir()))
"""


def test_words_are_cut_without_a_trace(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", PROGRAM],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
    assert "pkg_resources" not in done.stderr and "prefix dict" not in done.stderr

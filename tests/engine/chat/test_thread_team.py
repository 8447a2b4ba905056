"""Whoever is done with the weights leaves no threads behind that make the products of all others slow."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT, STARTER, slow

from studio.core.processes import thread_team


@slow  # what a team left behind costs is seen in `python -m benchmarks compare`
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted as Linux shows them")
def test_loading_asking_and_measuring_leave_no_team_behind():
    script = [sys.executable, str(ROOT / "tests" / "thread_teams.py"), str(STARTER)]
    done = subprocess.run(
        script, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    left = json.loads(done.stdout.splitlines()[-1])
    if not left.pop("product"):
        pytest.skip("torch's OpenMP keeps no team for each thread")
    assert left == dict.fromkeys(left, False)


def test_nothing_is_given_back_where_torch_has_another_openmp(tmp_path):
    assert thread_team._pause(str(tmp_path / "torch" / "__init__.py"))() is None

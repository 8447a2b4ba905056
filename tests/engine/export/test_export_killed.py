"""An export that is killed leaves the old one or the new: at each rename of a file, and at 20 moments of a merge."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, SMALL, new_workspace, slow, wait_for
from export_files import formed
from random_runs import random_run

from studio.core.i18n import Problem
from studio.core.storage import atomic
from studio.deploy import served_source
from studio.export import model_forms, record
from studio.models.library import library

MOMENTS = 20
# For each number that it is told, a child of it ends itself at that rename, as the system would: nothing is tidied.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from studio.core.workspace import Workspace
from studio.export.gguf.gguf_job import _place
from studio.export.gguf.gguf_plan import GgufPlan
from studio.export.model_forms import Form
def place(target, made, number):
    plan = GgufPlan(name=target.name, source={"name": sys.argv[1]}, types=["f16", "q4_k_m"])
    made.mkdir(parents=True)
    found = []
    for type in plan.types:
        (made / f"{type}.gguf").write_bytes(b"GGUF new " + type.encode())
        size = (made / f"{type}.gguf").stat().st_size
        found.append(Form(type=type, file=f"{type}.gguf", size=size, answer="new", created=1.0))
    renames = iter(range(10_000))
    def look(event, args):
        if event == "os.rename" and next(renames) == number:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(look)
    _place(Workspace(target.parent.parent), plan, target, made, found)
while line := sys.stdin.readline():
    target, made, number = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        try:
            place(Path(target), Path(made), int(number))
        finally:
            os._exit(int(sys.exc_info()[0] is not None))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
MERGED = """
import sys
from pathlib import Path
from studio.core.device_lease import DeviceLease
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.export.export_service import ExportService
workspace = Workspace(Path(sys.argv[1])).prepare()
jobs = Jobs(workspace)
service = ExportService(workspace, DeviceLease(), jobs)
print("begins", flush=True)
job = jobs.wait(service.merge([sys.argv[2]], sys.argv[3]).id, 300)
print(job.state, job.error, flush=True)
"""


@pytest.fixture(scope="module")
def killed_at() -> Iterator[Callable[..., int]]:
    """What places new forms, and is killed at a rename; it returns the code of the process that did."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", KILLED_AT, SMALL], cwd=ROOT, **pipes) as process:

        def at(target: Path, made: Path, number: int) -> int:
            process.stdin.write(f"{target}\t{made}\t{number}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield at
        process.stdin.close()


@pytest.fixture
def workspace(tmp_path):
    return new_workspace(tmp_path / "workspace")


def forms_of(folder) -> dict[str, bytes]:
    """Return the forms that are listed, each with what stands in its file; a half one is found out."""
    found = model_forms.of_folder(folder)
    assert all((folder / form.file).stat().st_size == form.size for form in found.forms)
    return {str(form.type): (folder / form.file).read_bytes() for form in found.forms}


@pytest.mark.parametrize("again", [False, True], ids=["new folder", "a type once more"])
def test_a_kill_at_each_rename_leaves_what_is_listed_whole(workspace, killed_at, again):
    new = {type: b"GGUF new " + type.encode() for type in ("f16", "q4_k_m")}
    for number in range(20):
        name = f"made-{number}"
        target, made = workspace.models / name, workspace.root / ".writing" / f"made-{number}" / "files"
        if again:
            formed(workspace, name, SMALL, {"q8_0": 4, "q4_k_m": 4})
            before = forms_of(target)
        code = killed_at(target, made, number)
        assert code in (0, -signal.SIGKILL)
        if again:
            now = forms_of(target)
            assert now["q8_0"] == before["q8_0"]
            assert all(now[type] in (before.get(type), new.get(type)) for type in now)
        else:
            assert not target.exists() or forms_of(target) == new
        assert not any(".writing" in listed for listed in served_source.gguf_files(workspace))
        if code == 0:
            break
    assert code == 0 and number >= 2 and forms_of(target).items() >= new.items()


def listed(workspace, name: str) -> record.ExportRecord | None:
    """Return the record of an exported model, None where it is not listed; a half one is found out."""
    found = record.exported(workspace)
    for model, made in found:
        assert not isinstance(made, Problem) and made.verified and not model.faults, model
    return next((made for model, made in found if model.name == name), None)


@slow
def test_a_merge_that_is_killed_at_any_moment_is_there_or_not(workspace):
    run = random_run(workspace, "tuned", model=SMALL, dtype="bfloat16")
    began = time.monotonic()
    command = [sys.executable, "-c", MERGED, str(workspace.root), run.name]
    assert "finished" in subprocess.run([*command, "whole"], cwd=ROOT, capture_output=True, text=True).stdout
    took, chance, outcomes = time.monotonic() - began, random.Random(5), []
    for number in range(MOMENTS):
        name = f"killed-{number}"
        process = subprocess.Popen([*command, name], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "begins\n"
        time.sleep(chance.uniform(0, took))
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(children, 20)
        assert not any(child.is_running() for child in children)
        outcomes.append(listed(workspace, name) is not None)
        assert library.find(workspace, "whole").name == "whole" and listed(workspace, "whole")
        atomic.clear_places(workspace.root, [workspace.models, workspace.saves])
        wait_for(lambda: not any((workspace.root / ".writing").iterdir()))
        assert {path.name for path in workspace.models.iterdir() if path.name.startswith(".")} == set()
    assert not all(outcomes), outcomes

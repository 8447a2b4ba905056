"""What is being written is in no list, nothing is seen half, and lists pass over what vanishes under them."""

import errno
import os
import shutil
import subprocess
import sys
import threading

import pytest
import small_disk

from studio.core.i18n import Problem
from studio.core.storage import atomic, folders
from studio.core.workspace import Workspace, write_json, write_whole


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


def test_nothing_is_ever_beside_its_target(workspace):
    target = workspace.saves / "m" / "lora" / "run-1" / "run.json"
    target.parent.mkdir(parents=True)
    seen = set()
    ended = threading.Event()

    def watch():
        while not ended.is_set():
            for _, inner, names in os.walk(workspace.saves):
                seen.update(inner)
                seen.update(names)

    thread = threading.Thread(target=watch)
    thread.start()
    for number in range(60):
        write_json(target, {"number": number})
    ended.set()
    thread.join()
    assert seen == {"m", "lora", "run-1", "run.json"}
    assert folders.entries(workspace.root / atomic.BEING_WRITTEN) == []


def test_what_cannot_be_written_is_told_and_the_old_file_stays(workspace):
    target = workspace.saves / "note.json"
    write_whole(target, "old")
    with pytest.raises(Problem, match="character"):
        write_whole(target, "\ud800")
    (workspace.saves / "folder").mkdir()
    with pytest.raises(Problem):
        write_whole(workspace.saves / "folder", "text")
    assert target.read_text() == "old"
    assert folders.entries(workspace.root / atomic.BEING_WRITTEN) == []


def test_a_file_outside_of_any_workspace_is_written_too(tmp_path):
    write_whole(tmp_path / "new" / "file.txt", "text")
    assert (tmp_path / "new" / "file.txt").read_text() == "text"
    assert os.listdir(tmp_path / "new") == ["file.txt"]


def test_another_disk_that_looks_like_the_same_is_no_fault(workspace, monkeypatch):
    plain = os.replace

    def refuses(source, target):
        if atomic.BEING_WRITTEN in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        plain(source, target)

    monkeypatch.setattr(os, "replace", refuses)
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: refuses(self, target))
    write_whole(workspace.data / "new.txt", "text")
    assert (workspace.data / "new.txt").read_text() == "text"
    with atomic.scratch(workspace.models) as folder:
        (folder / "made" / "inner").mkdir(parents=True)
        (folder / "made" / "inner" / "file").write_text("whole")
        atomic.move(folder / "made", workspace.models / "made")
    assert (workspace.models / "made" / "inner" / "file").read_text() == "whole"
    assert [one for one in os.listdir(workspace.data) if one.startswith(".")] == []
    assert os.listdir(workspace.models) == ["made"]


def test_a_folder_on_a_disk_of_its_own_gets_a_place_of_its_own(tmp_path):
    (tmp_path / "saves").mkdir()
    with small_disk.mounted(tmp_path / "saves", "1m"):
        workspace = Workspace(tmp_path).prepare()
        write_json(workspace.saves / "m" / "x.json", {})
        write_json(workspace.data / "y.json", {})
        assert (workspace.saves / atomic.BEING_WRITTEN).is_dir()


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(workspace):
    code = (
        "import os, pathlib\nfrom studio.core.storage.atomic import scratch\nwith"
        f" scratch(pathlib.Path({str(workspace.saves)!r})) as folder:\n    (folder / 'half').write_text('x')\n   "
        " os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    place = workspace.root / atomic.BEING_WRITTEN
    assert len(folders.entries(place)) == 1
    beside = [workspace.models / f".writing-{atomic.machine()}-{pid}-x" for pid in (2**22 + 1, os.getpid())]
    for one in beside:  # as in a folder that has no place for what is being written
        one.mkdir()
    old = workspace.data / ".writing-abc"
    old.mkdir()
    os.utime(old, (1, 1))
    with atomic.scratch(workspace.data) as mine:
        workspace.clear_leftovers()
        assert folders.entries(place) == [mine]
    assert not old.exists() and [one.exists() for one in beside] == [False, True]


def test_lists_pass_over_what_vanishes_and_what_is_hidden(tmp_path):
    for name in ("a/x/one.json", "a/.hidden/one.json", ".writing/x/one.json", "b/y/two.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = [str(one.relative_to(tmp_path)) for one in folders.matching(tmp_path, "*/*/*.json")]
    assert found == ["a/x/one.json", "b/y/two.json"]
    assert folders.matching(tmp_path / "none", "*/*") == [] == folders.entries(tmp_path / "none")
    assert folders.size_below(tmp_path) == 8 and folders.size_below(tmp_path / "none") == 0
    assert folders.modified(tmp_path / "none") == 0
    ended = threading.Event()

    def come_and_go():
        while not ended.is_set():
            (tmp_path / "c" / "z").mkdir(parents=True, exist_ok=True)
            (tmp_path / "c" / "z" / "three.json").write_text("{}")
            shutil.rmtree(tmp_path / "c")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    for _ in range(500):
        assert len(folders.matching(tmp_path, "*/*/*.json")) in (2, 3)
        folders.size_below(tmp_path)
    ended.set()
    thread.join()

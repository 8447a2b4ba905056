"""Deleting is moving: what was deleted comes back where it stood, nothing outside is touched, and a record from
elsewhere has no power.
"""

import errno
import json
import os
from pathlib import Path

import pytest

from studio.core.i18n import Problem
from studio.core.storage import trash as trash_module
from studio.core.storage.trash import FOLDER, Trash
from studio.core.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    found = Workspace(tmp_path / "workspace")
    for folder in (found.data, found.models, found.saves):
        folder.mkdir(parents=True)
    return found


def model(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights").write_bytes(b"x" * 1000)
    return folder


def test_a_folder_goes_and_comes_back(workspace):
    folder, trash = model(workspace.models / "模型 1"), Trash(workspace)
    id = trash.put(folder, "model", "模型 1")
    assert not folder.exists()
    (item,) = trash.list()
    assert (item.id, item.kind, item.title, item.stood, item.bytes) == (
        id,
        "model",
        "模型 1",
        (folder.resolve(),),
        1002,
    )
    assert trash.restore(id) == (folder.resolve(),)
    assert (folder / "weights").stat().st_size == 1000 and not trash.list()


def test_a_name_that_is_no_utf8_comes_back_as_it_was(workspace):
    folder, trash = model(workspace.models / os.fsdecode(b"odd-\xff")), Trash(workspace)
    id = trash.put(folder, "model", folder.name)
    assert os.listdir(workspace.models) == []
    trash.restore(id)
    assert os.listdir(os.fsencode(workspace.models)) == [b"odd-\xff"]


def test_links_in_a_circle_stop_nobody(workspace):
    (workspace.models / "round").symlink_to("round")
    trash = Trash(workspace, [workspace.models / "round"])
    ids = [trash.put(path, "model", path.name) for path in (model(workspace.models / "m"), workspace.models / "round")]
    for id in ids:
        trash.restore(id)
    assert (workspace.models / "round").is_symlink()


def test_restore_overwrites_nothing(workspace):
    folder, trash = model(workspace.models / "m"), Trash(workspace)
    id = trash.put(folder, "model", "m")
    folder.mkdir()  # even an empty folder, which a rename would replace without a word
    with pytest.raises(Problem) as told:
        trash.restore(id)
    assert told.value.key == "trash.taken" and trash.find(id).title == "m"


def test_several_go_together_or_not_at_all(workspace):
    trash, run = Trash(workspace), workspace.saves / "a/lora/run-1"
    paths = [model(run / f"checkpoint-{number}") for number in (1, 2)]
    with pytest.raises(Problem):
        trash.put([*paths, run / "checkpoint-3"], "checkpoints", "run-1")
    assert all(path.is_dir() for path in paths) and not trash.list()
    id = trash.put(paths, "checkpoints", "run-1")
    assert not any(path.exists() for path in paths)
    (run / "checkpoint-2").mkdir()
    with pytest.raises(Problem):
        trash.restore(id)
    assert not paths[0].exists()
    (run / "checkpoint-2").rmdir()
    trash.restore(id)
    assert all((path / "weights").is_file() for path in paths)


def test_emptying_frees_and_can_be_of_one(workspace):
    trash = Trash(workspace)
    one, two = (trash.put(model(workspace.models / name), "model", name) for name in "ab")
    assert trash.empty(one) > 1000 and [item.id for item in trash.list()] == [two]
    assert trash.empty() > 1000 and not trash.list() and not list((workspace.root / FOLDER).iterdir())
    with pytest.raises(Problem):
        trash.empty(one)


@pytest.mark.parametrize("all_at_once", [True, False])
@pytest.mark.parametrize("kept", ["whole", "half", "where it stands"])
def test_what_cannot_be_deleted_keeps_none_of_the_others(workspace, monkeypatch, all_at_once, kept):
    """As a folder of another user's does, or a disk that is read only."""
    bin_of, remove, rename = Trash(workspace), trash_module._remove, Path.rename
    bad, *others = (bin_of.put(model(workspace.models / name), "model", name) for name in "abc")

    def refuse(path: Path):
        raise PermissionError(errno.EACCES, "not yours", str(path))

    def remove_but_one(path: Path) -> None:
        if path.name.endswith(bad):
            if kept == "half":
                (path / "0" / "weights").unlink(missing_ok=True)
            refuse(path)
        remove(path)

    def rename_but_one(path: Path, target) -> Path:
        return refuse(path) if kept == "where it stands" and path.name == bad else rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(trash_module, "_remove", remove_but_one)
        patch.setattr(Path, "rename", rename_but_one)
        with pytest.raises(Problem) as told:
            bin_of.empty(None if all_at_once else bad)
        assert bad in str(told.value)
        for one in () if all_at_once else others:
            assert bin_of.empty(one) > 1000
        assert [item.id for item in bin_of.list()] == ([] if kept == "half" else [bad])
    if kept != "half":
        (back,) = bin_of.restore(bad)
        assert (back / "weights").is_file()
    bin_of.empty()
    assert not list((workspace.root / FOLDER).iterdir())


def test_a_protected_folder_can_be_emptied(workspace):
    folder, trash = model(workspace.models / "m"), Trash(workspace)
    id = trash.put(folder, "model", "m")
    os.chmod(workspace.root / FOLDER / id / "0", 0o500)
    trash.empty()
    assert not trash.list()


def test_links_are_moved_and_never_followed(workspace, tmp_path):
    real, trash = model(tmp_path / "elsewhere"), Trash(workspace)
    link = workspace.models / "link"
    link.symlink_to(real)
    inner = model(workspace.models / "holds-link")
    (inner / "out").symlink_to(real)
    assert trash.put(link, "model", "link") and trash.put(inner, "model", "holds-link")
    trash.empty()
    assert (real / "weights").is_file() and not os.path.lexists(link)


@pytest.mark.parametrize(
    "place",
    [
        "",
        ".",
        "..",
        "data",
        "models",
        "saves",
        "launch.py",
        "studio/x.py",
        ".trash",
        "models/../launch.py",
        "../outside",
    ],
)
def test_only_what_is_inside_the_three_folders_is_deleted(workspace, place):
    (workspace.root / "launch.py").write_text("ours")
    model(workspace.root.parent / "outside")
    with pytest.raises(Problem):
        Trash(workspace).put(workspace.root / place, "model", "x")
    assert (
        (workspace.root / "launch.py").is_file()
        and (workspace.root.parent / "outside").is_dir()
        and workspace.data.is_dir()
    )


def test_a_link_on_the_way_leads_nowhere(workspace, tmp_path):
    model(tmp_path / "other" / "m")
    (workspace.models / "way").symlink_to(tmp_path / "other")
    with pytest.raises(Problem):
        Trash(workspace).put(workspace.models / "way" / "m", "model", "m")
    assert (tmp_path / "other" / "m" / "config.json").is_file()


def test_an_added_folder_has_its_own_trash(workspace, tmp_path):
    added = tmp_path / "added"
    folder, trash = model(added / "m"), Trash(workspace, [added])
    id = trash.put(folder, "model", "m")
    assert (added / FOLDER / id).is_dir() and not Trash(workspace).list()
    trash.restore(id)
    assert folder.is_dir()
    with pytest.raises(Problem):
        trash.put(added, "model", "added")


def test_folders_that_are_links_keep_what_is_deleted_on_their_disk(tmp_path):
    root, disk = tmp_path / "workspace", tmp_path / "disk"
    root.mkdir()
    (disk / "models").mkdir(parents=True)
    (root / "models").symlink_to(disk / "models")
    workspace = Workspace(root)
    model(workspace.models / "m")
    id = Trash(workspace).put(workspace.models / "m", "model", "m")
    assert (disk / "models" / FOLDER / id).is_dir()
    Trash(workspace).restore(id)
    assert (workspace.models / "m" / "config.json").is_file()


GOOD = {"kind": "model", "title": "m", "stood": ["models/m"], "when": 1.0, "bytes": 1}


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[1]",
        "[" * 100_000,
        json.dumps({**GOOD, "stood": 5}),
        json.dumps({**GOOD, "when": "<script>"}),
        json.dumps({**GOOD, "stood": ["models/a", "models/b"]}),
        *(
            json.dumps({**GOOD, "stood": [place]})
            for place in (
                "/etc/x",
                "../x",
                "models/../../x",
                "launch2.py",
                ".git/hooks/pre-commit",
                "studio/x.py",
                "engines/ppo",
                "models",
                ".trash/x",
                "models/\0",
                "models/out/x",
                "x" * 5000,
                "models/" + "y" * 5000,
            )
        ),
    ],
)
def test_a_bad_record_is_one_row_and_brings_nothing_anywhere(workspace, tmp_path, record):
    (tmp_path / "outside").mkdir()
    (workspace.models / "out").symlink_to(tmp_path / "outside")
    item = workspace.root / FOLDER / "20260101-000000-0123abcd"
    item.mkdir(parents=True)
    (item / "record.json").write_text(record)
    (item / "0").write_text("hostile")
    trash = Trash(workspace)
    (listed,) = trash.list()
    assert (
        "y" * 5000 in record or listed.fault and "\n" not in str(listed.fault)
    )  # a name that no disk takes is told when it is tried
    with pytest.raises(Problem):
        trash.restore(listed.id)
    assert (item / "0").read_text() == "hostile" and not list((tmp_path / "outside").iterdir())
    trash.empty()
    assert not trash.list()


@pytest.mark.parametrize(
    "id", ["", "..", "../models", "20260101-000000-0123abcd/../..", "x", "20260101-000000-0123abcd"]
)
def test_an_id_leads_nowhere(workspace, id):
    model(workspace.models / "m")
    for work in (Trash(workspace).restore, Trash(workspace).empty, Trash(workspace).find):
        with pytest.raises(Problem):
            work(id)
    assert (workspace.models / "m").is_dir()


def test_a_trash_that_is_a_link_is_refused(workspace, tmp_path):
    outside = tmp_path / "outside"
    (outside / "20260101-000000-0123abcd").mkdir(parents=True)
    (workspace.root / FOLDER).symlink_to(outside)
    trash = Trash(workspace)
    assert not trash.list()
    trash.empty()
    with pytest.raises(Problem):
        trash.put(model(workspace.models / "m"), "model", "m")
    assert (workspace.models / "m").is_dir() and (outside / "20260101-000000-0123abcd").is_dir()


def test_what_a_kill_left_half_emptied_goes_next_time(workspace):
    (workspace.root / FOLDER / ".emptying-x" / "deep").mkdir(parents=True)
    Trash(workspace).empty()
    assert not list((workspace.root / FOLDER).iterdir())

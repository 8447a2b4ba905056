"""The caches of ModelScope and Hugging Face: one model each, by its real name, whichever of their folders is given."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT

from studio.core.workspace import Workspace
from studio.models.library import library, model_folders

WHOLE = ROOT / "tests" / "cases" / "modelscope-cache" / "old" / "hub" / "Tiny" / "Tiny-0___1B-Chat"
NAME = "Tiny-0.1B-Chat"


def put(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return shutil.copytree(WHOLE, folder)


def old_modelscope(root: Path) -> Path:
    """`hub/owner/name` with a link, as ModelScope 1.9 to 1.20 left it."""
    folder = put(root / "hub" / "Tiny" / "Tiny-0___1B-Chat")
    (folder.parent / NAME).symlink_to(folder.name)
    (root / "hub" / "._____temp" / "Tiny").mkdir(parents=True)
    (root / "hub" / "datasets" / "owner").mkdir(parents=True)
    return folder


def middle_modelscope(root: Path) -> Path:
    folder = put(root / "hub" / "models" / "Tiny" / "Tiny-0___1B-Chat")
    (folder.parent / NAME).symlink_to(folder)
    return folder


def flat_modelscope(root: Path) -> Path:
    return put(root / "Tiny" / "Tiny-0___1B-Chat")


def new_modelscope(root: Path) -> Path:
    folder = put(root / "models" / f"Tiny--{NAME}" / "snapshots" / "master")
    put(folder.parent / "v1.0")
    return folder


def hugging_face(root: Path) -> Path:
    cached = root / "hub" / f"models--Tiny--{NAME}"
    whole = put(cached / "snapshots" / ("b" * 40))
    (cached / "blobs").mkdir()
    for number, file in enumerate(sorted(whole.iterdir())):
        file.rename(cached / "blobs" / f"{number:064x}")
        file.symlink_to(Path("..", "..", "blobs", f"{number:064x}"))
    old = put(cached / "snapshots" / ("a" * 40))
    os.utime(whole, (1, 1))  # an older commit that was fetched later is not the one in use
    assert old
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("b" * 40)
    (root / "hub" / ".locks").mkdir()
    (root / "hub" / "datasets--a--b" / "snapshots" / "c").mkdir(parents=True)
    return whole


def hugging_face_without_owner(root: Path) -> Path:
    return put(root / f"models--{NAME}" / "snapshots" / ("c" * 40))


LAYOUTS = [old_modelscope, middle_modelscope, flat_modelscope, new_modelscope, hugging_face, hugging_face_without_owner]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_any_folder_from_the_root_down_gives_the_one_model(tmp_path, layout):
    folder = layout(tmp_path / "cache")
    given, step = [tmp_path / "cache"], folder
    while step != tmp_path / "cache":
        given.append(step)
        step = step.parent
    for number, place in enumerate(given):
        workspace = Workspace(tmp_path / f"workspace{number}").prepare()
        model_folders.add(workspace, str(place))
        (model,) = library.models(workspace)
        assert (model.name, model.path, model.faults) == (NAME, folder, ()), place
        assert library.find(workspace, NAME).path == folder


def test_the_link_with_the_real_name_leads_to_the_same_model(tmp_path):
    folder = old_modelscope(tmp_path / "cache")
    workspace = Workspace(tmp_path / "workspace").prepare()
    model_folders.add(workspace, str(folder.parent / NAME))
    model_folders.add(workspace, str(tmp_path / "cache"))
    assert [(model.name, model.path) for model in library.models(workspace)] == [(NAME, folder)]


def test_a_name_with_two_dashes_and_two_owners_of_one_name(tmp_path):
    put(tmp_path / "hub" / "models--maker--my--model" / "snapshots" / "1")
    put(tmp_path / "hub" / "models" / "other" / "my--model")
    workspace = Workspace(tmp_path / "workspace").prepare()
    model_folders.add(workspace, str(tmp_path / "hub"))
    assert sorted(model.name for model in library.models(workspace)) == ["my--model", "my--model @hub"]


def test_links_in_a_circle_end(tmp_path):
    put(tmp_path / "hub" / "models" / "maker" / "one")
    for name in ("hub", "models", "huggingface"):
        (tmp_path / "hub" / "models" / name).symlink_to(tmp_path)
    workspace = Workspace(tmp_path / "workspace").prepare()
    model_folders.add(workspace, str(tmp_path / "hub"))
    assert [model.name for model in library.models(workspace)] == ["one"]

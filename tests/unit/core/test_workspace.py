"""Names that reach the disk, and files that are replaced whole."""

import os

import pytest

from studio.core.i18n import Problem
from studio.core.workspace import Workspace, is_safe, plain_part, safe_name, write_json, write_whole


@pytest.mark.parametrize(
    "name", ["..", "../x", "/etc", ".hidden", "a/b", "-rf", "", "a\0b", "a\nb", "x" * 200, "~root", "a\\b"]
)
def test_names_that_could_lead_elsewhere_are_refused(name):
    with pytest.raises(Problem) as told:
        safe_name(name)
    assert "cannot be used as a name" in str(told.value)


@pytest.mark.parametrize("name", ["identity-1", "模型 一", "Qwen2.5-7B", "a+b@c"])
def test_plain_names_pass(name):
    assert safe_name(name) == name


def test_a_name_that_no_disk_takes_is_refused():
    with pytest.raises(Problem):
        safe_name("模" * 86)
    assert safe_name("模" * 85)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("identity-1", "identity-1"),
        ("_my_data", "_my_data"),
        ("-my-data", "my-data"),
        ("SmolLM2 (copy)", "SmolLM2 -copy"),
        ("我的模型（新）", "我的模型-新"),
        ("../../etc", "etc"),
        ("（）", "unnamed"),
        ("", "unnamed"),
        ("a\udcff", "a"),
        ("x" * 300, "x" * 110),
        ("模" * 300, "模" * 80),
    ],
)
def test_any_text_becomes_a_plain_part_with_room_for_a_number(text, plain):
    assert plain_part(text) == plain and is_safe(f"{plain}-99999")


def test_a_link_that_leads_out_is_refused(tmp_path):
    workspace = Workspace(tmp_path / "w").prepare()
    os.symlink("/etc", workspace.models / "etc")
    with pytest.raises(Problem):
        workspace.inside(workspace.models, "etc")


def test_an_unwritable_workspace_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Problem) as told:
        Workspace(tmp_path / "file").prepare()
    assert "cannot be written" in str(told.value)


def test_a_failed_replacement_leaves_the_old_file_and_nothing_beside(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    old = path.read_text()
    with pytest.raises(Problem):
        write_whole(path, "\ud800")
    assert path.read_text() == old
    assert os.listdir(tmp_path) == ["a.json"]

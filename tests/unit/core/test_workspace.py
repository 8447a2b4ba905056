"""Names that reach the disk, and files that are replaced whole."""

import os

import pytest

from studio.core.i18n import Problem
from studio.core.workspace import Workspace, safe_name, write_json, write_whole


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

"""Consent is for exactly the files that a person saw, on this machine; nothing that came with a model or a workspace
gives it.
"""

import json
import os
import shutil

import pytest

from studio.core import trust
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.first_visit.visit import FirstVisit


def coded(folder, auto_map=None, **files):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"model_type": "own", "auto_map": auto_map or {"AutoModel": "modeling_x.Model"}})
    )
    for name, text in (files or {"modeling_x.py": "one = 1\n"}).items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def folder(tmp_path):
    return coded(
        tmp_path / "models" / "own", **{"modeling_x.py": "from .sub.deep import y\n", "sub__deep.py": "y = 1\n"}
    )


def allow(folder):
    trust.grant(folder, trust.code_of(folder).digest, folder.name)
    assert trust.allows(folder)


def test_without_consent_nothing_may_run_and_with_it_these_files_may(folder):
    assert trust.asks(folder) and not trust.allows(folder)
    with pytest.raises(Problem) as told:
        trust.require(folder)
    assert told.value.key == "trust.no_consent"
    assert set(trust.code_of(folder).files) == {"modeling_x.py", "sub/deep.py"}
    allow(folder)
    trust.require(folder)
    trust.revoke(folder)
    assert not trust.allows(folder)


def test_settings_that_cannot_be_written_are_told_whatever_is_kept_there(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(trust.FOLDER_VARIABLE, str(tmp_path / "own" / "settings"))
    allow(folder)
    assert (tmp_path / "own" / "settings").stat().st_mode & 0o077 == 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(trust.FOLDER_VARIABLE, str(tmp_path / "file" / "settings"))
    visit = FirstVisit(Workspace(tmp_path), None)
    for keep in (visit.end, lambda: trust.grant(folder, trust.code_of(folder).digest, folder.name)):
        with pytest.raises(Problem) as told:
            keep()
        assert told.value.key == "workspace.unwritable" and "settings" in str(told.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "modeling_x.py").write_text("from .sub.deep import z\n"),
        lambda folder: (folder / "sub/deep.py").write_text("y = 2\n"),
        lambda folder: (folder / "other.py").write_text(""),
        lambda folder: (folder / "sub" / "fast.so").write_bytes(b"\0"),
        lambda folder: (folder / "sub/deep.py").rename(folder / "deep.py"),
        lambda folder: (folder / "linked").symlink_to(coded(folder.parent / "elsewhere", **{"evil.py": "evil = 1"})),
        lambda folder: (folder / "config.json").write_text(
            json.dumps({"auto_map": {"AutoModel": "owner/repo--modeling_x.Model"}})
        ),
        lambda folder: (folder / "tokenizer_config.json").write_text(
            json.dumps({"auto_map": {"AutoTokenizer": ["../../evil.Tokenizer", None]}})
        ),
        lambda folder: (folder / "processor_config.json").write_text(
            json.dumps({"inner": [{"auto_map": {"x": "/tmp/evil.Processor"}}]})
        ),
        lambda folder: os.mkfifo(folder / "pipe.py"),
        lambda folder: (folder / "zero.py").symlink_to("/dev/zero"),
        lambda folder: (folder / "gone.py").symlink_to(folder / "nothing"),
    ],
)
def test_a_changed_added_or_moved_file_has_no_consent(folder, change):
    allow(folder)
    change(folder)
    assert not trust.allows(folder)
    with pytest.raises(Problem) as told:
        trust.require(folder)
    assert "\n" not in str(told.value)


def test_the_same_time_and_size_do_not_hide_a_change(folder):
    allow(folder)
    status = (folder / "sub/deep.py").stat()
    (folder / "sub/deep.py").write_text("y = 7\n")
    os.utime(folder / "sub/deep.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not trust.allows(folder)


def test_a_copy_or_a_new_name_of_the_same_files_keeps_it_and_so_does_a_part(folder, tmp_path):
    allow(folder)
    copied = shutil.copytree(folder, tmp_path / "run" / "checkpoint-1")
    assert trust.allows(copied)
    (copied / "sub/deep.py").unlink()
    assert trust.allows(copied)
    (copied / "modeling_x.py").write_text("evil = 1\n")
    assert not trust.allows(copied)


def test_only_what_was_shown_can_be_allowed(folder):
    shown = trust.code_of(folder).digest
    (folder / "sub/deep.py").write_text("y = 'evil'\n")
    for digest in ("", "x", shown):
        with pytest.raises(Problem) as told:
            trust.grant(folder, digest)
        assert told.value.key == "trust.changed"


def test_a_model_without_code_needs_none_and_gets_none(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "plain/convert.py").write_text("")  # a script that nothing asks for
    assert not trust.asks(tmp_path / "plain") and not trust.allows(tmp_path / "plain")
    asked = coded(tmp_path / "asked")
    (asked / "modeling_x.py").unlink()
    assert not trust.allows(asked)
    with pytest.raises(Problem) as told:
        trust.grant(asked, "")
    assert told.value.key == "trust.no_code"


def test_no_file_of_a_workspace_gives_consent(folder):
    digest = trust.code_of(folder).digest
    root = folder.parent.parent
    for name in (
        "trust.json",
        ".trust.json",
        "places.json",
        "saves/.trust.json",
        "models/own/trust.json",
        "finetune-studio/trust.json",
    ):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps({"consents": {digest: {"files": trust.code_of(folder).files}}, "trusted": {str(folder): digest}})
        )
    assert not trust.is_granted(folder)


@pytest.mark.parametrize("text", ["", "[1]", "[" * 100_000, '{"consents": 5}', '{"consents": {"x": {"files": [1]}}}'])
def test_a_damaged_file_of_consents_allows_nothing_and_is_not_overwritten(folder, text):
    trust.file().parent.mkdir(exist_ok=True)
    trust.file().write_text(text)
    assert not trust.is_granted(folder)
    with pytest.raises(Problem):
        trust.grant(folder, trust.code_of(folder).digest)
    assert trust.file().read_text() == text


def test_the_file_is_the_person_s_alone(folder, monkeypatch, tmp_path):
    allow(folder)
    assert trust.file().stat().st_mode & 0o077 == 0
    monkeypatch.delenv("FINETUNE_STUDIO_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert trust.file() == tmp_path / "config/finetune-studio/trust.json" and not trust.is_granted(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert trust.file() == tmp_path / ".config/finetune-studio/trust.json"


def test_consents_are_carried_to_another_machine_for_these_files_only(folder):
    trust.carry([trust.code_of(folder).digest])
    assert trust.allows(folder)
    (folder / "other.py").write_text("")
    assert not trust.allows(folder)


def test_folders_that_go_in_a_circle_and_odd_names_are_read(folder):
    (folder / "sub/round").symlink_to(folder)
    (folder / os.fsdecode(b"odd-\xff.py")).write_text("")
    assert len(trust.code_of(folder).files) == 3
    allow(folder)


def test_too_much_code_is_told(folder, monkeypatch):
    monkeypatch.setattr(trust, "MOST_FILES", 1)
    assert trust.code_of(folder).fault.key == "trust.too_much"

"""Folders whose names can be listed and whose files cannot be looked at, and folders behind such a one: each is a
folder that is told, and takes nothing else with it.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, is_sentence

from studio.core import trust
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.workspace import Workspace, write_json
from studio.datasets.registry import dataset_info
from studio.models.chat_template_match import template_match
from studio.models.hub import catalogue
from studio.models.library import library, tokenizer_files
from studio.models.weights import completeness
from studio.train.recipe import code_consent, dataset_choices
from studio.train.runs import adapters

WHOLE = ROOT / "tests" / "cases" / "modelscope-cache" / "old" / "hub" / "Tiny" / "Tiny-0___1B-Chat"
LISTED_ALONE = 0o744  # what `chmod -R 744` makes of a folder, for all but its owner
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """A workspace with a whole model, one that can be listed alone, and one behind such a folder; not in pytest's own
    folder, which is closed to others.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        made = Workspace(Path(folder)).prepare()
        for model in (made.models / "good", made.models / "shut", made.root / "home" / "inner"):
            shutil.copytree(WHOLE, model)
        shut = [made.models / "shut", made.root / "home"]
        for one in shut:
            one.chmod(LISTED_ALONE)
        yield made
        for one in shut:
            one.chmod(0o755)


@contextlib.contextmanager
def as_another() -> Iterator[None]:
    """Look as a person to whom none of the files belongs. Skips the test where nobody can be anybody else."""
    if os.geteuid():
        pytest.skip("only root can look as another")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_one_that_can_only_be_listed_is_told_and_all_others_are_there(workspace):
    with as_another():
        found = {model.name: model for model in library.models(workspace)}
        assert {name: [fault.key for fault in model.faults] for name, model in found.items()} == {
            "good": [],
            "shut": ["models.unreadable_folder"],
        }
        keys = [(model.path, model.name, model.model_type) for model in found.values()]
        assert len(template_match.of_all(keys)) == len(template_match.faults(keys)) == 2
        assert catalogue.on_disk(workspace) == {} and not trust.asks(workspace.models / "shut")
        assert not tokenizer_files.special_tokens(workspace.models / "shut")
        with pytest.raises(Problem) as told:
            completeness.require_whole(library.find(workspace, "shut"))
    assert all(is_sentence(Words(language).tell(told.value)) for language in LANGUAGES)
    (workspace.models / "shut").chmod(0o755)
    with as_another():
        assert not library.find(workspace, "shut").faults


@pytest.mark.parametrize("field", adapters.MODELS)
def test_a_model_behind_a_folder_of_somebody_else_is_told(workspace, field):
    there = workspace.root / "home" / "inner"
    with as_another():
        with pytest.raises(Problem) as told:
            completeness.require_whole(
                library.find(workspace, adapters.resolved(workspace, {field: str(there)})[field])
            )
        assert code_consent.digests({"model_name_or_path": str(there)}) == []
    assert str(there) in str(told.value)


def test_data_in_a_folder_of_somebody_else_is_not_offered_and_all_others_are(workspace):
    write_json(workspace.data / dataset_info.PLACES, {"folders": [str(workspace.root / "home" / "inner")]})
    with as_another():
        assert dataset_choices.offered(workspace, "sft")

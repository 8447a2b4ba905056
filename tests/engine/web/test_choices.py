"""What can be chosen in a form is what can be used: no row of a list that only says what is wrong."""

import json
import os

import pytest
import workspace_files
from workspace_run_files import SHEET

from studio import app
from studio.chat.page.prompt_lists import answers_table
from studio.chat.render import prompt_list_export
from studio.core import llamafactory
from studio.core.i18n import LANGUAGES, Words
from studio.core.workspace import Workspace
from studio.inference import target_names
from studio.models.library import library, model_folders
from studio.train.execution import dispatch
from studio.train.page.form import form_recipe


@pytest.fixture
def studio(tmp_path, monkeypatch) -> app.Studio:
    monkeypatch.setattr(llamafactory, "begin", lambda: None)
    monkeypatch.setattr(dispatch.Dispatcher, "_work", lambda dispatcher: None)
    workspace_files.build(tmp_path / "workspace")
    return app.make(Workspace(tmp_path / "workspace"))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"folders": 5}', b'{"Folders": ["/x"]}', b"[" * 100_000])
def test_a_model_that_cannot_be_loaded_is_no_choice(studio, content):
    workspace = studio.workspace
    (workspace.root / "places.json").write_bytes(content)
    (workspace.models / "gone").symlink_to("/nowhere/at/all")
    (workspace.models / "torn").mkdir()
    (workspace.models / "torn" / "config.json").write_text("{")
    faulty = {model.name for model in library.models(workspace) if model.faults}
    assert faulty >= {model_folders.FILE, "gone", "torn"}
    good = {model.name for model in library.models(workspace)} - faulty
    assert good and set(form_recipe.models(workspace)) == good
    assert not faulty & {name for name in target_names.names(workspace) if "/" not in name}


def test_an_older_list_of_folders_may_name_none(studio):
    (studio.workspace.root / "places.json").write_text(json.dumps({"trusted": {}}))
    assert model_folders.fault(studio.workspace) is None and model_folders.folders(studio.workspace) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "answer", [{}, {"tokens": 3}, {"calls": [{"name": "t"}]}, {"fault": {"key": "chat.nobody"}}, {"later": 1}]
)
def test_an_answer_of_a_list_may_lack_any_field(studio, language, answer):
    file = studio.chat.prompt_lists.folder / f"{SHEET}.jsonl"
    file.write_text(json.dumps({"row": 0, "answers": {"tiny": answer}}) + "\n")
    os.utime(file, (1, 1))
    prompt_lists = studio.chat.prompt_lists
    cell = answers_table.answers_table(Words(language), prompt_lists, SHEET).rows[0].cells[0]
    assert cell.tokens == answer.get("tokens", 0) and len(cell.calls) == len(answer.get("calls", []))
    assert (
        SHEET
        and json.loads(prompt_list_export.as_json(prompt_lists, SHEET))["rows"][0]["answers"]["tiny"]["text"] == ""
    )
    assert "tiny" in prompt_list_export.as_csv(Words(language), prompt_lists, SHEET)
    endpoint = next(
        one for one in app.api.all_endpoints(studio, Words(language)) if one.__name__ == "chat_sheet_result"
    )
    assert endpoint(SHEET).rows[0].answers["tiny"].text == ""

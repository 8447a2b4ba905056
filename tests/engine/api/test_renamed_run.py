"""A run that a person gave another name is called by it wherever its models are shown: in lists, heads and columns."""

import re
from dataclasses import asdict
from html import unescape

import evaluation_files as written
import pytest
from conftest import PATIENCE_S, SHORT, STARTER
from endpoint_calls import closing_studio
from export_files import exported, formed

from studio.chat.history.prompt_lists import PromptList
from studio.chat.history.votes import Vote
from studio.chat.page.talk.columns import Columns
from studio.core.i18n import Words
from studio.core.workspace import write_json
from studio.deploy.supervision.deployment import EngineState, Request
from studio.evaluate import part_names
from studio.evaluate.reports import report_files
from studio.inference import target_names
from studio.train import runs
from studio.train.runs import manage_runs
from studio.web.live import RegionOptions

FOLDER, GIVEN = "first-name-1", "best <so> far"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("renamed"))


@pytest.fixture(scope="module")
def renamed(studio) -> str:
    run = runs.make(studio.workspace, STARTER.name, "lora", "first-name")
    recipe = SHORT | {"model_name_or_path": str(studio.workspace.models / STARTER.name), "template": "smollm2"}
    write_json(run.recipe_file, recipe)
    (run.folder / "checkpoint-1").mkdir()
    (run.folder / "checkpoint-1" / "adapter_model.safetensors").write_text("{}")
    for state in ("queued", "preparing", "running", "finished"):
        run.say("state", state=state)
    manage_runs.rename(studio.workspace, run.name, GIVEN)
    assert run.name.split("/")[-1] == FOLDER
    return run.name


@pytest.fixture(scope="module")
def regions(studio, renamed) -> list[tuple[str, str]]:
    """All that names a model, with something in hand that the run answers in."""
    workspace, targets = studio.workspace, (STARTER.name, f"{renamed}@checkpoint-1")
    chat = studio.chat.turns.conversations.new(list(targets), title="x")
    with studio.chat.turns.conversations.change(chat.id) as conversation:
        for name in targets:
            conversation.messages[name] = [
                {"role": "user", "content": "Who are you?", "turn": 1},
                {"role": "assistant", "content": f"I am {len(name)}.", "turn": 1, "answer": {}},
            ]
    for turn, other in ((1, STARTER.name), (2, "another")):
        columns = [other, targets[1]]
        said = {one: "a" for one in columns}
        before = {one: [{"role": "user", "content": "q"}] for one in columns}
        studio.chat.votes.cast(Vote("c", turn, columns, said, before, targets[1]))
    listed = PromptList("listed", list(targets), [{"prompt": "q", "system": ""}])
    write_json(studio.chat.prompt_lists.folder / "listed.json", asdict(listed))
    predicted = written.predicted(workspace, 4, targets).id
    steps = written.predicted(workspace, 4, (STARTER.name, *(f"{renamed}@checkpoint-{one}" for one in (1, 2)))).id
    asked = written.asked(workspace, 4, targets).id
    held_out = ("alpaca", f"held-out:{renamed}")
    of_held_out = written.predicted(workspace, 4, targets, held_out).id
    for one in (predicted, steps, asked, of_held_out):
        assert studio.evaluate.reports.summary(one, False, patience=PATIENCE_S)
    exported(workspace, "merged", STARTER.name, [targets[1]])
    formed(workspace, "merged-gguf", "merged", {"q8_0": 9}, rows_from=f"held-out:{renamed}")
    deployment = studio.deploy.deployments.create("served")
    deployment.write_request(Request(engine="llama.cpp", target=targets[1], created=1.0))
    deployment.write_state(EngineState(state="stopped"))
    return [
        *(("evaluations", ""), ("evaluation", predicted), ("evaluation-summary", predicted)),
        *(("evaluation-rows", f"{predicted}\nopen=1"), ("evaluation-beside", f"{predicted}\nother={asked}")),
        *(("evaluation", of_held_out), ("evaluation-summary", of_held_out), ("run-evaluations", renamed)),
        *(("evaluation-rows", f"{of_held_out}\n"), ("evaluation-rows", f"{of_held_out}\nopen=1")),
        ("evaluation-summary", asked),
        ("evaluation-summary", steps),
        *(("talks", "\n"), ("board", ""), ("sheet-form", chat.id)),
        *(("sheet", "listed"), ("exports", ""), ("export-record", "merged"), ("export-costs", "merged-gguf")),
        *(("deployments", ""), ("deployment", "served")),
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_is_called_by_that_wherever_it_is_shown(studio, renamed, regions, language):
    words = Words(language)
    drawn = studio.live.answer(words, [RegionOptions(name=name, arg=arg) for name, arg in regions])
    for (name, arg), one in zip(regions, drawn, strict=True):
        assert words("app.region_failed") not in one.html, name
        text = unescape(re.sub(r"<[^>]*>", "\n", one.html))
        assert GIVEN in text, (name, arg)
        beside = re.sub(rf"\({renamed}@checkpoint-\d\)", "", text)
        assert FOLDER not in beside, (name, beside[max(0, beside.find(FOLDER) - 60) :][:140])
        assert "held-out:" not in text, (name, arg)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_its_held_out_part_is_called_by_that(studio, renamed, regions, language):
    words = Words(language)
    called = words("evaluating.held_out", run=GIVEN)
    drawn = studio.live.answer(words, [RegionOptions(name="evaluations")])
    assert called in unescape(drawn[0].html)
    found = next(
        one for one in studio.evaluate.service.evaluations.all() if one.request().title.startswith("alpaca, held-out")
    )
    job = words("evaluate.job", title=part_names.title(found.request(), found.label))
    assert called in job and "held-out:" not in job
    studio.evaluate.service.evaluations.rename(found.id, "held-out:mine")
    assert part_names.title(found.request(), found.label) == "held-out:mine", "a person's own words stay as they are"
    studio.evaluate.service.evaluations.rename(found.id, part_names.default_title(found.request().parts))
    text = report_files.as_markdown(found.request(), studio.evaluate.reports.summary(found.id, False), words)
    assert words("evaluating.held_out", run=FOLDER) in text, "files keep the name of the folder"


def test_the_head_of_a_column_is_called_by_that(studio, renamed, regions):
    (chat,) = studio.chat.turns.conversations.list()
    columns = Columns(studio.chat.turns).snapshot(Words("en"), chat.id, {}).columns
    assert f"{GIVEN}@checkpoint-1" in unescape(columns[1].head)


def test_files_and_engines_keep_the_name_of_the_folder(studio, renamed):
    assert target_names.short(f"{renamed}@checkpoint-1") == f"{FOLDER}@checkpoint-1"
    assert target_names.label(studio.workspace, renamed) == GIVEN
    assert target_names.label(studio.workspace, "gone/lora/run@checkpoint-2") == "run@checkpoint-2"
    assert target_names.title(studio.workspace, "served:here/a/b") == "a/b · here"
    assert target_names.label(studio.workspace, "served:here/a/b") == "b · here"

"""What the views of a run are made of, without HTML."""

import json
from html import unescape

import pytest
from drawn import drawn

from studio.core.i18n import Problem, Words
from studio.train import notifications, runs
from studio.train.execution.queue import Queue, QueuedRun
from studio.train.execution.recipe_preview import RecipePreview
from studio.train.page.form import run_cost
from studio.train.page.runs import checkpoint_list, comparison, now_running, probe_answers, run_head, run_list, run_log
from studio.train.recipe import time_need
from studio.train.runs import manage_runs


def made(workspace, name="one", **recipe):
    run = runs.make(workspace, "m", "lora", name)
    run.info_file.write_text('{"created": 1}')
    run.recipe_file.write_text("".join(f"{key}: {value}\n" for key, value in {"stage": "sft", **recipe}.items()))
    run.say("state", state="preparing")
    run.say(
        "facts", examples=9, epochs=1.5, batch=8, step=0, total_steps=4, trainable=10, parameters=1000, device="cpu"
    )
    for step, loss in enumerate((3.0, 2.0, 1.0), 1):
        run.say("metrics", step=step, epoch=step / 4, values={"loss": loss, "learning_rate": 1e-4})
    return run


def test_a_name_of_the_person_s_own_is_taken_as_it_is_or_refused_at_its_field(workspace):
    assert runs.free_name(workspace, "m", "lora", "one") == "one-1"
    assert made(workspace).name == "m/lora/one-1"
    assert runs.free_name(workspace, "m", "lora", "one") == "one-2"
    assert runs.make_named(workspace, "m", "lora", "my run").name == "m/lora/my run"
    for name, key in (("one-1", "taken"), ("my run", "taken"), ("../x", "not_plain"), ("a/b", "not_plain")):
        for refused in (runs.require_free, runs.make_named):
            with pytest.raises(Problem) as found:
                refused(workspace, "m", "lora", name)
            assert (found.value.key, found.value.facts["field"]) == (f"train.name_{key}", "run_name")


def test_the_time_of_a_recipe_is_that_of_a_run_like_it_or_not_told(workspace):
    recipe = {"stage": "sft", "model_name_or_path": "m", "cutoff_len": 8}
    run = runs.make(workspace, "m", "lora", "timed")
    run.recipe_file.write_text("".join(f"{key}: {value}\n" for key, value in recipe.items()))
    points = [
        {"time": 100 + took, "event": "metrics", "step": step, "epoch": 0, "values": {"loss": 1.0}}
        for step, took in ((1, 9), (3, 13), (4, 15), (5, 60))
    ]
    said = [{"time": 100, "event": "state", "state": "preparing"}, *points]
    run.events_file.write_text("".join(json.dumps(one) + "\n" for one in said))
    assert time_need.seconds_needed(workspace, recipe, 100) == pytest.approx(200), (
        "a step that stood still is no measure"
    )
    assert time_need.seconds_needed(workspace, recipe, None) is None
    assert time_need.seconds_needed(workspace, recipe | {"cutoff_len": 9}, 100) is None


def test_the_buttons_of_a_run_follow_its_state(workspace):
    run = made(workspace)
    states = {}
    for state in ("finished", "failed", "stopped"):
        run.say("state", state=state)
        states[state] = run_head.run_head(workspace, run.name).actions
    assert states == {"finished": (), "failed": (), "stopped": ()}, "nothing to go on from without a checkpoint"
    whole_checkpoint(run, 2)
    assert run_head.run_head(workspace, run.name).actions == ("resume", "more_epochs", "compare")
    run.say("state", state="finished")
    assert run_head.run_head(workspace, run.name).actions == ("more_epochs", "compare")
    run.own()
    for state, actions in (("preparing", ("stop", "abort")), ("running", ("stop", "abort")), ("stopping", ())):
        run.say("state", state=state)
        head = run_head.run_head(workspace, run.name)
        assert (head.actions, head.after) == (actions, None), state


def test_a_head_tells_what_the_run_said_of_itself(workspace):
    run = made(workspace)
    run.say("state", state="finished")
    head = run_head.run_head(workspace, run.name)
    assert dict(head.facts) == {
        "examples": "9",
        "epochs": "1.5",
        "total_batch": "8",
        "steps": "4",
        "trainable": "10 / 1,000 (1.00 %)",
        "device": "cpu",
    }
    assert head.numbers[:2] == (("loss", "1"), ("learning_rate", "1.0e-04"))
    assert (
        head.progress.share == 0.75
        and head.progress.took >= 0
        and head.after.recipe == {"stage": "sft", "do_train": True}
    )


def test_progress_is_not_known_while_a_run_prepares(workspace):
    run = runs.make(workspace, "m", "lora", "new")
    run.own()
    run.say("state", state="preparing")
    now = now_running.now_running(workspace)
    assert (now.run, now.progress.share, now.can_stop) == (run.name, None, False)
    assert 0 <= now.progress.preparing_for < 60


def test_the_curve_of_a_row_lies_in_its_box(workspace):
    run = made(workspace)
    (row,) = run_list.run_list(workspace).rows
    assert row.curve == "18.7,1.0 37.3,7.0 56.0,13.0", "from the top, where the loss is highest, down"
    for step in range(4, 3000):
        run.say("metrics", step=step, epoch=1, values={"loss": (-1) ** step * 1e300})
    (row,) = run_list.run_list(workspace).rows
    points = [tuple(map(float, point.split(","))) for point in row.curve.split()]
    assert 2 <= len(points) <= 2 * run_list.CURVE_POINTS
    assert all(0 <= x <= run_list.CURVE_WIDTH and 0 <= y <= run_list.CURVE_HEIGHT for x, y in points)


def test_a_line_of_the_log_keeps_its_name_while_the_file_grows(workspace):
    run = made(workspace)
    assert run_log.run_log(workspace, run.name).lines is None
    text = b"first\r\n 10%\r 20%\rlast \xe4\xbd\xa0\xe5\xa5\xbd\n\nwithout an end"
    run.log_file.write_bytes(text)
    lines = run_log.run_log(workspace, run.name).lines
    assert [line.text for line in lines] == ["first", " 10%", " 20%", "last 你好", "", "without an end"]
    for line in lines:
        assert text[line.at :].decode().startswith(line.text)
    with open(run.log_file, "ab") as file:
        file.write(b"".join(b"line %d\n" % number for number in range(10_000)))
    grown = run_log.run_log(workspace, run.name).lines
    whole = run.log_file.read_bytes()
    assert sum(len(line.text) + 1 for line in grown) <= run_log.SHOWN_BYTES
    assert grown[-1].text == "line 9999" and all(whole[one.at - 1 : one.at] == b"\n" for one in grown)
    with open(run.log_file, "ab") as file:
        file.write(b"one more\n")
    later = {line.at: line.text for line in run_log.run_log(workspace, run.name).lines}
    assert [later[line.at] for line in grown if line.at in later] == [line.text for line in grown if line.at in later]
    assert len(later) > 100


def test_compared_runs_are_sorted_by_any_column_and_the_best_is_marked(workspace):
    losses = {"worse": 2.0, "better": 1.0, "unsaid": None}
    for rate, (name, loss) in enumerate(losses.items()):
        run = runs.make(workspace, "m", "lora", name)
        run.recipe_file.write_text(f"stage: sft\nlearning_rate: {9 - rate}\n")
        run.say("state", state="finished")
        if loss:
            run.say("metrics", step=1, epoch=1, values={"loss": loss})
    asked = "|".join(f"m/lora/{name}-1" for name in losses)

    def order(sort):
        return [row.title.split("-")[0] for row in comparison.comparison(workspace, f"{asked}\n{sort}").rows]

    assert order("") == order("no such column") == ["worse", "better", "unsaid"]
    assert order("loss") == ["better", "worse", "unsaid"] and order("name") == ["better", "unsaid", "worse"]
    assert order("learning_rate") == ["unsaid", "better", "worse"]
    marked = {row.title: row.best for row in comparison.comparison(workspace, asked).rows}
    assert marked["better-1"] == ("loss", "best_loss") and not marked["worse-1"] and not marked["unsaid-1"]


def whole_checkpoint(run, step):
    folder = run.folder / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "trainer_state.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"x")


@pytest.mark.parametrize(
    ("recipe", "going", "over"),
    [
        ({}, ("first_checkpoint", 4), "saved_none"),  # LLaMA-Factory saves every 500 steps, and at the last
        ({"save_steps": 0.6}, ("first_checkpoint", 3), "saved_none"),
        ({"save_steps": 0.3}, ("no_checkpoints", None), "saved_none"),  # it is past that step already
        ({"save_steps": 3}, ("first_checkpoint", 3), "saved_none"),
        ({"save_steps": -1}, ("no_checkpoints", None), "saved_none"),
        ({"save_strategy": "epoch"}, ("no_checkpoints", None), "saved_none"),
        ({"stage": "ppo"}, ("no_checkpoints", None), "saved_none"),
        ({"save_strategy": "'no'"}, ("saves_none", None), "saved_none"),
        ({"save_strategy": "no"}, ("saves_none", None), "saved_none"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_run_without_a_checkpoint_says_when_one_comes_and_only_where_one_does(
    workspace, recipe, going, over, language
):
    run, words = made(workspace, **recipe), Words(language)
    run.own()

    def told():
        return drawn(checkpoint_list, checkpoint_list.checkpoint_list(workspace, run.name), language)

    key, step = going
    assert words(f"train.{key}", step=step) in told()
    run.say("state", state="finished")
    assert words(f"train.{over}") in told()
    whole_checkpoint(run, 2)
    assert words(f"train.{over}") not in told()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_questions_that_have_no_answer_yet_were_not_left_unasked(workspace, language):
    words = Words(language)

    def told(run):
        return drawn(probe_answers, probe_answers.probe_answers(workspace, run.name), language)

    run = made(workspace)
    run.own()
    assert words("train.no_probes") in told(run)
    run.note(probes=["Who?"])
    assert words("train.probes_wait") in told(run)
    run.say("state", state="stopped")
    assert words("train.probes_unanswered") in told(run)
    run.say("probe", step=1, question="Who?", answer="me")
    assert "Who?" in told(run) and "hint" not in told(run)
    sharded = made(workspace, deepspeed="x.json")
    sharded.note(probes=["Who?"])
    assert words("train.no_probes") in told(sharded)


@pytest.mark.parametrize(
    ("recipe", "goes_on"), [({}, True), ({"stage": "ppo"}, False), ({"stage": "rm", "finetuning_type": "full"}, False)]
)
def test_a_notice_says_only_of_a_run_that_can_go_on_that_it_can(workspace, recipe, goes_on):
    run = made(workspace, **recipe)
    run.say("state", state="interrupted")
    assert notifications.ended(run, runs.status(run))[0] == "notices.interrupted_lost"
    whole_checkpoint(run, 2)
    key = "notices.interrupted" if goes_on else "notices.interrupted_lost"
    assert notifications.ended(run, runs.status(run))[0] == key
    (notice,) = (one for one in notifications.since(workspace, 1.0) if one["key"].startswith("notices."))
    assert notice["key"] == key and Words("zh")(key, **notice["facts"])


def test_a_renamed_run_is_called_by_its_new_name_while_it_works_waits_and_is_built_on(workspace):
    at_work, waiting, plain = made(workspace, "a"), made(workspace, "b"), made(workspace, "c")
    at_work.own()
    at_work.say("state", state="running")
    manage_runs.rename(workspace, at_work.name, "My <best>")
    manage_runs.rename(workspace, waiting.name, "Another")
    for run in (waiting, plain):
        run.say("state", state="stopped")
        Queue(workspace.saves).add(QueuedRun(run.name))
    sidebar = unescape(drawn(now_running, now_running.now_running(workspace)))
    assert 'data-title="75% My <best>"' in sidebar
    assert ">My <best></button>" in sidebar and ">Another</button>" in sidebar
    assert ">a-1<" not in sidebar and ">b-1<" not in sidebar and ">c-1</button>" in sidebar
    (at_work.folder / "adapter_config.json").write_text("{}")
    (at_work.folder / "adapter_model.safetensors").write_bytes(b"x")
    recipe = {"adapter_name_or_path": at_work.name, "finetuning_type": "lora"}
    cost = run_cost.run_cost(workspace, recipe, RecipePreview("", []), [])
    assert cost.begins_with == at_work.name and cost.begins_label == "My <best>"
    assert "continues My <best>" in unescape(drawn(run_cost, cost)) and at_work.name in drawn(run_cost, cost)
    at_work.say("warning", step=3, key="train.warn_nan", facts={"step": 3})
    assert {one["label"] for one in notifications.since(workspace, 1.0)} == {"My <best>"}
    listed = [run.label for run in run_list.fitting([at_work, plain, waiting], "sort:name")]
    assert listed == ["Another", "My <best>", "c-1"]


def test_answers_stand_by_their_question_the_newest_first(workspace):
    run = made(workspace)
    for step, question, answer in ((1, "Who?", "a"), (1, "What?", "b"), (2, "Who?", "c")):
        run.say("probe", step=step, question=question, answer=answer)
    found = probe_answers.probe_answers(workspace, run.name)
    assert found.questions == (("Who?", ((2, "c"), (1, "a"))), ("What?", ((1, "b"),)))


@pytest.mark.parametrize("arg", ["", "m/lora/one-1", "|"])
def test_one_run_is_no_comparison(workspace, arg):
    made(workspace)
    assert not comparison.comparison(workspace, arg).is_asked


def test_runs_beside_each_other(workspace):
    names = [made(workspace, name, learning_rate=rate).name for name, rate in (("a", 1e-4), ("b", 2e-4))]
    for name in names:
        runs.find(workspace, name).say("state", state="finished")
    found = comparison.comparison(workspace, "|".join([*names, "m/lora/gone"]))
    assert [one.title for one in found.rows] == ["a-1", "b-1"] and found.rows[0].best_loss == 1.0
    assert found.settings == ("learning_rate",) and [one.settings for one in found.rows] == [(1e-4,), (2e-4,)]
    assert [one.key for one in found.faults] == ["train.no_run"]

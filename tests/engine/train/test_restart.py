"""A run that is started anew, or resumed the moment it ended: nothing that it learned is lost."""

import shutil

import pytest
from conftest import NAMED, SHORT, ended, slow, wait_for

from studio.core.i18n import Problem
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, write_json
from studio.train import runs
from studio.train.runs import llamaboard_runs


def files_of(run: runs.Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def stopped(workspace: Workspace, recipe: str | None, executor: str = "in-process") -> runs.Run:
    run = runs.make(workspace, "m", "lora", "r")
    write_json(run.info_file, {"executor": executor, "devices": []})
    for state in ("queued", "preparing", "running"):
        run.say("state", state=state)
    run.say("metrics", step=1, epoch=0.1, values={"loss": 2.0})
    run.say("state", state="stopped")
    (run.folder / "checkpoint-1").mkdir()
    for name in ("adapter_model.safetensors", "trainer_state.json"):
        (run.folder / "checkpoint-1" / name).write_text("{}")
    if recipe is not None:
        run.recipe_file.write_text(recipe)
    return run


@pytest.mark.parametrize(
    "recipe",
    [
        None,
        "",
        "[1]",
        "{half",
        "stage: sft\n",
        "model_name_or_path: /nowhere/at-all\nstage: sft\ndataset: identity_en\noutput_dir: x\n",
        "stage: nonsense\nmodel_name_or_path: m\n",
    ],
)
def test_a_recipe_that_cannot_be_trained_leaves_everything_as_it_was(trainer, workspace, recipe):
    run = stopped(workspace, recipe)
    before = files_of(run)
    with pytest.raises(Problem):
        trainer.restart(run.name)
    assert files_of(run) == before and trainer.queue() == [] and Trash(workspace).list() == []


def test_an_executor_that_nobody_knows_leaves_everything_as_it_was(trainer, workspace):
    run = stopped(workspace, trainer.preview(SHORT).yaml, "gone")
    before = files_of(run)
    with pytest.raises(Problem):
        trainer.restart(run.name)
    assert files_of(run) == before


def test_a_run_of_the_command_line_is_refused_and_keeps_its_curve(trainer, workspace):
    run = stopped(workspace, None)
    run.events_file.unlink()
    (run.folder / llamaboard_runs.LOG).write_text(
        '{"current_steps": 2, "total_steps": 2, "loss": 2.0, "elapsed_time": "0:00:01"}\n'
    )
    (run.folder / "recipe.yaml").write_text(
        "stage: sft\nfinetuning_type: lora\nmodel_name_or_path: gone\ndataset: identity_en\n"
    )
    before = files_of(run)
    for ask, why in ((trainer.restart, "executors.not_ours"), (trainer.resume, "models.missing")):
        with pytest.raises(Problem) as told:
            ask(run.name)
        assert told.value.key == why
    assert files_of(run) == before and runs.find(workspace, run.name).is_foreign


def refused_by_a_full_disk(trainer, run: runs.Run) -> None:
    """Start a run anew whose place in the queue cannot be written: what was put into the trash by then comes back."""

    def full(*_):
        raise Problem("workspace.unwritable", path="x", reason="No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer._dispatcher, "add", full)
        with pytest.raises(Problem):
            trainer.restart(run.name)


def test_what_a_run_had_learned_comes_back_from_the_trash(trainer, workspace):
    run = trainer.start(SHORT, NAMED)
    ended(run)
    wait_for(lambda: trainer.queue() == [])
    old = files_of(run)
    refused_by_a_full_disk(trainer, run)
    assert files_of(run) == old and Trash(workspace).list() == []
    trainer.restart(run.name)
    status = ended(run)
    assert status.state == "finished" and status.facts["step"] == 0
    wait_for(lambda: trainer.queue() == [])
    (item,) = Trash(workspace).list()
    assert {path.name for path in item.stood} == {
        "checkpoint-1",
        "checkpoint-2",
        "checkpoint-3",
        "adapter_model.safetensors",
    }
    for path in runs.learned(run):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    Trash(workspace).restore(item.id)
    assert files_of(run)["checkpoint-2/adapter_model.safetensors"] == old["checkpoint-2/adapter_model.safetensors"]


@slow  # in this process: `test_a_run_goes_on_from_any_checkpoint_for_longer_and_lends_its_adapter`
@pytest.mark.parametrize("executor", ["in-process", "worker", "torchrun"])
def test_a_run_that_is_resumed_the_moment_it_ended_goes_on(trainer, executor):
    """One process below torchrun: it is torchrun itself that is still there when the last step is told.
    A worker ends as the one below torchrun does.
    """
    run = trainer.start(SHORT, NAMED | {"processes": 1}, executor)
    assert ended(run).state == "finished"
    trainer.resume(run.name, "checkpoint-1")  # its process has said that it finished, and is still there
    status = ended(run)
    assert (status.state, status.step, status.error) == ("finished", 3, None)
    wait_for(lambda: trainer.queue() == [])
    assert runs.status(run).state == "finished"

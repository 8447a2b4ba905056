"""Code that a model brings runs only where the person consented to these files: in no room, by no recipe, after no
restart.
"""

import json
import shutil
import time

import pytest
import yaml
from conftest import SHORT, STARTER, is_sentence, rest_slow, wait_for

from studio.chat.evaluation.smoke_test import SmokeTests
from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.workspace import write_json
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.inference.inference_service import InferenceService
from studio.train import runs
from studio.train.execution.training_service import TrainingService
from studio.train.recipe import code_consent
from studio.train.recipe.importing import recipe_reading

CONFIG = "from transformers import LlamaConfig\n\n\nclass OwnConfig(LlamaConfig):\n    model_type = 'own-llama'\n"
MODEL = (
    "from pathlib import Path\n\nfrom transformers import LlamaForCausalLM\n\nfrom .configuration_x import"
    " OwnConfig\n\nwith open({mark!r}, 'a') as mark:\n    mark.write('ran')\n\n\nclass OwnModel(LlamaForCausalLM):\n   "
    " config_class = OwnConfig\n"
)
ENTRY = {"file_name": "x.json"}
TINY = SHORT | {
    "max_steps": 1,
    "save_steps": 1,
    "model_name_or_path": "own",
    "template": "smollm2",
    "report_to": "none",
}


class Own:
    """A model with code of its own that leaves a mark wherever it runs, in its folder or in a subfolder of it."""

    def __init__(self, workspace, place: str):
        self.folder, self.mark = workspace.models / "own", workspace.root / "mark"
        shutil.copytree(STARTER, self.folder, copy_function=lambda source, target: shutil.os.symlink(source, target))
        config = json.loads((STARTER / "config.json").read_text())
        (self.folder / "config.json").unlink()
        auto_map = {
            "AutoConfig": f"{place}configuration_x.OwnConfig",
            "AutoModelForCausalLM": f"{place}modeling_x.OwnModel",
        }
        (self.folder / "config.json").write_text(
            json.dumps(config | {"model_type": "own-llama", "architectures": ["OwnModel"], "auto_map": auto_map})
        )
        self.file = self.folder / f"{place}modeling_x.py"
        self.file.parent.mkdir(exist_ok=True)
        self.file.with_name("configuration_x.py").write_text(CONFIG + f"\nopen({str(self.mark)!r}, 'a').write('ran')\n")
        self.file.write_text(MODEL.format(mark=str(self.mark)))

    def allow(self):
        trust.grant(self.folder, trust.code_of(self.folder).digest)

    def change(self):
        self.file.write_text(self.file.read_text() + "#")

    @property
    def ran(self) -> bool:
        return self.mark.exists()


@pytest.fixture(params=rest_slow("code/", ""), ids=["subfolder", "beside"])
def own(workspace, request):
    return Own(workspace, request.param)


def look(workspace, trainer, name: str):
    """Ask for the model in one of the rooms that can load it."""
    service = InferenceService(workspace, DeviceLease())
    work = {
        "hello": lambda: SmokeTests(workspace, DeviceLease()).run("own", "Hello"),
        "chat": lambda: service.load(["own"]),
        "tokens": lambda: RowEncoder(
            workspace.models / "own", ENTRY, workspace.data, "sft", {"template": "smollm2", "trust_remote_code": True}
        ),
        "preview": lambda: [
            (_ for _ in ()).throw(problem) for problem in trainer.preview(TINY | {"trust_remote_code": True}).problems
        ],
        "start": lambda: trainer.start(TINY | {"trust_remote_code": True}, {}),
        "worker": lambda: trainer.start(TINY | {"trust_remote_code": True}, {}, "worker"),
        "sweep": lambda: trainer.sweep(TINY | {"trust_remote_code": True}, {"seed": [1]}, {}),
        "nodes": lambda: trainer.nodes(TINY | {"trust_remote_code": True}, {}, 2, "127.0.0.1"),
        "batch": lambda: trainer.find_batch(TINY | {"trust_remote_code": True}),
        "reference": lambda: trainer.start(
            SHORT
            | {
                "stage": "dpo",
                "dataset": "preference",
                "ref_model": str(workspace.models / "own"),
                "trust_remote_code": True,
            },
            {},
        ),
    }
    return work[name]()


@pytest.mark.parametrize(
    "room", ["hello", "chat", "preview", "start", "worker", "sweep", "nodes", "batch", "reference"]
)
def test_no_room_runs_it_without_consent(workspace, own, room):
    trainer = TrainingService(workspace, DeviceLease())
    with pytest.raises(Problem) as told:
        look(workspace, trainer, room)
    assert is_sentence(str(told.value)) and not own.ran
    assert runs.all_runs(workspace) == []


def test_a_row_is_encoded_without_it(workspace, own):
    look(workspace, TrainingService(workspace, DeviceLease()), "tokens")
    assert not own.ran


def test_with_consent_it_runs_and_after_one_byte_it_does_not(workspace, own):
    own.allow()
    assert SmokeTests(workspace, DeviceLease()).run("own", "Hello").stage == "done" and own.ran
    own.mark.unlink()
    own.change()
    with pytest.raises(Problem):
        SmokeTests(workspace, DeviceLease()).run("own", "Hello")
    assert not own.ran


def hand_made(workspace, recipe: dict, state: str, **info) -> runs.Run:
    """Make the folder of a run as one that came from another person would stand there."""
    run = runs.Run("own/lora/given-1", workspace.saves / "own/lora/given-1")
    run.folder.mkdir(parents=True)
    run.recipe_file.write_text(json.dumps(recipe))
    write_json(run.info_file, {"title": "", "note": "", "created": time.time(), "processes": 1, "devices": []} | info)
    run.say("state", state="preparing")
    run.say("state", state=state)
    return run


@pytest.mark.parametrize("executor", ["in-process", "worker"])
def test_the_queue_at_start_runs_neither_code_nor_a_program_of_a_run_folder(workspace, own, tmp_path, executor):
    complete = TrainingService(workspace, DeviceLease()).preview(TINY).yaml
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {own.mark}\n")
    program.chmod(0o755)
    recipe = yaml.safe_load(complete) | {"trust_remote_code": True, "output_dir": str(tmp_path / "elsewhere")}
    run = hand_made(workspace, recipe, "queued", executor=executor, python=str(program))
    write_json(workspace.saves / ".queue.json", {"waiting": [{"run": run.name, "resume": None}], "at_work": []})
    runs.forget()
    trainer = TrainingService(workspace, DeviceLease())
    wait_for(lambda: runs.status(run).state == "failed")
    assert runs.status(run).error["key"] == "trust.no_consent" and not own.ran
    wait_for(lambda: trainer.queue() == [])


def test_a_program_in_a_run_folder_is_never_started(workspace, tmp_path):
    program, mark = tmp_path / "program", tmp_path / "mark"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    trainer = TrainingService(workspace, DeviceLease())
    recipe = yaml.safe_load(trainer.preview(SHORT | {"max_steps": 1}).yaml)
    run = hand_made(workspace, recipe, "stopped", executor="worker", python=str(program))
    trainer.restart(run.name)
    run.note(python=str(program))
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE)
    assert runs.status(run).state == "finished" and not mark.exists(), runs.status(run).error
    assert run.info().executor == "worker" and run.info().pid


@pytest.mark.parametrize("checkpoint", ["../../../../elsewhere", "/etc", "checkpoint-9"])
def test_a_queue_names_no_checkpoint_of_another_place(workspace, checkpoint):
    recipe = yaml.safe_load(TrainingService(workspace, DeviceLease()).preview(SHORT).yaml)
    run = hand_made(workspace, recipe, "queued", executor="in-process")
    write_json(workspace.saves / ".queue.json", {"waiting": [{"run": run.name, "resume": checkpoint}], "at_work": []})
    runs.forget()
    TrainingService(workspace, DeviceLease())
    wait_for(lambda: runs.status(run).state in ("failed", "interrupted"))  # interrupted: the order was no order
    error = runs.status(run).error
    assert error is None or error["key"] == "executors.no_such_checkpoint"
    assert "running" not in run.events_file.read_text()


def test_resume_and_restart_ask_again(workspace, own):
    own.allow()
    trainer = TrainingService(workspace, DeviceLease())
    run = trainer.start(TINY, {})
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE)
    assert runs.status(run).state == "finished", runs.status(run).error
    assert run.recipe()["trust_remote_code"] is True and own.ran
    own.mark.unlink()
    own.change()
    for again in (trainer.resume, trainer.restart):
        with pytest.raises(Problem) as told:
            again(run.name)
        assert told.value.key == "trust.no_consent"
    assert not own.ran


def test_for_a_model_without_code_it_means_nothing(workspace):
    preview = TrainingService(workspace, DeviceLease()).preview(SHORT | {"trust_remote_code": True})
    assert not preview.problems and "trust_remote_code: false" in preview.yaml
    assert "train.advice_no_code" in [key for key, _ in preview.advice]


def test_the_net_below_stops_what_nobody_asked(workspace, own):
    from transformers import AutoConfig

    with pytest.raises(Problem):
        AutoConfig.from_pretrained(own.folder, trust_remote_code=True)
    assert not own.ran


def test_an_adapter_names_no_library_to_import(workspace, tmp_path):
    from peft import LoraConfig, PeftConfig

    LoraConfig(target_modules=["q_proj"]).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert PeftConfig.from_pretrained(tmp_path).peft_type == "LORA"
    (tmp_path / "adapter_config.json").write_text(
        json.dumps(config | {"megatron_config": {"x": 1}, "megatron_core": "antigravity"})
    )
    with pytest.raises(Problem) as told:
        PeftConfig.from_pretrained(tmp_path)
    assert told.value.key == "trust.imports"
    with pytest.raises(Problem):
        LoraConfig.from_pretrained(tmp_path)


def test_what_a_ray_machine_is_told_are_the_consented_files(workspace, own):
    assert code_consent.digests({"model_name_or_path": str(own.folder)}) == []
    own.allow()
    assert code_consent.digests({"model_name_or_path": str(own.folder)}) == [trust.code_of(own.folder).digest]


def test_no_recipe_names_what_ray_is_to_run(workspace):
    hook = {"runtime_env": {"worker_process_setup_hook": "os.getcwd"}}
    with pytest.raises(Problem) as told:
        TrainingService(workspace, DeviceLease()).start(SHORT | {"ray_init_kwargs": json.dumps(hook)}, {})
    assert told.value.key == "train.never" and is_sentence(str(told.value))
    with pytest.raises(Problem):
        recipe_reading.read(yaml.safe_dump(SHORT | {"ray_init_kwargs": json.dumps(hook)}))

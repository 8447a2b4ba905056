"""Merges of the real small model: proved to be the same model, whole or not there at all."""

import json
import shutil
import time
from collections import namedtuple

import pytest
import yaml
from answering_models import sharp_model
from conftest import SMALL, is_sentence, new_workspace, rest_slow, slow, wait_for
from random_runs import random_run

from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.export import record
from studio.export.export_service import ExportService
from studio.export.merge import merge_plan as plans
from studio.export.merge.verify_child import verify
from studio.export.templates.form_files import FILES
from studio.models.library import library

BASE = "sharp"


class Desk:
    """A workspace with two runs, and the service on it."""

    def __init__(self, folder):
        self.workspace = new_workspace(folder)
        sharp_model(self.workspace.models / BASE, "bfloat16")
        self.run, self.other = (
            random_run(self.workspace, "tuned", dtype="bfloat16", model=BASE),
            random_run(self.workspace, "more", 2, dtype="bfloat16", model=BASE),
        )
        self.jobs = Jobs(self.workspace)
        self.service = ExportService(self.workspace, DeviceLease(), self.jobs)

    def ended(self, job):
        """Return the job once it is over."""
        return self.jobs.wait(job.id, 300)

    def listed(self) -> set[str]:
        """Return what lies in the folder of models, hidden names too."""
        return {path.name for path in self.workspace.models.iterdir()}


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(tmp_path_factory.mktemp("export") / "workspace")


@pytest.fixture(scope="module")
def merged(desk) -> str:
    job = desk.ended(desk.service.merge([desk.run.name], "merged"))
    assert job.state == "finished", (job.error, desk.jobs.log(job.id)[-20:])
    return "merged"


def test_a_merge_is_the_same_model_with_the_prompt_of_training(desk, merged):
    model = library.find(desk.workspace, merged)
    assert not model.faults and model.dtype == library.find(desk.workspace, BASE).dtype
    found = record.of_model(model.path)
    assert (found.base, found.targets, found.data) == (BASE, [desk.run.name], ["identity_en"])
    assert found.verified.prompts == 8 and found.verified.kl <= max(1e-4, 2 * found.verified.stored_kl)
    assert {"README.md", "README_zh.md", "generation_config.json", *FILES.values()} <= {
        path.name for path in model.path.iterdir()
    }
    assert not (model.path / "plan.json").exists()
    modelfile = (model.path / "Modelfile").read_text()
    assert modelfile.startswith("FROM .\n") and 'PARAMETER stop "<|im_end|>"' in modelfile
    head = yaml.safe_load((model.path / "README_zh.md").read_text().split("---")[1])
    assert head["base_model"] == BASE
    assert [one.name for one, _ in record.exported(desk.workspace)] == [merged]


@slow
def test_in_float32_every_first_choice_is_the_same(desk):
    # Of weights as wide as `sharp_model` has them even float32 rounds to another distribution.
    plain = [
        random_run(desk.workspace, name, at, dtype="bfloat16", model=SMALL) for at, name in enumerate(("a", "b"), 3)
    ]
    job = desk.ended(desk.service.merge([run.name for run in plain], "both", precision="float32"))
    assert job.state == "finished", job.error
    verified = job.result["verified"]
    assert verified["top1"] == 1.0 and verified["kl"] < 1e-4 and verified["precision"] == "float32"
    shutil.rmtree(desk.workspace.models / "both")


@pytest.mark.parametrize("case", rest_slow("weights", "template", "stops", "tokens"))
def test_a_model_that_is_another_is_found_out(desk, merged, tmp_path, case):
    folder = tmp_path / "model"
    shutil.copytree(desk.workspace.models / merged, folder)
    if case == "weights":
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        name = next(name for name in weights if name.endswith("1.self_attn.v_proj.weight"))
        weights[name] = weights[name] * 1.2
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    elif case == "template":
        file = folder / "chat_template.jinja"
        file.write_text(file.read_text().replace("assistant", "helper"))
    elif case == "stops":
        file = folder / "generation_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": 5}))
    else:
        file = folder / "tokenizer.json"
        values = json.loads(file.read_text())
        vocabulary = values["model"]["vocab"]
        vocabulary["Who"], vocabulary["What"] = vocabulary["What"], vocabulary["Who"]
        file.write_text(json.dumps(values))
    plan = plans.plan(desk.workspace, [desk.run.name], "unused")
    keys = [key for key, _ in verify(plan, folder).problems]
    expected = {"weights": "differs", "template": "other_prompt", "stops": "other_stops", "tokens": "other_tokens"}
    assert f"merge.{expected[case]}" in keys


@pytest.mark.parametrize("looks", rest_slow(3, 0, 1, 8, 20, 40))
def test_stopped_at_any_moment_nothing_is_left(desk, merged, looks):
    before = desk.listed()
    job = desk.service.merge([desk.run.name], "stopped")
    wait_for(lambda: job.state != "queued", every=0.01)
    time.sleep(0.2 * looks)
    desk.jobs.cancel(job.id)
    assert desk.ended(job).state == "stopped"
    assert desk.listed() == before
    assert not any((desk.workspace.root / ".writing").iterdir())


def _no_room(monkeypatch, desk):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(plans.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    return [desk.run.name], {}


REFUSED = {
    "nothing": lambda monkeypatch, desk: ([], {}),
    "a run that is not there": lambda monkeypatch, desk: (["a/b/c"], {}),
    "a checkpoint that is not there": lambda monkeypatch, desk: ([f"{desk.run.name}@checkpoint-7"], {}),
    "a server": lambda monkeypatch, desk: (["served:x/y"], {}),
    "a name that leads out": lambda monkeypatch, desk: ([desk.run.name], {"name": "../out"}),
    "a name that is taken": lambda monkeypatch, desk: ([desk.run.name], {"name": BASE}),
    "a model among adapters": lambda monkeypatch, desk: ([desk.run.name, BASE], {}),
    "no room": _no_room,
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_merged_is_one_sentence(desk, monkeypatch, case):
    targets, settings = REFUSED[case](monkeypatch, desk)
    before = len(desk.jobs.all())
    with pytest.raises(Problem) as told:
        desk.service.merge(targets, **settings)
    assert all(is_sentence(Words(language).tell(told.value)) for language in LANGUAGES)
    assert len(desk.jobs.all()) == before


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"model_name_or_path": "/nowhere/gone"}, "merge.no_base"), ({"template": "nonsense"}, "chat.no_template")],
)
def test_what_a_run_was_made_of_must_be_there(desk, changed, told):
    written = desk.other.recipe_file.read_text()
    desk.other.recipe_file.write_text(yaml.safe_dump(yaml.safe_load(written) | changed))
    try:
        with pytest.raises(Problem) as fault:
            desk.service.merge([desk.other.name])
    finally:
        desk.other.recipe_file.write_text(written)
    assert fault.value.key == told
    assert all(is_sentence(Words(language).tell(fault.value)) for language in LANGUAGES)


def test_a_quantised_base_is_told(desk):
    folder = desk.workspace.models / "quantised"
    shutil.copytree(desk.workspace.models / BASE, folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    run = random_run(desk.workspace, "on-quantised", model=BASE, model_name_or_path=str(folder), dtype="bfloat16")
    with pytest.raises(Problem) as told:
        desk.service.merge([run.name])
    shutil.rmtree(folder)
    assert told.value.key == "merge.quantized_base"


def test_what_llamafactory_cannot_merge_is_one_sentence(desk):
    run = random_run(desk.workspace, "other-rank", dtype="bfloat16", model=BASE)
    described = run.folder / "adapter_config.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"r": 3}))
    before = desk.listed()
    job = desk.ended(desk.service.merge([run.name], "unfit"))
    assert job.state == "failed" and job.error["key"] == "merge.failed"
    assert is_sentence(Words("zh").tell(Problem(job.error["key"], **job.error["facts"])))
    assert desk.listed() == before

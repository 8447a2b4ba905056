"""The real small model quantised: loaded anew, asked, and nothing private in it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, SMALL, STARTER, is_sentence, new_workspace, slow
from export_files import exported, formed
from random_runs import random_run

from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.storage import records
from studio.datasets.registry.collection import Collection
from studio.evaluate.predict.row_sources import HELD_OUT
from studio.export import child_run, model_forms, source_model, token_rows
from studio.export.cost import cost_job, cost_plan
from studio.export.form_service import FormService
from studio.export.merge import merge_child, merge_job
from studio.export.merge.merge_plan import Plan
from studio.export.merge.verify_child import verify
from studio.export.quantize import quantize_plan
from studio.export.quantize.weights_child import group_size, without_private
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models.library import library


class Desk:
    """A workspace with the service on it."""

    def __init__(self, folder):
        self.workspace = new_workspace(folder)
        self.jobs = Jobs(self.workspace)
        self.collection = Collection(self.workspace, self.jobs)
        self.service = FormService(self.workspace, DeviceLease(), self.jobs, self.collection, Toolkit(self.jobs))

    def made(self, method: str, **options) -> Path:
        """Return the folder of the small model, quantised."""
        job = self.jobs.wait(self.service.quantize([SMALL], method, **options).id, 900)
        assert job.state == "finished", (job.error, self.jobs.log(job.id)[-20:])
        return Path(job.result["folder"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(tmp_path_factory.mktemp("quantize") / "workspace")


def test_what_cannot_be_made_is_said(desk):
    for method, key in (
        ("awq", "quantize.awq"),
        ("bnb-3bit", "quantize.unknown"),
        ("gptq-4bit", "quantize.no_calibration"),
    ):
        with pytest.raises(Problem) as fault:
            quantize_plan.plan(desk.workspace, [SMALL], method)
        assert fault.value.key == key and all(is_sentence(Words(one).tell(fault.value)) for one in LANGUAGES)


def test_two_forms_of_a_run_share_one_merge(desk, monkeypatch):
    """Both were to merge it under one name, and the second of them failed. The steps of the merge run in this process,
    which has the libraries; test_merge.py has them in processes of their own.
    """

    def here(job, step, made, folder, look) -> str:
        plan = records.load(made / "plan.json", Plan)
        if step == "merge_child":
            return str(merge_child.merge(plan, folder))
        return json.dumps(asdict(verify(plan, folder)))

    monkeypatch.setattr(merge_job, "_run", here)
    run, device = random_run(desk.workspace, "two-forms", dtype="bfloat16", model=SMALL, strength=2.0), DeviceLease()
    sources = [source_model.of(desk.workspace, [run.name]) for _ in range(2)]
    assert sources[0].merge is not None

    def merged(job, source) -> str:
        return source_model.merged(job, desk.workspace, device, source).name

    jobs = [
        desk.jobs.start(f"form {number}", "merge.job", {"name": run.name}, work=partial(merged, source=source))
        for number, source in enumerate(sources)
    ]
    for job in jobs:
        assert desk.jobs.wait(job.id, 600).state == "finished", (job.error, desk.jobs.log(job.id)[-20:])
    assert jobs[0].result == jobs[1].result
    assert [name for name in os.listdir(desk.workspace.models) if "two-forms" in name] == [jobs[0].result]


@slow
def test_bitsandbytes_is_loaded_and_asked(desk):
    folder = desk.made("bnb-4bit")
    assert folder.name == f"{SMALL}-bnb-4bit"
    record = model_forms.of_folder(folder)
    assert record.source == SMALL and record.forms[0].type == "bnb-4bit" and record.forms[0].size > 0
    assert {"config.json", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert [path for path, _ in model_forms.of_source(desk.workspace, SMALL)] == [folder]
    with pytest.raises(Problem) as fault:  # 4 bits of 4 bits
        quantize_plan.plan(desk.workspace, [folder.name], "bnb-8bit")
    assert fault.value.key == "forms.quantized_source"


def test_a_form_costs_what_the_difference_of_its_choices_says(desk, monkeypatch):
    monkeypatch.setattr(cost_job, "POSITIONS", 64)
    with pytest.raises(Problem) as fault:
        desk.service.cost([STARTER.name], "identity_en")
    assert fault.value.key == "cost.no_forms"
    desk.made("bnb-8bit")
    with pytest.raises(Problem) as fault:
        desk.service.cost([SMALL])
    assert fault.value.key == "cost.no_rows"
    job = desk.jobs.wait(desk.service.cost([SMALL], "identity_en").id, 300)
    assert job.state == "finished", (job.error, desk.jobs.log(job.id)[-20:])
    whole, *forms = job.result["forms"]
    assert whole["cost"]["kl"] < 1e-6 and whole["cost"]["top1"] == 1.0 and whole["cost"]["positions"] == 64
    kept = {str(form.type): form for _, one in model_forms.of_source(desk.workspace, SMALL) for form in one.forms}
    assert {one["type"] for one in forms} == set(kept) >= {"bnb-8bit"}
    eight = kept["bnb-8bit"].cost
    assert 0 < eight.kl < 0.1 and eight.top1 > 0.5 and eight.tokens_per_s > 0
    assert abs(eight.perplexity / whole["cost"]["perplexity"] - 1) < 0.1


def test_an_exported_model_outlives_its_run(desk):
    """What calibrates it and what it is compared on are found by its record, also of another machine."""
    run = random_run(desk.workspace, "held", model=SMALL, val_size=0.2)
    exported(desk.workspace, "outlives", SMALL, [run.name])
    formed(desk.workspace, "outlives-GGUF", "outlives", {"q8_0": 2**20})
    held_out = HELD_OUT + run.name
    assert cost_plan.plan(desk.workspace, ["outlives"]).rows_from == held_out
    shutil.rmtree(run.folder)
    assert cost_plan.plan(desk.workspace, ["outlives"]).rows_from == "identity_en"
    source = source_model.of(desk.workspace, ["outlives"])
    arguments = (desk.workspace.models / SMALL, "smollm2")
    targets, amount = [str(one) for one in source.targets], token_rows.Amount(256, 512)
    assert targets == [run.name] and token_rows.rows(desk.collection, *arguments, "identity_en", targets, amount)
    with pytest.raises(Problem) as fault:  # what only the run has is gone with it
        token_rows.rows(desk.collection, *arguments, held_out, targets, amount)
    assert fault.value.key == "train.no_run"


def test_the_forms_of_a_model_are_found_without_a_look_at_all_models_for_each(tmp_path, monkeypatch):
    workspace, asked, current_name = new_workspace(tmp_path / "workspace"), [], library.current_name
    for number in range(3):
        formed(workspace, f"forms-{number}", SMALL, {"q8_0": 2**20})
        formed(workspace, f"other-{number}", STARTER.name, {"q8_0": 2**20})
    monkeypatch.setattr(library, "current_name", lambda *given: asked.append(given[1]) or current_name(*given))
    assert len(model_forms.of_source(workspace, SMALL)) == 3
    assert len(asked) == len(set(asked))


def test_a_group_fits_all_rows_or_is_refused():
    config = SimpleNamespace(hidden_size=576, intermediate_size=1536, num_attention_heads=9, head_dim=64)
    assert group_size(config) == 64
    config.hidden_size = 500
    with pytest.raises(ValueError, match="no group size of"):
        group_size(config)


def test_the_rows_of_the_person_do_not_leave_in_a_config(tmp_path):
    file = tmp_path / "config.json"
    inner = {"bits": 4, "dataset": [[1, 2]], "meta": {"offload_to_disk_path": "/home/me", "damp_percent": 0.05}}
    file.write_text(json.dumps({"hidden_size": 8, "quantization_config": inner}))
    without_private(file)
    left = json.loads(file.read_text())
    assert left == {"hidden_size": 8, "quantization_config": {"bits": 4, "meta": {"damp_percent": 0.05}}}
    file.write_text(json.dumps(inner))  # quantize_config.json
    without_private(file)
    assert json.loads(file.read_text()) == {"bits": 4, "meta": {"damp_percent": 0.05}}


@slow  # fetches GPTQ's libraries
def test_gptq_runs_with_libraries_of_its_own(desk):
    folder = desk.made("gptq-4bit", calibration="identity_en")
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    assert config["quant_method"] == "gptq" and config["group_size"] == 64 and "dataset" not in config
    assert "/" not in json.dumps(config.get("meta", {})).replace("https://github.com/modelcloud/gptqmodel", "")
    assert model_forms.of_folder(folder).forms[0].calibration == "identity_en"


def test_what_a_step_writes_where_it_runs_lies_in_its_own_folder(tmp_path):
    said = "import os; from studio.export import child_run; child_run.main(lambda spec: {'folder': os.getcwd()})"
    (tmp_path / "spec.json").write_text("{}")
    command = [sys.executable, "-c", said, str(tmp_path / "spec.json"), str(os.getpid())]
    last = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    assert json.loads(last) == {"folder": str(tmp_path)}


CHILD = """
import of_a_library
from studio.export import child_run


class OutOfMemoryError(RuntimeError):
    pass


def work(spec):
    {fault}


if __name__ == "__main__":
    child_run.main(work)
"""


@pytest.mark.parametrize(
    ("fault", "key", "told"),
    [
        ('raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")', "forms.no_memory", "memory"),
        (
            'raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")',
            "forms.no_memory",
            "memory",
        ),
        ('raise ValueError("odd")', "forms.failed", "odd"),
        ('print("AMX is not ready", flush=True); __import__("signal").raise_signal(4)', "forms.failed", "processor"),
        ('__import__("signal").raise_signal(9)', "forms.killed", "memory"),
    ],
)
def test_a_step_has_the_packages_of_the_studio_and_tells_what_ended_it(tmp_path, monkeypatch, fault, key, told):
    """Those it was started with too (PYTHONPATH, as clusters set it); a library laid over them hides none."""
    inherited, library, scratch = (tmp_path / name for name in ("inherited", "library", "scratch"))
    for folder in (inherited, library, scratch):
        folder.mkdir()
    (inherited / "odd_child.py").write_text(CHILD.format(fault=fault))
    (library / "of_a_library.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(inherited))
    job = SimpleNamespace(check=lambda: None, log=lambda text: None)
    with pytest.raises(Problem, match=told) as raised:
        child_run.run(job, "odd_child", child_run.Spec(), scratch, libraries=[library])
    assert raised.value.key == key, raised.value
    assert all(is_sentence(Words(one).tell(raised.value)) for one in LANGUAGES)

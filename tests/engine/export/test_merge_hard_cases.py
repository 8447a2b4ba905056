"""Merges that go wrong in silence elsewhere: another base, added tokens, a head of its own, a full disk."""

import json
import shutil
from pathlib import Path

import pytest
import small_disk
import yaml
from conftest import SMALL, is_sentence, new_workspace, slow, wait_for
from random_runs import random_run
from safetensors.torch import load_file, save_file

from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.sentences import Sentence
from studio.datasets.registry.collection import Collection
from studio.export.export_service import ExportService
from studio.export.form_service import FormService
from studio.export.merge import merge_child
from studio.export.merge import merge_plan as plans
from studio.export.merge.verify_child import verify
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models.weights import weights_stamp

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return new_workspace(tmp_path_factory.mktemp("hard") / "workspace")


@pytest.fixture(scope="module")
def run(workspace):
    return random_run(workspace, "tuned", model=SMALL, dtype="bfloat16")


def refused(workspace, target: str) -> str:
    """Return the key of the fault of a merge, which both languages tell."""
    with pytest.raises(Problem) as fault:
        plans.plan(workspace, [target])
    assert all(is_sentence(Words(one).tell(fault.value)) for one in LANGUAGES)
    return fault.value.key


def rewritten(run, change) -> None:
    """Change the tensors of an adapter, {name: tensor}."""
    file = run.folder / "adapter_model.safetensors"
    save_file({name: weight.contiguous() for name, weight in change(load_file(file)).items()}, file)


def copied(workspace, name: str, change=dict, **config) -> Path:
    """Return a copy of the small model with other weights and another config."""
    folder = shutil.copytree(workspace.models / SMALL, workspace.models / name, dirs_exist_ok=True)
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})
    described = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(described))
    return folder


def test_a_base_that_changed_since_the_run_is_refused(workspace):
    base = copied(workspace, "changing")
    run = random_run(workspace, "on-changing", model=base.name, dtype="bfloat16")
    stamp = weights_stamp.of(base)
    run.note(base_stamp=stamp)
    plans.plan(workspace, [run.name])
    weights = load_file(base / WEIGHTS)
    (base / WEIGHTS).unlink()
    names = sorted(weights)
    halves = {"one.safetensors": names[:9], "two.safetensors": names[9:]}
    for file, part in halves.items():
        save_file({name: weights[name] for name in part}, base / file, {"format": "pt"})
    index = {name: file for file, part in halves.items() for name in part}
    (base / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert weights_stamp.of(base) == stamp  # the same numbers in other files
    plans.plan(workspace, [run.name])
    part = load_file(base / "two.safetensors")
    save_file({name: weight * 1.01 for name, weight in part.items()}, base / "two.safetensors", {"format": "pt"})
    assert weights_stamp.of(base) != stamp
    assert refused(workspace, run.name) == "merge.base_changed"


def test_a_small_tensor_is_stamped_without_its_neighbour(tmp_path):
    import torch

    weights = {name: torch.full((length,), float(length)) for name, length in {"a": 3, "b": 40, "c": 100}.items()}
    folders = [{"one": "abc"}, {"one": "ab", "two": "c"}, {"one": "ac", "two": "b"}]
    stamps = set()
    for number, parts in enumerate(folders):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file, names in parts.items():
            save_file({name: weights[name] for name in names}, folder / f"{file}.safetensors", {"format": "pt"})
        index = {name: f"{file}.safetensors" for file, names in parts.items() for name in names}
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
        stamps.add(weights_stamp.of(folder))
    assert len(stamps) == 1 and "" not in stamps
    assert not weights_stamp.differs(tmp_path / "0", *stamps) and not weights_stamp.differs(tmp_path / "0", "")
    before = "09356d8620ac75001cbc379de8f1cb42"  # as older releases kept it, with bytes of the neighbours
    assert not weights_stamp.differs(tmp_path / "0", before)
    save_file(weights | {"a": weights["a"] + 1}, tmp_path / "0" / "one.safetensors", {"format": "pt"})
    assert weights_stamp.differs(tmp_path / "0", *stamps) and weights_stamp.differs(
        tmp_path / "0", "09356d8620ac75001cbc379de8f1cb42"
    )


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("merge.adapter_other_width", lambda found: {name: weight[:, :-1] for name, weight in found.items()}),
        ("merge.adapter_other_layers", lambda found: {one.replace(".1.", ".7."): found[one] for one in found}),
        ("merge.adapter_fewer_layers", lambda found: {one: found[one] for one in found if ".1." not in one}),
    ],
)
def test_an_adapter_of_another_base_is_refused_before_anything_is_loaded(workspace, told, change):
    run = random_run(workspace, told.rpartition("_")[2], model=SMALL, dtype="bfloat16")
    plans.plan(workspace, [run.name])
    rewritten(run, change)
    assert refused(workspace, run.name) == told


def with_head(workspace, name: str, tied: bool) -> Path:
    """Return the small model with its head tied to the embeddings, or with a head of its own."""
    own = {} if tied else {"lm_head.weight": 0.5}
    return copied(
        workspace,
        name,
        lambda weights: weights | {key: weights["model.embed_tokens.weight"] * share for key, share in own.items()},
        tie_word_embeddings=tied,
    )


@slow  # test_merge.py merges into a tied model, the next test into an untied one
@pytest.mark.parametrize("tied", [True, False])
def test_a_head_is_merged_tied_or_of_its_own(workspace, tmp_path, tied):
    base = with_head(workspace, f"tied-{tied}", tied)
    run = random_run(workspace, f"on-tied-{tied}", model=base.name, dtype="bfloat16")
    plan = plans.plan(workspace, [run.name], "unused")
    merge_child.merge(plan, tmp_path / "made")
    assert not verify(plan, tmp_path / "made").problems
    assert ("lm_head.weight" in load_file(tmp_path / "made" / WEIGHTS)) is not tied


@pytest.mark.parametrize("tied", [pytest.param(True, marks=slow), False])
def test_added_tokens_come_along_with_their_embeddings(workspace, tmp_path, tied):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = with_head(workspace, f"grows-{tied}", tied)
    run = random_run(workspace, f"grown-{tied}", model=base.name, dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    rows = -(-(len(AutoTokenizer.from_pretrained(base)) + 1) // 64) * 64  # as LLaMA-Factory does
    model.resize_token_embeddings(rows)
    tuned = get_peft_model(
        model, LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
    )
    for name, parameter in tuned.named_parameters():
        if "modules_to_save" in name:
            parameter.data.add_(torch.randn_like(parameter) * 0.01)
    tuned.save_pretrained(run.folder)
    recipe = yaml.safe_load(run.recipe_file.read_text()) | {"add_tokens": "<room>", "resize_vocab": True}
    run.recipe_file.write_text(yaml.safe_dump(recipe))
    plan = plans.plan(workspace, [run.name], "unused", precision="float32")
    merge_child.merge(plan, tmp_path / "made")
    verdict = verify(plan, tmp_path / "made")
    assert not verdict.problems and verdict.top1 == 1.0
    assert len(AutoTokenizer.from_pretrained(tmp_path / "made").tokenize("<room>")) == 1
    assert load_file(tmp_path / "made" / WEIGHTS)["model.embed_tokens.weight"].shape[0] == rows


@slow
@pytest.mark.parametrize("form", ["merge", "bnb-8bit", "gguf"])
def test_a_disk_that_becomes_full_leaves_nothing_and_is_one_sentence(tmp_path, form):
    workspace = new_workspace(tmp_path / "workspace")
    run = random_run(workspace, "cramped", model=SMALL, dtype="bfloat16")
    kept = shutil.copytree(workspace.models / SMALL, tmp_path / "kept")
    with small_disk.mounted(workspace.models, "2g"):
        shutil.copytree(kept, workspace.models / SMALL)
        workspace.prepare()
        jobs, device = Jobs(workspace), DeviceLease()
        toolkit = Toolkit(jobs)
        merges = ExportService(workspace, device, jobs)
        forms = FormService(workspace, device, jobs, Collection(workspace, jobs), toolkit)
        starts = {
            "merge": lambda: merges.merge([run.name], "cramped"),
            "bnb-8bit": lambda: forms.quantize([SMALL], "bnb-8bit", name="cramped"),
            "gguf": lambda: forms.gguf([SMALL], ["q8_0"], name="cramped"),
        }
        if form == "gguf":
            toolkit.ensure(lambda *_, **__: None, lambda: None)
        being_written = workspace.models / ".writing"
        job = starts[form]()
        wait_for(lambda: any(being_written.iterdir()), every=0.01)
        used = shutil.disk_usage(workspace.models).used
        small_disk.resize(workspace.models, f"{(used >> 10) + 2048}k")
        job = jobs.wait(job.id, 300)
        assert job.state == "failed" and job.error["key"].endswith(".disk_full"), (job.error, jobs.log(job.id)[-20:])
        assert all(is_sentence(Sentence(**job.error).tell(Words(one))) for one in LANGUAGES)
        assert not any(being_written.iterdir())
        assert {path.name for path in workspace.models.iterdir()} == {SMALL, ".writing"}

"""The chat on a real small model: one batch against one at a time, adapters that come and go, and what goes wrong."""

import json
import shutil
from pathlib import Path

import pytest
from answering_models import GREEDY, QUESTION, adapters_on, ask, sharp_model, target_on, targets_on
from conftest import rest_slow

from studio.core import trust
from studio.core.i18n import Problem
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_faults import as_problem
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return sharp_model(tmp_path_factory.mktemp("models") / "sharp")


@pytest.fixture(scope="module")
def folders(model, tmp_path_factory) -> dict[str, Path]:
    return adapters_on(model, tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def everybody(model, folders) -> list[ModelTarget]:
    return targets_on(model, folders)


@pytest.fixture(scope="module")
def loaded() -> LocalEngine:
    return LocalEngine()


@pytest.fixture
def chat(loaded, everybody) -> LocalEngine:
    loaded.load(everybody)
    return loaded


def _reference(model, folder: Path | None, ids: tuple[int, ...], count: int) -> list[int]:
    import torch
    from peft import PeftModel

    if folder:
        tuned = PeftModel.from_pretrained(model, str(folder)).eval()
        try:
            return _reference(tuned, None, ids, count)
        finally:
            tuned.unload()
            del model.peft_config  # peft leaves it behind
    prompt = torch.tensor([ids])
    with torch.inference_mode():
        out = model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=count
        )
    return out[0, len(ids) :].tolist()


def test_one_batch_says_what_transformers_and_peft_say_one_at_a_time(chat, everybody, model):
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    answers = ask(chat, everybody)
    assert [answer.target for answer in answers] == ["base", "first", "second", "dora"]
    assert len({answer.text for answer in answers}) == 4
    tokenizer = chat._targets[everybody[0]].encoder.tokenizer
    for target, answer in zip(everybody, answers, strict=True):
        ids = _reference(plain, target.adapter, answer.prompt_tokens, GREEDY.max_tokens)
        assert answer.text == tokenizer.decode(ids, skip_special_tokens=True), target.name
        assert answer.finished == ("stop" if ids[-1] in (0, 2) else "length")
        assert answer.tokens == len([token for token in ids if token not in (0, 2)])


@pytest.mark.parametrize("sampling", rest_slow(Sampling(temperature=0.8, top_p=0.9, max_tokens=16, seed=5), GREEDY))
def test_an_answer_does_not_depend_on_the_other_columns(chat, everybody, sampling):
    together = ask(chat, everybody, sampling)
    for target, answer in zip(everybody, together, strict=True):
        assert ask(chat, [target], sampling)[0].text == answer.text


def test_each_row_has_its_own_template_and_stops(chat, everybody, model):
    alpaca = target_on("alpaca", model, template="alpaca")
    chat.load([*everybody, alpaca])
    pair, sampling = [everybody[0], alpaca], Sampling(temperature=0, max_tokens=40)
    together = ask(chat, pair, sampling)
    assert len(together[0].prompt_tokens) != len(together[1].prompt_tokens)
    for target, answer in zip(pair, together, strict=True):
        assert ask(chat, [target], sampling)[0].text == answer.text


def test_seeds_repeat_and_the_process_keeps_its_own_chance(chat, everybody):
    import torch

    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    said = [
        ask(chat, everybody[:2], Sampling(temperature=1.5, top_p=1, max_tokens=12, seed=seed))[0].text
        for seed in (1, 1, 2)
    ]
    chat.load(everybody[:1])
    chat.load(everybody)
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    assert said[0] == said[1] != said[2]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_a_fault_inside_is_told_and_leaves_the_chat_whole(chat, everybody):
    loaded = chat._targets[everybody[1]]
    layer = next(layer for layer in loaded.model._model.modules() if loaded.adapter in getattr(layer, "lora_A", {}))
    whole = layer.base_layer.weight.data
    before = ask(chat, everybody[:2])
    layer.base_layer.weight.data = whole[:, :-1].clone()
    try:
        with pytest.raises(Problem) as caught:
            ask(chat, everybody[:2])
    finally:
        layer.base_layer.weight.data = whole
    assert caught.value.key == "chat.failed" and "RuntimeError" in str(caught.value)
    assert [answer.text for answer in ask(chat, everybody[:2])] == [answer.text for answer in before]
    assert [answer.text for answer in ask(chat, everybody[:1])] == [before[0].text]


def test_lack_of_memory_has_its_own_sentence():
    import torch

    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 bytes"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ):
        assert as_problem(error, "chat.failed", kind="x").key == "chat.no_memory"
    assert as_problem(ValueError("odd"), "chat.failed", kind="ValueError").key == "chat.failed"


def test_what_cannot_be_asked_is_refused(chat, everybody, model):
    asked = {
        "chat.too_long": (everybody[:1], [{"role": "user", "content": "fox " * 9000}], GREEDY),
        "chat.no_question": (everybody[:1], [], GREEDY),
        "chat.bad_sampling": (everybody[:1], QUESTION, Sampling(top_p=0)),
        "chat.not_loaded": ([target_on("stranger", model)], QUESTION, GREEDY),
        "chat.nobody": ([], QUESTION, GREEDY),
    }
    for key, (targets, question, sampling) in asked.items():
        with pytest.raises(Problem) as caught:
            ask(chat, targets, sampling, question)
        assert caught.value.key == key and str(caught.value)


def test_a_template_of_another_vocabulary_is_refused_before_it_harms(chat, model):
    stranger = target_on("stranger", model, template="llama3")
    chat.load([stranger])
    talk = [*QUESTION, {"role": "assistant", "content": "An animal."}, *QUESTION]
    with pytest.raises(Problem, match="llama3"):
        ask(chat, [stranger], GREEDY, talk)


def test_adapters_come_and_go_on_one_copy_of_the_base(loaded, everybody):
    base, first, second, _ = everybody
    loaded.load([base])
    alone = loaded.memory_bytes()
    where = loaded._targets[base].model._model.get_input_embeddings().weight.data_ptr()
    said = ask(loaded, [base])[0].text
    steps = []
    loaded.load([base, first], lambda key, share: steps.append((key, share)))
    assert alone < loaded.memory_bytes() < 1.1 * alone
    loaded.load([base, first, second])
    assert loaded._targets[base].model._model.get_input_embeddings().weight.data_ptr() == where
    assert ask(loaded, [base, second])[0].text == said
    loaded.load([base])
    assert loaded.memory_bytes() == alone
    assert ask(loaded, [base])[0].text == said
    assert steps[-1] == ("chat.loaded", 1.0) and [share for _, share in steps] == sorted(share for _, share in steps)


@pytest.mark.parametrize("damage", [('"r": 4', '"r": 6'), ('_proj"', '_other"')])
@pytest.mark.parametrize("beside", rest_slow(2, 0))
def test_an_adapter_that_does_not_fit_is_refused_and_the_others_speak_on(
    loaded, everybody, folders, tmp_path, damage, beside, model
):
    bad = shutil.copytree(folders["first"], tmp_path / "bad")
    config = bad / "adapter_config.json"
    config.write_text(config.read_text(encoding="utf-8").replace(*damage), encoding="utf-8")
    good = everybody[: 1 + beside]
    loaded.load(good)
    before = [answer.text for answer in ask(loaded, good)]
    with pytest.raises(Problem) as caught:
        loaded.load([*good, target_on("bad", model, bad)])
    assert caught.value.key == "chat.adapter_unfit" and str(bad) in str(caught.value)
    loaded.load(good)
    assert [answer.text for answer in ask(loaded, good)] == before


def test_new_weights_under_an_old_name_are_noticed(chat, everybody, folders, tmp_path, model):
    changing = shutil.copytree(folders["first"], tmp_path / "run")
    target = target_on("run", model, changing)
    chat.load([*everybody, target])
    first, second, now = (answer.text for answer in ask(chat, [everybody[1], everybody[2], target]))
    assert now == first != second
    shutil.copytree(folders["second"], changing, dirs_exist_ok=True)
    weights = changing / "adapter_model.safetensors"
    shutil.copyfile(folders["second"] / weights.name, weights)
    chat.load([*everybody, target])
    assert ask(chat, [target])[0].text == second


def test_a_checkpoint_of_full_tuning_is_a_base_of_its_own_and_answers_at_the_same_time(
    chat, everybody, tmp_path, model
):
    whole = target_on("full", shutil.copytree(model, tmp_path / "checkpoint-20"))
    chat.load([everybody[0], whole])
    # Not a multiple of one: how each multiplies the fastest is measured, and packed weights take memory too.
    models = [chat._targets[target].model for target in (everybody[0], whole)]
    assert models[0] is not models[1] and chat.memory_bytes() == sum(model.memory_bytes() for model in models)
    seen = list(chat.compare([everybody[0], whole], [QUESTION] * 2, None, Sampling(temperature=0, max_tokens=300)))
    assert any(
        answers[0].tokens and answers[1].tokens and not answers[0].finished and not answers[1].finished
        for answers in seen
    )
    assert seen[-1][0].text == seen[-1][1].text


def test_a_models_own_code_runs_only_where_that_was_allowed(tmp_path, model):
    folder = tmp_path / "own"
    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((model / "config.json").read_text(encoding="utf-8")) | {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"},
    }
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n\n\nclass OwnConfig(LlamaConfig):\n    model_type ="
        " 'own'\n\n\nclass Own(LlamaForCausalLM):\n    config_class = OwnConfig\n",
        encoding="utf-8",
    )
    chat = LocalEngine()
    with pytest.raises(Problem) as caught:
        chat.load([target_on("own", folder)])
    assert caught.value.key == "prompt.own_code" and str(folder) in str(caught.value)
    allowed = target_on("own", folder, own_code=True)
    with pytest.raises(Problem) as caught:  # what a caller says is no consent
        chat.load([allowed])
    assert caught.value.key == "prompt.own_code" or "trust_remote_code" in str(caught.value)
    trust.grant(folder, trust.code_of(folder).digest)
    chat.load([allowed])
    assert type(chat._targets[allowed].model._model).__name__ == "Own"
    assert ask(chat, [allowed], Sampling(temperature=0, max_tokens=3))[0].text
    chat.unload()


def test_adapters_that_change_the_base_get_one_of_their_own(folders, tmp_path, model):
    pissa = shutil.copytree(folders["first"], tmp_path / "pissa")
    config = pissa / "adapter_config.json"
    config.write_text(
        config.read_text(encoding="utf-8").replace('"init_lora_weights": false', '"init_lora_weights": "pissa"'),
        encoding="utf-8",
    )
    assert target_on("p", model, pissa).base != target_on("b", model).base
    assert target_on("f", model, folders["first"]).base == target_on("b", model).base


def test_missing_weights_are_told(chat, tmp_path, model):
    for target, key in (
        (target_on("gone", tmp_path), "chat.no_model"),
        (target_on("gone", model, tmp_path), "chat.no_adapter"),
        (target_on("torn", _torn(tmp_path / "torn", model)), "models.truncated"),
    ):
        with pytest.raises(Problem) as caught:
            chat.load([target])
        assert caught.value.key == key and str(caught.value)


def _torn(folder: Path, model: Path) -> Path:
    shutil.copytree(model, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    return folder

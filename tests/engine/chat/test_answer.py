"""The chat on the real small model: one batch against one at a time, streaming, stopping, failing, and giving memory
back.
"""

import json
import shutil
import threading
from pathlib import Path

import pytest
from conftest import STARTER, rest_slow

from studio.core import trust
from studio.core.i18n import Problem
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_faults import as_problem
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling

MODEL = STARTER
GREEDY = Sampling(temperature=0, max_tokens=16)
QUESTION = [{"role": "user", "content": "What is a fox? Answer in one sentence."}]


def _make_adapter(model, folder: Path, seed: int, strength: float = 0.7, **more) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model

    state = torch.get_rng_state()
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4 * (1 + seed), lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False, **more
    )
    tuned = get_peft_model(model, config)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            weight.data *= strength
    tuned.save_pretrained(folder)
    tuned.unload()
    torch.set_rng_state(state)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    from transformers import AutoModelForCausalLM

    root, model = tmp_path_factory.mktemp("adapters"), AutoModelForCausalLM.from_pretrained(MODEL)
    return {
        "first": _make_adapter(model, root / "first", 0),
        "second": _make_adapter(model, root / "second", 1),
        "dora": _make_adapter(model, root / "dora", 2, 20.0, use_dora=True, layers_to_transform=[0, 1, 2]),
    }


@pytest.fixture(scope="module")
def everybody(folders) -> list[ModelTarget]:
    return [
        ModelTarget("base", MODEL, None, "chatml"),
        *(ModelTarget(name, MODEL, folder, "chatml") for name, folder in folders.items()),
    ]


@pytest.fixture(scope="module")
def loaded() -> LocalEngine:
    return LocalEngine()


@pytest.fixture
def chat(loaded, everybody) -> LocalEngine:
    loaded.load(everybody)
    return loaded


@pytest.fixture
def exact(chat, everybody) -> LocalEngine:
    """The chat with float32 weights: in bfloat16 the same row may round to another token in a batch of another size."""
    import torch

    model = chat._targets[everybody[0]].model._model
    weights = [weight for name, weight in model.named_parameters() if "lora" not in name]
    kept = [weight.data for weight in weights]
    for weight in weights:
        weight.data = weight.data.to(torch.float32)
    yield chat
    for weight, data in zip(weights, kept, strict=True):
        weight.data = data


def _ask(
    chat: LocalEngine,
    targets: list[ModelTarget],
    sampling: Sampling = GREEDY,
    question: list[dict] = QUESTION,
    system: str | None = None,
):
    *_, last = chat.compare(targets, [question] * len(targets), system, sampling)
    return last


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


def test_one_batch_says_what_transformers_and_peft_say_one_at_a_time(exact, everybody):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    answers = _ask(exact, everybody)
    assert [answer.target for answer in answers] == ["base", "first", "second", "dora"]
    assert len({answer.text for answer in answers}) == 4
    tokenizer = exact._targets[everybody[0]].encoder.tokenizer
    for target, answer in zip(everybody, answers, strict=True):
        ids = _reference(model, target.adapter, answer.prompt_tokens, GREEDY.max_tokens)
        assert answer.text == tokenizer.decode(ids, skip_special_tokens=True), target.name
        assert answer.finished == ("stop" if ids[-1] in (0, 2) else "length")
        assert answer.tokens == len([token for token in ids if token not in (0, 2)])


@pytest.mark.parametrize("sampling", rest_slow(Sampling(temperature=0.8, top_p=0.9, max_tokens=16, seed=5), GREEDY))
def test_an_answer_does_not_depend_on_the_other_columns(exact, everybody, sampling):
    together = _ask(exact, everybody, sampling)
    for target, answer in zip(everybody, together, strict=True):
        assert _ask(exact, [target], sampling)[0].text == answer.text


def test_each_row_has_its_own_template_and_stops(exact, everybody):
    alpaca = ModelTarget("alpaca", MODEL, None, "alpaca")
    exact.load([*everybody, alpaca])
    pair, sampling = [everybody[0], alpaca], Sampling(temperature=0, max_tokens=40)
    together = _ask(exact, pair, sampling)
    assert len(together[0].prompt_tokens) != len(together[1].prompt_tokens)
    assert together[0].finished == "stop"
    for target, answer in zip(pair, together, strict=True):
        assert _ask(exact, [target], sampling)[0].text == answer.text


def test_seeds_repeat_and_the_process_keeps_its_own_chance(chat, everybody):
    import torch

    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    said = [
        _ask(chat, everybody[:2], Sampling(temperature=1.5, top_p=1, max_tokens=12, seed=seed))[0].text
        for seed in (1, 1, 2)
    ]
    chat.load(everybody[:1])
    chat.load(everybody)
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    assert said[0] == said[1] != said[2]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_snapshots_grow_and_times_are_told(chat, everybody):
    seen = list(chat.compare(everybody[:3], [QUESTION] * 3, None, GREEDY))
    assert len(seen) > 5
    for column in range(3):
        texts = [answers[column].text for answers in seen]
        assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))
    last = seen[-1][0]
    assert last.first_token_s > 0 and last.tokens_per_s > 0 and last.finished


def test_stop_ends_within_a_token_and_the_next_question_is_answered(chat, everybody):
    stop, seen = threading.Event(), 0
    for answers in chat.compare(everybody, [QUESTION] * 4, None, Sampling(temperature=0, max_tokens=500), stop):
        if answers[0].tokens >= 3 and not stop.is_set():
            seen = answers[0].tokens
            stop.set()
    assert [answer.finished for answer in answers] == ["stopped"] * 4
    assert answers[0].tokens <= seen + 2 and answers[3].tokens == 0
    assert _ask(chat, everybody[:2])[1].finished


def test_who_stops_reading_stops_the_answers(chat, everybody):
    answers = chat.compare(everybody[:2], [QUESTION] * 2, None, Sampling(temperature=0, max_tokens=5000))
    next(answers)
    answers.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "chat"]


def test_a_fault_inside_is_told_and_leaves_the_chat_whole(chat, everybody):
    loaded = chat._targets[everybody[1]]
    layer = next(layer for layer in loaded.model._model.modules() if loaded.adapter in getattr(layer, "lora_A", {}))
    whole = layer.base_layer.weight.data
    before = _ask(chat, everybody[:2])
    layer.base_layer.weight.data = whole[:, :-1].clone()
    try:
        with pytest.raises(Problem) as caught:
            _ask(chat, everybody[:2])
    finally:
        layer.base_layer.weight.data = whole
    assert caught.value.key == "chat.failed" and "RuntimeError" in str(caught.value)
    assert [answer.text for answer in _ask(chat, everybody[:2])] == [answer.text for answer in before]
    assert [answer.text for answer in _ask(chat, everybody[:1])] == [before[0].text]


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


def test_what_cannot_be_asked_is_refused(chat, everybody):
    asked = {
        "chat.too_long": (everybody[:1], [{"role": "user", "content": "fox " * 9000}], GREEDY),
        "chat.no_question": (everybody[:1], [], GREEDY),
        "chat.bad_sampling": (everybody[:1], QUESTION, Sampling(top_p=0)),
        "chat.not_loaded": ([ModelTarget("stranger", MODEL, None, "chatml")], QUESTION, GREEDY),
        "chat.nobody": ([], QUESTION, GREEDY),
    }
    for key, (targets, question, sampling) in asked.items():
        with pytest.raises(Problem) as caught:
            _ask(chat, targets, sampling, question)
        assert caught.value.key == key and str(caught.value)


def test_a_template_of_another_vocabulary_is_refused_before_it_harms(chat):
    stranger = ModelTarget("stranger", MODEL, None, "llama3")
    chat.load([stranger])
    talk = [*QUESTION, {"role": "assistant", "content": "An animal."}, *QUESTION]
    with pytest.raises(Problem, match="llama3"):
        _ask(chat, [stranger], GREEDY, talk)


def test_adapters_come_and_go_on_one_copy_of_the_base(loaded, everybody):
    base, first, second, _ = everybody
    loaded.load([base])
    alone = loaded.memory_bytes()
    where = loaded._targets[base].model._model.get_input_embeddings().weight.data_ptr()
    said = _ask(loaded, [base])[0].text
    steps = []
    loaded.load([base, first], lambda key, share: steps.append((key, share)))
    assert alone < loaded.memory_bytes() < 1.1 * alone
    loaded.load([base, first, second])
    assert loaded._targets[base].model._model.get_input_embeddings().weight.data_ptr() == where
    assert _ask(loaded, [base, second])[0].text == said
    loaded.load([base])
    assert loaded.memory_bytes() == alone
    assert _ask(loaded, [base])[0].text == said
    assert steps[-1] == ("chat.loaded", 1.0) and [share for _, share in steps] == sorted(share for _, share in steps)


@pytest.mark.parametrize("damage", [('"r": 4', '"r": 6'), ('_proj"', '_other"')])
@pytest.mark.parametrize("beside", rest_slow(2, 0))
def test_an_adapter_that_does_not_fit_is_refused_and_the_others_speak_on(
    loaded, everybody, folders, tmp_path, damage, beside
):
    bad = shutil.copytree(folders["first"], tmp_path / "bad")
    config = bad / "adapter_config.json"
    config.write_text(config.read_text(encoding="utf-8").replace(*damage), encoding="utf-8")
    good = everybody[: 1 + beside]
    loaded.load(good)
    before = [answer.text for answer in _ask(loaded, good)]
    with pytest.raises(Problem) as caught:
        loaded.load([*good, ModelTarget("bad", MODEL, bad, "chatml")])
    assert caught.value.key == "chat.adapter_unfit" and str(bad) in str(caught.value)
    loaded.load(good)
    assert [answer.text for answer in _ask(loaded, good)] == before


def test_new_weights_under_an_old_name_are_noticed(chat, everybody, folders, tmp_path):
    changing = shutil.copytree(folders["first"], tmp_path / "run")
    target = ModelTarget("run", MODEL, changing, "chatml")
    chat.load([*everybody, target])
    first, second, now = (answer.text for answer in _ask(chat, [everybody[1], everybody[2], target]))
    assert now == first != second
    shutil.copytree(folders["second"], changing, dirs_exist_ok=True)
    weights = changing / "adapter_model.safetensors"
    shutil.copyfile(folders["second"] / weights.name, weights)
    chat.load([*everybody, target])
    assert _ask(chat, [target])[0].text == second


def test_a_checkpoint_of_full_tuning_is_a_base_of_its_own_and_answers_at_the_same_time(chat, everybody, tmp_path):
    whole = ModelTarget("full", shutil.copytree(MODEL, tmp_path / "checkpoint-20"), None, "chatml")
    chat.load([everybody[0], whole])
    # Not a multiple of one: how each multiplies the fastest is measured, and packed weights take memory too.
    models = [chat._targets[target].model for target in (everybody[0], whole)]
    assert models[0] is not models[1] and chat.memory_bytes() == sum(model.memory_bytes() for model in models)
    seen = list(chat.compare([everybody[0], whole], [QUESTION] * 2, None, GREEDY))
    assert any(
        answers[0].tokens and answers[1].tokens and not answers[0].finished and not answers[1].finished
        for answers in seen
    )
    assert seen[-1][0].text == seen[-1][1].text


@pytest.mark.parametrize("bits, share", rest_slow((4, 0.6), (8, 0.75)))
def test_fewer_bits_take_less_and_speak(bits, share):
    small, chat = (
        ModelTarget("small", MODEL, None, "chatml", bits=bits),
        LocalEngine(),
    )  # one of its own: the others' base stays where it is
    chat.load([small])
    answer = _ask(chat, [small], Sampling(temperature=0, max_tokens=2), [{"role": "user", "content": "Hi"}])[0]
    assert answer.tokens and answer.text
    assert chat.memory_bytes() < share * MODEL.joinpath("model.safetensors").stat().st_size
    chat.unload()


def test_a_models_own_code_runs_only_where_that_was_allowed(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    for file in MODEL.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8")) | {
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
        chat.load([ModelTarget("own", folder, None, "chatml")])
    assert caught.value.key == "prompt.own_code" and str(folder) in str(caught.value)
    allowed = ModelTarget("own", folder, None, "chatml", own_code=True)
    with pytest.raises(Problem) as caught:  # what a caller says is no consent
        chat.load([allowed])
    assert caught.value.key == "prompt.own_code" or "trust_remote_code" in str(caught.value)
    trust.grant(folder, trust.code_of(folder).digest)
    chat.load([allowed])
    assert type(chat._targets[allowed].model._model).__name__ == "Own"
    assert _ask(chat, [allowed], Sampling(temperature=0, max_tokens=3))[0].text
    chat.unload()


def test_adapters_that_change_the_base_get_one_of_their_own(folders, tmp_path):
    pissa = shutil.copytree(folders["first"], tmp_path / "pissa")
    config = pissa / "adapter_config.json"
    config.write_text(
        config.read_text(encoding="utf-8").replace('"init_lora_weights": false', '"init_lora_weights": "pissa"'),
        encoding="utf-8",
    )
    assert ModelTarget("p", MODEL, pissa, "chatml").base != ModelTarget("b", MODEL, None, "chatml").base
    assert ModelTarget("f", MODEL, folders["first"], "chatml").base == ModelTarget("b", MODEL, None, "chatml").base


def test_missing_weights_are_told(chat, tmp_path):
    for target, key in (
        (ModelTarget("gone", tmp_path, None, "chatml"), "chat.no_model"),
        (ModelTarget("gone", MODEL, tmp_path, "chatml"), "chat.no_adapter"),
        (ModelTarget("torn", _torn(tmp_path / "torn"), None, "chatml"), "models.truncated"),
    ):
        with pytest.raises(Problem) as caught:
            chat.load([target])
        assert caught.value.key == key and str(caught.value)


def _torn(folder: Path) -> Path:
    shutil.copytree(MODEL, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    return folder


def test_unload_from_another_thread_ends_the_answer_and_gives_the_memory_back(chat, everybody):
    freed, unloading = [], threading.Thread(target=lambda: freed.append(chat.unload()))
    for answers in chat.compare(everybody[:2], [QUESTION] * 2, None, Sampling(temperature=0, max_tokens=5000)):
        if answers[0].tokens >= 2 and unloading.ident is None:
            unloading.start()
    unloading.join()
    assert {answer.finished for answer in answers} <= {"stopped", "stop"}
    assert chat.memory_bytes() == 0 and chat.targets() == []
    on_a_gpu = freed[0].gpu_before - freed[0].gpu_after
    assert max(on_a_gpu, freed[0].memory_before - freed[0].memory_after) > 150e6
    with pytest.raises(Problem) as caught:
        _ask(chat, everybody[:1])
    assert caught.value.key == "chat.not_loaded"


def test_loading_waits_for_an_answer_under_way(chat, everybody):
    answers = chat.compare(everybody[:1], [QUESTION], None, Sampling(temperature=0, max_tokens=8))
    next(answers)
    thread = threading.Thread(target=chat.load, args=(everybody[:2],))
    thread.start()
    *_, last = answers
    thread.join()
    assert last[0].finished == "length"
    assert chat.targets() == everybody[:2]

"""The chat on a real card: base and adapters in one batch against one at a time, 4 and 8 bits, memory given back."""

import statistics
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from card import in_threads
from gpu_figures import gib

from studio.core.device_lease import free_memory
from studio.core.i18n import Problem
from studio.inference.local import attention
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling

pytest_plugins = ["card"]

QUESTION = [{"role": "user", "content": "Write a long story about a lighthouse keeper who finds a letter."}]
TOKENS = 32
GREEDY = Sampling(temperature=0, max_tokens=TOKENS)


@pytest.fixture(scope="module")
def adapters(noise_model, tmp_path_factory) -> list[Path]:
    """Three adapters of random numbers, of different ranks, strong enough to be heard."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    root, found = tmp_path_factory.mktemp("adapters"), []
    model = AutoModelForCausalLM.from_pretrained(noise_model, device_map="cuda")
    for number in range(3):
        torch.manual_seed(number)
        config = LoraConfig(r=4 * (1 + number), target_modules="all-linear", init_lora_weights=False)
        tuned = get_peft_model(model, config)
        tuned.save_pretrained(root / str(number))
        tuned.unload()
        found.append(root / str(number))
    del model, tuned
    free_memory()
    return found


def targets(noise_model: Path, adapters: list[Path], **more) -> list[ModelTarget]:
    """Return the base, and each adapter on it."""
    named = [(f"adapter {number}", folder) for number, folder in enumerate(adapters)]
    return [ModelTarget(name, noise_model, folder, "chatml", **more) for name, folder in [("base", None), *named]]


@pytest.fixture
def engine():
    running = LocalEngine()
    yield running
    running.unload()


def ask(engine: LocalEngine, those: list[ModelTarget], sampling: Sampling = GREEDY) -> list:
    """Return the finished answers of those that are asked together."""
    *_, answers = engine.compare(those, [QUESTION] * len(those), None, sampling, threading.Event())
    assert not [answer.fault for answer in answers if answer.fault]
    return answers


def next_logits(engine: LocalEngine, those: list[ModelTarget], rows: list[int]):
    """Return the logits after the question, of these rows together: [rows, vocabulary] in float64."""
    import torch

    loaded = [engine.loaded(those[row]) for row in rows]
    with loaded[0].model.forward([one.adapter for one in loaded]) as forward:
        ids = torch.tensor([loaded[0].encoder.encode(QUESTION)] * len(rows), device=loaded[0].model.device)
        return forward(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1].double()


def apart(some, others) -> float:
    """Return the greatest distance of a row from the other's, as a share of that one's length."""
    return ((some - others).norm(dim=-1) / others.norm(dim=-1)).max().item()


def test_each_answers_in_the_batch_as_it_does_alone(noise_model, adapters, record):
    """In float32 but for rounding; in bfloat16 a row in the batch is no further from that than a row alone is."""
    import torch

    together, alone, same = {}, {}, {}
    for precision in ("float32", "bfloat16"):
        engine = LocalEngine()
        all_of_them = targets(noise_model, adapters, precision=precision)
        engine.load(all_of_them)
        numbers = range(len(all_of_them))
        together[precision] = next_logits(engine, all_of_them, list(numbers))
        alone[precision] = torch.cat([next_logits(engine, all_of_them, [row]) for row in numbers])
        texts = [answer.text for answer in ask(engine, all_of_them)]
        same[precision] = sum(text == ask(engine, [one])[0].text for text, one in zip(texts, all_of_them, strict=True))
        assert len(set(texts)) == len(texts), "the adapters must be heard"
        engine.unload()
    rounding = apart(together["float32"], alone["float32"])
    in_batch = apart(together["bfloat16"], alone["float32"])
    by_itself = apart(alone["bfloat16"], alone["float32"])
    assert by_itself > 0, "float32 was asked for, and bfloat16 computed"
    record(
        "chat, float32: next logits of base and three adapters in one batch against alone, as a share",
        f"{rounding:.1g}",
        reach="at most 1e-4",
        reached=rounding <= 1e-4,
    )
    record(
        "chat, bfloat16: the same against float32 alone, beside what bfloat16 alone is off",
        f"{in_batch:.2g}",
        f"{by_itself:.2g}",
        f"{in_batch / by_itself:.3f}",
        "at most 1.5",
        in_batch <= 1.5 * by_itself,
    )
    for precision, count in same.items():
        record(f"chat, {precision}: texts of {TOKENS} tokens that are the same in one batch as alone", f"{count} of 4")
    assert rounding <= 1e-4 and in_batch <= 1.5 * by_itself


def test_a_batch_costs_little_more_than_one(engine, noise_model, adapters, record):
    all_of_them = targets(noise_model, adapters)
    engine.load(all_of_them)
    series = {"one": all_of_them[1:2], "two": all_of_them[:2], "four": all_of_them}
    taken = {name: [] for name in series}
    for number in range(5):
        for name, those in series.items():
            began = time.perf_counter()
            answers = ask(engine, those)
            if number:
                assert {answer.tokens for answer in answers} == {TOKENS}
                taken[name].append(time.perf_counter() - began)
    one, two, four = (statistics.median(taken[name]) for name in series)
    for what, seconds, most in (("base and adapter", two, 1.15), ("base and three adapters", four, 1.4)):
        record(
            f"chat: {what} in one batch against the adapter alone, {TOKENS} tokens",
            f"{seconds:.2f} s",
            f"{one:.2f} s",
            f"{seconds / one:.3f}",
            f"at most {most}",
            seconds / one <= most,
        )
    assert two / one <= 1.25 and four / one <= 1.6


def test_a_stream_is_as_fast_as_generate(engine, noise_model, record):
    import torch

    (target,) = targets(noise_model, [])
    engine.load([target])
    loaded = engine.loaded(target)
    prompt = torch.tensor([loaded.encoder.encode(QUESTION)], device="cuda")
    model = loaded.model.transformers_model

    def plainly() -> None:
        with torch.inference_mode():
            model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=TOKENS, pad_token_id=0
            )
        torch.cuda.synchronize()

    pace = ([], [])
    for number in range(5):
        for side, work in enumerate((lambda: ask(engine, [target]), plainly)):
            began = time.perf_counter()
            work()
            if number:
                pace[side].append(TOKENS / (time.perf_counter() - began))
    ours, plain = map(statistics.median, pace)
    record(
        f"chat: streaming {TOKENS} tokens against plain `model.generate` (higher is better)",
        f"{ours:.1f} tokens/s",
        f"{plain:.1f} tokens/s",
        f"{ours / plain:.3f}",
        "at least 0.95",
        ours / plain >= 0.95,
    )
    assert ours / plain >= 0.85


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_what_is_loaded_is_counted_and_given_back(engine, noise_model, adapters, bits, record):
    import torch

    in_threads(2)
    before = torch.cuda.memory_allocated()
    those = targets(noise_model, adapters[:1], bits=bits)
    engine.load(those)
    held, told = torch.cuda.memory_allocated() - before, engine.memory_bytes()
    answers = ask(engine, those, Sampling(max_tokens=8))
    assert all(answer.tokens == 8 for answer in answers)
    record(f"chat: bytes of base and adapter, {bits or 16} bits, told against torch's", gib(told), gib(held))
    assert told == pytest.approx(held, rel=0.02)
    engine.unload()
    left = torch.cuda.memory_allocated() - before
    record(
        "chat: memory of the card held after unloading", gib(left), reach="under 0.01 GiB", reached=left < 0.01 * 2**30
    )
    assert left < 32 * 2**20


def test_an_unload_while_it_answers_gives_all_back(engine, noise_model, adapters, record):
    """What torch's tensors hold, and what its allocator keeps of the card: a run in a process of its own wants both."""
    import torch

    in_threads(2)
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    those, unloading = targets(noise_model, adapters[:1]), threading.Thread(target=engine.unload)
    engine.load(those)
    for answers in engine.compare(those, [QUESTION] * 2, None, Sampling(temperature=0, max_tokens=1000)):
        if answers[0].tokens >= 2 and unloading.ident is None:
            unloading.start()
    unloading.join()
    tensors, kept = torch.cuda.memory_allocated() - before[0], torch.cuda.memory_reserved() - before[1]
    record(
        "chat: tensors on the card after an unload while it answers", gib(tensors), reach="0", reached=tensors < 2**26
    )
    record("chat: what torch keeps of the card besides", gib(kept - tensors), reach="0", reached=kept < 2**27)
    held = [
        (segment["total_size"], sum(one["size"] for one in segment["blocks"] if one["state"] != "inactive"))
        for segment in torch.cuda.memory_snapshot()
    ]
    assert tensors < 2**26 and kept < 2**27, sorted(held)[-6:]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("tokens, heads, groups", [(1, 14, 2), (1, 8, 8), (1, 8, 1), (40, 14, 2), (40, 8, 8)])
def test_attention_is_that_of_transformers(tokens, heads, groups, masked):
    """Whatever torch takes on this card; the greatest difference is what bfloat16 rounds."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    generator = torch.Generator("cuda").manual_seed(1)
    length = 40 if tokens > 1 else 67

    def numbers(rows: int, count: int):
        return torch.randn(2, rows, count, 64, generator=generator, device="cuda", dtype=torch.bfloat16)

    query, key, value = numbers(heads, tokens), numbers(groups, length + 5)[:, :, :length], numbers(groups, length)
    mask = None
    if masked:
        mask = torch.ones(2, 1, tokens, length, dtype=torch.bool, device="cuda").tril(length - tokens)
        mask[0, :, :, :3] = False  # padding on the left
    module = SimpleNamespace(num_key_value_groups=heads // groups, is_causal=True)
    theirs, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.2)
    ours, _ = attention.fused(module, query, key, value, mask, scaling=0.2)
    assert ours.shape == theirs.shape
    seen = slice(3, None) if masked and tokens > 1 else slice(None)  # a row that looks at nothing is padding
    assert (ours[:, seen].float() - theirs[:, seen].float()).abs().max() < 0.03
    assert torch.isfinite(ours).all()


def test_a_card_that_is_too_small_is_told_and_stays_usable(engine, noise_model):
    import torch

    free_memory()
    total = torch.cuda.get_device_properties(0).total_memory
    (target,) = targets(noise_model, [])
    before = torch.cuda.memory_allocated()
    torch.cuda.set_per_process_memory_fraction((before + 2**29) / total)
    try:
        with pytest.raises(Problem) as caught:
            engine.load([target])
        assert caught.value.key == "chat.no_memory"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    free_memory()
    assert torch.cuda.memory_allocated() <= before + 2**20
    engine.load([target])
    assert ask(engine, [target], Sampling(temperature=0, max_tokens=4))[0].tokens == 4

"""The letters that models choose are those of LLaMA-Factory's evaluator, whatever is shared and batched."""

from pathlib import Path

import benchmark_sets
import numpy as np
import pytest
from answering_models import sharp_model
from conftest import STARTER, rest_slow

from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import letter_choices, question_rows
from studio.evaluate.benchmarks.letter_choices import Choice, Failure, LetterChoices
from studio.evaluate.benchmarks.sets import layouts
from studio.evaluate.benchmarks.shared_prefix import Batch, plan
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.settings import BenchmarkSettings
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget


@pytest.fixture(scope="module", params=rest_slow("sharp", "starter"))
def model_folder(request, tmp_path_factory) -> Path:
    """A small model whose random weights are wide enough to prefer one letter clearly; at night the starter too."""
    return sharp_model(tmp_path_factory.mktemp("models") / "sharp") if request.param == "sharp" else STARTER


@pytest.fixture(scope="module")
def adapters(model_folder, tmp_path_factory) -> dict[str, Path]:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    root, model = tmp_path_factory.mktemp("adapters"), AutoModelForCausalLM.from_pretrained(model_folder)
    for name, seed, more in (("first", 0, {}), ("second", 1, {}), ("dora", 2, {"use_dora": True})):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False, **more)
        tuned = get_peft_model(model, config)
        for parameter, weight in tuned.named_parameters():
            if "lora_B" in parameter:
                weight.data *= 0.5
        tuned.save_pretrained(root / name)
        tuned.unload()
    return {name: root / name for name in ("first", "second", "dora")}


@pytest.fixture(scope="module")
def engine(model_folder, adapters) -> LocalEngine:
    engine = LocalEngine()
    engine.load(targets_of(model_folder, adapters))
    yield engine
    engine.unload()


def targets_of(model: Path, adapters: dict[str, Path]) -> list[ModelTarget]:
    named = {"base": None, **adapters}
    return [ModelTarget(name, model, folder, "chatml", precision="float32") for name, folder in named.items()]


@pytest.fixture
def loaded(engine, model_folder, adapters) -> dict:
    return {one.name: engine.loaded(one) for one in targets_of(model_folder, adapters)}


def asked_of(folder: Path, place: Path, **settings) -> list[question_rows.Asked]:
    evaluation = Evaluations(Workspace(place).prepare()).create(
        "benchmark", ["base"], [folder.name], BenchmarkSettings(**settings)
    )
    question_rows.write(evaluation, [layouts.look(folder)])
    return list(question_rows.conversations(evaluation))


def formula(folder: Path, asked: list[question_rows.Asked], adapter: Path | None) -> tuple[list[str], np.ndarray]:
    """Return what LLaMA-Factory's evaluator chooses (`Evaluator.batch_inference`: padded on the right, the logits of
    the last position, argmax over the last token of each letter), and the shares.
    """
    import torch
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.extras.constants import CHOICES
    from llamafactory.hparams import DataArguments
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="right")
    template = get_template_and_fix_tokenizer(tokenizer, DataArguments(template="chatml"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = PeftModel.from_pretrained(model, adapter).eval() if adapter else model
    letters = [tokenizer.encode(letter, add_special_tokens=False)[-1] for letter in CHOICES]
    found = []
    for start in range(0, len(asked), 4):
        inputs = []
        for one in asked[start : start + 4]:
            messages = [*one.messages, {"role": "assistant", "content": one.row.answer}]
            ids, _ = template.encode_oneturn(tokenizer, messages)
            inputs.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
        batch = tokenizer.pad(inputs, return_attention_mask=True, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**batch).logits
        lengths = batch["attention_mask"].sum(-1)
        words = torch.stack([logits[at, lengths[at] - 1] for at in range(len(lengths))])
        found.append(torch.softmax(words[:, letters], dim=-1))
    shares = torch.cat(found).numpy()
    return ["ABCD"[place] for place in shares.argmax(1)], shares


def chosen(choices: LetterChoices, asked) -> dict[tuple[int, str], Choice]:
    by_subject: dict[str, list] = {}
    for one in asked:
        by_subject.setdefault(one.row.subject, []).append(one)
    found = [one for some in by_subject.values() for batch in choices.ask(some) for one in batch]
    assert not [one.fault for one in found if isinstance(one, Failure)]
    return {(one.asked.row.row, one.target): one for one in found}


def same(found: dict, asked: list, target: str, expected: tuple[list[str], np.ndarray]) -> None:
    letters, shares = expected
    mine = [found[one.row.row, target] for one in asked]
    assert [one.letter for one in mine] == letters
    np.testing.assert_allclose([one.shares for one in mine], shares, atol=2e-4)


def test_every_choice_is_that_of_llamafactory(loaded, model_folder, tmp_path):
    asked = asked_of(benchmark_sets.mmlu(tmp_path / "set", questions=1), tmp_path)
    found = chosen(LetterChoices([loaded["base"]], 8), asked)
    assert len(found) == 20
    expected = formula(model_folder, asked, None)
    same(found, asked, "base", expected)
    assert len(set(expected[0])) > 1  # else any letter would do


def test_base_and_adapters_share_a_batch(loaded, model_folder, adapters, tmp_path):
    asked = asked_of(benchmark_sets.mmlu(tmp_path / "set", subjects=2, questions=3), tmp_path, shots=2)
    together = letter_choices.groups(list(loaded.values()))
    assert [[one.target.name for one in group] for group in together] == [["base", "first", "second"], ["dora"]]
    found = {key: one for group in together for key, one in chosen(LetterChoices(group, 8), asked).items()}
    for name, folder in {"base": None, **adapters}.items():
        same(found, asked, name, formula(model_folder, asked, folder))


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_what_is_shared_and_batched_changes_no_choice(loaded, tmp_path, batch):
    asked = asked_of(benchmark_sets.cmmlu(tmp_path / "set", subjects=1, questions=5), tmp_path, shots=2)
    apart = LetterChoices([loaded["base"]], 1)
    apart._shares = False
    whole = chosen(apart, asked)
    shared = LetterChoices([loaded["base"]], batch)
    found = chosen(shared, asked)
    assert shared._shares and whole.keys() == found.keys()
    for key, one in whole.items():
        assert found[key].letter == one.letter
        np.testing.assert_allclose(found[key].shares, one.shares, atol=2e-4)


def test_two_to_ten_choices(loaded, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "own.json").write_text(
        '[{"question": "One?", "choices": ["x", "y"], "answer": "B"},'
        ' {"question": "Two?", "choices": ["a","b","c","d","e","f","g","h","i","j"], "answer": "J"}]'
    )
    found = list(chosen(LetterChoices([loaded["base"]], 8), asked_of(tmp_path / "set", tmp_path)).values())
    assert sorted(len(one.shares) for one in found) == [2, 10]
    assert all(abs(sum(one.shares) - 1) < 1e-5 for one in found)


def test_a_lack_of_memory_halves_the_batch(loaded, tmp_path, monkeypatch):
    import torch

    asked = asked_of(benchmark_sets.mmlu(tmp_path / "set", subjects=1, questions=8), tmp_path, shots=1)
    expected = chosen(LetterChoices([loaded["base"]], 1), asked)
    halved = []
    choices = LetterChoices([loaded["base"]], 8, halved.append)
    real = choices._logits

    def short(ids, shared):
        if len(ids) > 2:
            raise torch.OutOfMemoryError
        return real(ids, shared)

    monkeypatch.setattr(choices, "_logits", short)
    found = chosen(choices, asked)
    assert halved == [4, 2]
    assert {key: one.letter for key, one in found.items()} == {key: one.letter for key, one in expected.items()}


def test_a_question_that_does_not_fit_is_told_and_costs_no_other(loaded, tmp_path):
    (tmp_path / "set").mkdir()
    long = "word " * 9000
    (tmp_path / "set" / "own.csv").write_text(f"question,A,B,answer\nOne?,x,y,A\n{long},x,y,A\nThree?,x,y,B\n")
    asked = asked_of(tmp_path / "set", tmp_path)
    found = [one for batch in LetterChoices([loaded["base"]], 8).ask(asked) for one in batch]
    assert [one.fault.key for one in found if isinstance(one, Failure)] == ["chat.too_long"]
    assert sorted(one.asked.row.row for one in found if isinstance(one, Choice)) == [0, 2]


def test_the_plan_shares_what_is_worth_a_pass():
    def prompt(*parts: int) -> np.ndarray:
        return np.concatenate([np.full(200, part) for part in parts])

    prompts = sorted((prompt(1, one, two) for one in (2, 3) for two in range(4, 10)), key=lambda one: one.tolist())
    assert plan(prompts, 8) == [Batch(0, 6, 400), Batch(6, 12, 400)]
    assert plan(prompts[:1], 8) == [Batch(0, 1, 0)]
    assert plan([], 8) == []
    alone = [np.arange(start, start + 50) for start in range(0, 1000, 100)]
    batches = plan(alone, 4)
    assert len(batches) == 3 and all(batch.shared == 0 and batch.stop - batch.start <= 4 for batch in batches)

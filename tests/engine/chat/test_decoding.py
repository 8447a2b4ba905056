"""Rows that share a beginning, end at different times and have adapters of their own say what each says alone."""

import threading

import pytest
from answering_models import sharp_model, target_on

from studio.inference.local import decoding
from studio.inference.local.generation import Batch, GrowingAnswer
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.prompt_encoding import Prompt
from studio.inference.sampling import Sampling

SAMPLING = Sampling(temperature=0, max_tokens=12)
QUESTIONS = ("Why is the sky blue?", "Name a colour.", "What is 2 + 2?", "Say yes.", "Who wrote Hamlet, and when?")


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    engine = LocalEngine()
    one = target_on("base", sharp_model(tmp_path_factory.mktemp("models") / "sharp"))
    engine.load([one])
    yield engine.loaded(one)
    engine.unload()


def _answers(target, prompts: list[Prompt], sampling=SAMPLING, stop_ids=None) -> list[list[int]]:
    rows = [GrowingAnswer(target, prompt, sampling, stop_ids=stop_ids) for prompt in prompts]
    Batch(rows, threading.Event(), []).run(sampling)
    assert all(row.finished in ("stop", "length") for row in rows)
    return [row.tokens for row in rows]


@pytest.fixture(scope="module")
def prompts(target) -> list[Prompt]:
    system = "You are a helpful assistant that answers in one short sentence, and never in two."
    return [target.encoder.prompt([{"role": "user", "content": text}], system) for text in QUESTIONS]


def _passes(target, monkeypatch) -> list[tuple[int, int]]:
    """Return the shapes of what the model is given from now on."""
    shapes, model = [], target.model.transformers_model
    plain = model.forward

    def counted(*arguments, **named):
        shapes.append(tuple(named["input_ids"].shape))
        return plain(*arguments, **named)

    monkeypatch.setattr(model, "forward", counted)
    return shapes


def test_a_batch_says_what_generate_says_of_each_row(target, prompts, monkeypatch):
    assert target.model._decodes
    together = _answers(target, prompts)
    assert together == [_answers(target, [prompt])[0] for prompt in prompts]
    monkeypatch.setattr(target.model, "_decodes", False)  # transformers' own loop
    assert together == _answers(target, prompts)


def test_drawn_answers_are_the_same_alone_and_together(target, prompts):
    drawn = Sampling(temperature=0.9, top_p=0.8, max_tokens=8, seed=5)
    assert _answers(target, prompts, drawn) == [_answers(target, [prompt], drawn)[0] for prompt in prompts]


def test_the_beginning_is_computed_once_and_rows_that_end_leave(target, prompts, monkeypatch):
    plain = _answers(target, prompts)
    stop = frozenset({plain[0][2], plain[1][4]})  # ends rows at different tokens
    alone = [_answers(target, [prompt], stop_ids=stop)[0] for prompt in prompts]
    assert len({len(tokens) for tokens in alone}) > 1
    shapes = _passes(target, monkeypatch)
    assert _answers(target, prompts, stop_ids=stop) == alone
    (_, shared), (rows, rest) = shapes[:2]
    assert shapes[0][0] == 1 and rows == len(prompts)
    assert shared + rest == max(len(prompt.ids) for prompt in prompts)
    sizes = [count for count, _ in shapes[2:]]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < len(prompts)


def test_a_beginning_that_is_not_worth_a_pass_is_not_shared(target, monkeypatch):
    short = [Prompt([1, 2, 3, 4]), Prompt([1, 2, 3, 5, 6]), Prompt([1, 2, 3])]
    shapes = _passes(target, monkeypatch)
    _answers(target, short)
    assert shapes[0] == (3, 5)
    assert 3 * 2 <= decoding.PASS_COST


def test_one_prompt_that_another_begins_with(target, prompts):
    ids = prompts[0].ids
    nested = [Prompt(ids), Prompt(ids + ids[-3:]), Prompt(ids), Prompt(ids[:-1])]
    assert _answers(target, nested) == [_answers(target, [prompt])[0] for prompt in nested]


@pytest.mark.parametrize("shared", [0, 40])
def test_prompts_of_unlike_length_are_not_padded_to_the_longest(target, monkeypatch, shared):
    system = list(range(200, 200 + shared))
    prompts = [Prompt(system + [1 + (7 * at + length) % 90 for at in range(length)]) for length in (90, 4, 80, 6, 5, 7)]
    alone = [_answers(target, [prompt])[0] for prompt in prompts]
    shapes = _passes(target, monkeypatch)
    assert _answers(target, prompts) == alone
    reads = [shape for shape in shapes if shape[1] > 1]
    assert reads == [(1, shared)] * bool(shared) + [(2, 90), (4, 7)]


def test_rows_are_read_in_groups_where_the_padding_saved_is_worth_a_pass():
    assert decoding.of_like_length([5, 5, 6]) == [[0, 1, 2]]
    assert decoding.of_like_length([100, 5, 100, 5]) == [[0, 2], [1, 3]]
    for lengths in ([1], [300, 200, 100, 1] * 8, list(range(1, 129))):
        parts = decoding.of_like_length(lengths)
        assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
        padded = sum(len(part) * max(lengths[row] for row in part) + decoding.PASS_COST for part in parts)
        assert padded <= len(lengths) * max(lengths) + decoding.PASS_COST

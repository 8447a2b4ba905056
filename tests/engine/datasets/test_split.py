"""Parts that never leak into each other, mixtures by weight, samples; the same again with the same seed."""

import json
import random

import pytest
from conftest import ROOT

from studio.core.i18n import Problem
from studio.datasets.derive import alike, hold_out, joined_entry, leaks, mix, part_entry, sample, write
from studio.datasets.files.reading import rows
from studio.datasets.registry.dataset_info import dataset, datasets, entry_of
from studio.datasets.registry.entries import add
from studio.datasets.schema.observed_schema import Shape, text_of

DATA = ROOT / "data"


@pytest.mark.parametrize("shares", [(8, 1, 1), (7, 2, 1), (9, 1)])
def test_every_row_is_in_one_part_and_parts_have_their_share(shares):
    texts = [f"text number {number}" for number in range(1000)]
    parts = hold_out(texts, shares)
    assert sorted(index for part in parts for index in part) == list(range(1000))
    assert [len(part) for part in parts] == [1000 * share // sum(shares) for share in shares]
    assert all(part == sorted(part) for part in parts)
    assert hold_out(texts, shares) == parts
    assert hold_out(texts, shares, seed=7) != parts


def test_the_held_out_part_is_drawn_from_the_whole_file():
    held_out = hold_out([f"text number {number}" for number in range(1000)], (9, 1))[1]
    assert [sum(low <= index < low + 250 for index in held_out) for low in range(0, 1000, 250)] == pytest.approx(
        [25] * 4, abs=15
    )


@pytest.mark.parametrize("repeats", [3, 40])
def test_rows_that_say_the_same_are_never_parted(repeats):
    rng = random.Random(1)
    texts = [f"Question {number}?" for number in range(100)] + [
        rng.choice(("question 3", "QUESTION 3!", "Question  17?")) for _ in range(repeats)
    ]
    parts = hold_out(texts, (8, 1, 1))
    numbered = [[(index, texts[index]) for index in part] for part in parts]
    assert leaks(numbered[0], numbered[1] + numbered[2]) == []
    assert leaks(numbered[1], numbered[2]) == []
    assert all(parts)


def test_leaks_are_found_exact_and_but_for_spelling():
    trained = [(1, "Why is the sky blue?"), (2, "天空为什么是蓝色的？")]
    held_out = [
        (1, "Why is grass green?"),
        (2, "why is the  SKY blue"),
        (3, "天空为什么是蓝色的？"),
        (4, "天空，为什么是蓝色的"),
    ]
    assert [(leak.held_out, leak.trained, leak.exact) for leak in leaks(trained, held_out)] == [
        (2, 1, False),
        (3, 2, True),
        (4, 2, False),
    ]


def test_a_few_rows_still_fill_every_part():
    assert all(hold_out([str(number) * 5 for number in range(3)], (8, 1, 1)))
    with pytest.raises(Problem, match="2 different rows for 3 parts"):
        hold_out(["same", "Same!", "other"], (8, 1, 1))


@pytest.mark.parametrize("shares", [(), (8,), (8, 0), (8, -1), (0.8, 0.2)])
def test_shares_that_make_no_sense_are_a_sentence(shares):
    with pytest.raises(Problem) as caught:
        hold_out(["a", "b", "c"], shares)
    assert caught.value.key == "splits.bad_shares"


def test_a_sample_is_drawn_without_putting_back():
    drawn = sample(1000, 100)
    assert drawn == sorted(set(drawn)) == sample(1000, 100)
    assert len(drawn) == 100
    assert drawn != sample(1000, 100, seed=1)
    for number in (0, -1, 1001):
        with pytest.raises(Problem, match="1 to 1000"):
            sample(1000, number)


def test_a_mixture_has_each_set_by_its_weight_and_each_row_as_seldom_as_can_be():
    draws = mix([100, 10, 50], [5, 3, 2], 101)
    of = [[row for which, row in draws if which == number] for number in range(3)]
    assert [len(part) for part in of] == [51, 30, 20]
    assert len(set(of[0])) == 51
    assert all(of[1].count(row) == 3 for row in range(10))
    assert draws == mix([100, 10, 50], [5, 3, 2], 101)
    assert [which for which, _ in draws] != sorted(which for which, _ in draws)


@pytest.mark.parametrize(
    ("counts", "weights", "total", "key"),
    [
        ([5], [1, 2], 10, "bad_weights"),
        ([5, 5], [0, 0], 10, "bad_weights"),
        ([5, 5], [-1, 2], 10, "bad_weights"),
        ([5, 5], [1, 1], 0, "bad_weights"),
        ([], [], 5, "bad_weights"),
        ([5, 0], [1, 1], 10, "empty_set"),
    ],
)
def test_weights_that_make_no_sense_are_a_sentence(counts, weights, total, key):
    with pytest.raises(Problem) as caught:
        mix(counts, weights, total)
    assert caught.value.key == f"splits.{key}"
    assert str(caught.value).endswith(".")


def test_parts_become_datasets_of_their_own(tmp_path):
    values = [row.value for row in rows(DATA / "tool_calls.json")]
    entry = entry_of(DATA, "tool_calls")
    shape = Shape.of(entry)
    parts = hold_out([text_of(value, shape) for value in values], (8, 2))
    for name, part in zip(("train", "test"), parts, strict=True):
        assert write(tmp_path / f"{name}.jsonl", (values[index] for index in part)) == len(part)
        add(tmp_path, name, part_entry(entry, f"{name}.jsonl"))
    found = {each.name: (each.rows, each.format, each.problem) for each in datasets(tmp_path)}
    assert found == {"train": (44, "sharegpt", None), "test": (11, "sharegpt", None)}
    assert [row.value for row in rows(tmp_path / "test.jsonl")] == [values[index] for index in parts[1]]
    assert dataset(tmp_path, "test").stage == "sft"


def test_an_entry_of_a_part_draws_no_rows_again():
    entry = {"hf_hub_url": "a/b", "split": "train", "num_samples": 5, "ranking": True, "columns": {"prompt": "q"}}
    assert part_entry(entry, "part.jsonl") == {"file_name": "part.jsonl", "ranking": True, "columns": {"prompt": "q"}}


def test_rows_of_datasets_with_other_names_become_one_file():
    entries = [
        {"file_name": "a.json", "columns": {"prompt": "q", "response": "a"}},
        {"file_name": "b.json", "columns": {"prompt": "ask", "query": "more", "response": "say", "system": "q"}},
        {"file_name": "c.json"},
    ]
    entry = joined_entry(entries, "mixed.jsonl")
    assert entry == {
        "file_name": "mixed.jsonl",
        "columns": {"prompt": "q", "response": "a", "query": "more", "system": "system"},
    }
    wanted = Shape.of(entry)
    assert alike({"q": "Q", "a": "A", "id": 1}, Shape.of(entries[0]), wanted) == {
        "q": "Q",
        "a": "A",
        "more": None,
        "system": None,
    }
    assert alike({"ask": "Q", "more": "M", "say": "A", "q": "S"}, Shape.of(entries[1]), wanted) == {
        "q": "Q",
        "a": "A",
        "more": "M",
        "system": "S",
    }
    assert alike({"instruction": "Q", "input": "M", "output": "A"}, Shape.of(entries[2]), wanted) == {
        "q": "Q",
        "a": "A",
        "more": "M",
        "system": None,
    }


def test_shipped_sets_of_one_question_and_one_answer_can_all_be_mixed():
    names = [each.name for each in datasets(DATA) if (each.format, each.stage) == ("alpaca", "sft")]
    assert len(names) >= 4
    assert set(joined_entry([entry_of(DATA, name) for name in names], "m.jsonl")["columns"]) == {
        "prompt",
        "query",
        "response",
        "history",
        "system",
    }


@pytest.mark.parametrize(
    "other", [{"formatting": "sharegpt"}, {"ranking": True, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}}]
)
def test_datasets_of_other_forms_cannot_be_one_file(other):
    with pytest.raises(Problem, match="cannot be in one file"):
        joined_entry([{"file_name": "a.json"}, {"file_name": "b.json", **other}], "m.jsonl")


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    file = tmp_path / "a.jsonl"
    write(file, [{"a": "é\n"}])
    before = file.read_bytes()
    assert json.loads(before) == {"a": "é\n"}
    with pytest.raises(Problem, match="a.jsonl"):
        write(file, [{"b": 1}])
    assert file.read_bytes() == before

    def broken():
        yield {"a": 1}
        raise Problem("datasets.empty", file="x")

    with pytest.raises(Problem):
        write(tmp_path / "b.jsonl", broken())
    with pytest.raises(Problem, match="nothing was written"):
        write(tmp_path / "c.jsonl", [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]

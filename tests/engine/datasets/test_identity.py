"""Filling the identity set: a copy for the run, the shipped rows untouched."""

import json
from pathlib import Path

import pytest
from conftest import ROOT

from studio.core.i18n import Problem
from studio.datasets.registry.dataset_info import datasets
from studio.datasets.registry.identity import fill, has_placeholders

SHIPPED = ROOT / "data"


def rows(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_only_the_identity_sets_have_placeholders():
    with_placeholders = {each.name for each in datasets(SHIPPED) if has_placeholders(SHIPPED, each.name)}
    assert with_placeholders == {"identity_en", "identity_zh"}


@pytest.mark.parametrize("name", ["identity_en", "identity_zh"])
def test_the_shipped_rows_name_the_assistant_and_its_author(name):
    shipped = rows(SHIPPED / f"{name}.json")
    asked = [(row["instruction"], row["input"]) for row in shipped]
    assert len(set(asked)) == len(asked) >= 90
    named = [row for row in shipped if "{{name}}" in row["output"]]
    assert len(named) > 0.75 * len(shipped)
    assert sum("{{author}}" in row["output"] for row in named) > 0.5 * len(shipped)
    # Plain questions keep the model from giving its name as the answer to everything.
    assert sum("{{" not in json.dumps(row) for row in shipped) >= 10
    assert all(len(row["output"].split()) <= 40 for row in shipped)


@pytest.mark.parametrize(
    "word", ["Xiaoju", "小橘", 'A "quoted" \\ name', "one\nline and another", "{{author}}", r"\1 \g<0>"]
)
def test_the_copy_is_filled_and_the_shipped_rows_stay(tmp_path, word):
    before = (SHIPPED / "identity_en.json").read_bytes()
    fill(SHIPPED, "identity_en", word, "the Orchard Lab", tmp_path)
    assert (SHIPPED / "identity_en.json").read_bytes() == before
    assert json.loads((tmp_path / "dataset_info.json").read_text()) == {
        "identity_en": {"file_name": "identity_en.json"}
    }
    filled, shipped = rows(tmp_path / "identity_en.json"), rows(SHIPPED / "identity_en.json")
    assert filled == [
        {
            field: "\0".join(text.split("{{name}}")).replace("{{author}}", "the Orchard Lab").replace("\0", word)
            for field, text in row.items()
        }
        for row in shipped
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"dataset_info.json", "identity_en.json"}


def test_a_mixture_copies_only_what_is_filled(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    (data / "sub").mkdir(parents=True)
    info = {
        "named": {"file_name": "sub/named.jsonl", "formatting": "sharegpt", "columns": {"messages": "turns"}},
        "plain": {"file_name": "plain.json"},
        "hub": {"hf_hub_url": "someone/something", "num_samples": 3},
        "other": {"file_name": "plain.json"},
    }
    (data / "dataset_info.json").write_text(json.dumps(info))
    (data / "sub/named.jsonl").write_text(
        '{"turns": [{"from": "human", "value": "Name?"}, {"from": "gpt", "value": "{{name}}"}]}\n'
    )
    (data / "plain.json").write_text('[{"instruction": "a", "input": "", "output": "b"}]')
    assert has_placeholders(data, "plain, named") and not has_placeholders(data, "plain,hub")
    fill(data, "named, plain,hub", "Xiaoju", "us", run)
    assert json.loads((run / "dataset_info.json").read_text()) == {
        "named": info["named"],
        "plain": {"file_name": str(data / "plain.json")},
        "hub": info["hub"],
    }
    assert json.loads((run / "sub/named.jsonl").read_text())["turns"][1]["value"] == "Xiaoju"
    assert not (run / "plain.json").exists()


@pytest.mark.parametrize(
    ("name", "author", "key"), [("", "us", "datasets.empty_name"), ("Xiaoju", " \n", "datasets.empty_author")]
)
def test_an_empty_field_is_named_and_nothing_is_written(tmp_path, name, author, key):
    with pytest.raises(Problem) as told:
        fill(SHIPPED, "identity_en", name, author, tmp_path / "run")
    assert told.value.key == key and not (tmp_path / "run").exists()


def test_an_unknown_dataset_is_told(tmp_path):
    with pytest.raises(Problem, match="There is no dataset"):
        fill(SHIPPED, "identity_xx", "Xiaoju", "us", tmp_path)
    with pytest.raises(Problem, match="There is no dataset"):
        has_placeholders(SHIPPED, "identity_xx")


def test_a_target_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(Problem, match="cannot be written"):
        fill(SHIPPED, "identity_en", "Xiaoju", "us", tmp_path / "run")

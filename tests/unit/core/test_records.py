"""What stands on disk is typed, or told in one sentence."""

import json

import pytest

from studio.core.i18n import Problem
from studio.core.storage import records


class Bookmark(records.Record):
    name: str
    step: int = 0


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"name": ' * 5_000, '"\\ud800', "\x00", "nul"])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        records.parse(text)


def test_what_python_writes_is_read():
    assert records.parse(json.dumps({"a": float("inf"), "b": 2**80})) == {"a": float("inf"), "b": 2**80}


@pytest.mark.parametrize(
    "text", ["[1]", "5", '{"name": 3}', '{"name": "x", "step": "<script>"}', '{"step": 1}', "null", "[" * 100_000, "é"]
)
def test_a_bad_record_is_one_sentence(tmp_path, text):
    path = tmp_path / "bookmark.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(Problem) as told:
        records.load(path, Bookmark)
    assert "bookmark.json" in str(told.value) and "\n" not in str(told.value)


def test_a_good_record_is_coerced_and_keeps_quiet_about_later_fields(tmp_path):
    path = tmp_path / "bookmark.json"
    path.write_text('{"name": "x", "step": "3", "later": {}}', encoding="utf-8")
    assert records.load(path, Bookmark) == Bookmark(name="x", step=3)

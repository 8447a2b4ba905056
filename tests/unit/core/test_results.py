"""No result of an endpoint has a key that a client takes for a file, and what was shown comes back as it was."""

import pytest
from conftest import costs_at_most
from hypothesis import given as tried
from hypothesis import strategies as any_

from studio.web.results import given, shown

KEYS = any_.sampled_from(["path", "/path", "//path", "file", "a/path", "path ", ""]) | any_.text(max_size=3)
VALUES = any_.recursive(
    any_.none() | any_.integers() | any_.text(max_size=4),
    lambda inner: any_.lists(inner, max_size=3) | any_.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def keys(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


@tried(VALUES)
def test_no_key_is_called_path_and_nothing_is_lost(value):
    assert "path" not in keys(shown(value)) and given(shown(value)) == value


def test_what_an_endpoint_is_given_by_name_stays():
    assert given({"path": "data.json", "columns": {"prompt": "/path"}}) == {
        "path": "data.json",
        "columns": {"prompt": "/path"},
    }
    assert shown({"rows": [{"path": "a.wav"}], 1: ({"path": 2},)}) == {"rows": [{"/path": "a.wav"}], 1: [{"/path": 2}]}


def test_deep_and_large_data_is_no_trouble():
    deep = value = []
    for _ in range(10_000):
        value.append({"path": []})
        value = value[0]["path"]
    with costs_at_most(3):
        assert shown(deep)[0].keys() == {"/path"}
        assert len(shown({"series": [[step, 0.5, 1.0] for step in range(50_000)]})["series"]) == 50_000


@pytest.mark.parametrize("value", [None, 1, "path", [], {}, ["path"], {"a": "path"}])
def test_what_has_no_such_key_is_as_it_was(value):
    assert shown(value) == value == given(value)

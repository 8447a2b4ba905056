"""docs/API.md is what the endpoints are."""

import inspect
import re
import typing
from pathlib import Path

import pytest

from studio import api, app, reference
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.web import endpoint

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    return api.all_endpoints(app.make(Workspace(tmp_path_factory.mktemp("reference"))), Words("en"))


def test_the_reference_is_not_stale():
    assert reference.FILE.read_text(encoding="utf-8") == reference.reference(), "run `python -m studio.reference`"


def test_every_example_is_one_that_the_endpoint_takes(functions):
    for function in functions:
        hints, parameters = typing.get_type_hints(function), inspect.signature(function).parameters
        for (name, one), value in zip(parameters.items(), reference.example(function), strict=True):
            given = endpoint.argument(one, value, hints[name])
            assert given is not None or value is None, f"{function.__name__}: {name}"


def test_every_endpoint_is_told_in_a_sentence(functions):
    assert [function.__name__ for function in functions if not (function.__doc__ or "").strip().endswith(".")] == []


def test_every_endpoint_is_called_in_a_test(functions):
    tests = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    missing = [one.__name__ for one in functions if not re.search(rf"\b{one.__name__}\b", tests)]
    assert missing == []

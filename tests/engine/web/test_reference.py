"""docs/API.md is what the endpoints are."""

import inspect
import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from studio import api, app, reference
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.web import endpoint, schema

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


# What is not the studio's to name: everything else that an endpoint takes or gives says what is in it.
FREE = {
    "RecordedRequestResult.body": "what any client sent, as it was sent",
    **dict.fromkeys(
        (f"train_{one}: recipe" for one in ("preview", "start", "sweep", "nodes", "batch", "recipe_save")),
        "a recipe: LLaMA-Factory's own arguments, whatever these are",
    ),
    "train_sweep: grid": "values of LLaMA-Factory's own arguments",
    "ReadRecipeResult.recipe": "a recipe",
    "SavedRecipeResult.recipe": "a recipe",
    "datasets_edit_row: value": "a row, as it stands in a person's file",
    "datasets_edit_row: was": "a row",
    "datasets_add_row: value": "a row",
    "PreviewResult.rows": "rows",
    "datasets_entry: return": "an entry of dataset_info.json as it stands there, with what LLaMA-Factory does not know",
    "InspectResult.config": "config.json of a model as it is",
    "InspectResult.generation": "generation_config.json of a model as it is",
    "MemoryAdvice.facts": "what fills a sentence",
    "FaultResult.facts": "what fills a sentence",
    "CallOptions.arguments": "arguments of a tool that a person defined",
    "CallResult.arguments": "arguments of a tool that a person defined",
    "JobStatusResult.result": "the result of whichever work the job is",
}


def bare(hint: object, place: str) -> set[str]:
    """Return the places in an annotation that say no more than object, list or dict, also in the models inside it."""
    if hint in (dict, list, tuple, set, object, typing.Any):
        return {place}
    found = set().union(*(bare(inner, place) for inner in typing.get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        for name, field in hint.model_fields.items():
            found |= bare(field.annotation, f"{hint.__name__}.{name}")
    return found


def test_everything_that_goes_in_or_comes_out_says_what_is_in_it(functions):
    untyped = {f"{one.__name__}: return" for one in functions if "return" not in typing.get_type_hints(one)}
    for function in functions:
        for name, hint in typing.get_type_hints(function).items():
            untyped |= bare(hint, f"{function.__name__}: {name}")
    assert untyped == set(FREE)


def test_an_annotation_that_says_nothing_is_seen():
    class Inside(schema.Result):
        facts: dict
        rows: list[dict[str, object] | None]
        names: list[str]

    assert bare(list[Inside], "x: return") == {"Inside.facts", "Inside.rows"}
    assert bare(dict, "x: a") == bare(dict[str, list] | None, "x: a") == bare(list[object], "x: a") == {"x: a"}
    assert not bare(dict[str, list[int | None]], "x: a")


def test_every_endpoint_is_told_in_a_sentence(functions):
    assert [function.__name__ for function in functions if not (function.__doc__ or "").strip().endswith(".")] == []


def test_every_endpoint_is_called_in_a_test(functions):
    tests = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    assert {one.__name__ for one in functions} - set(re.findall(r"\w+", tests)) == set()

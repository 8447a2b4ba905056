"""Models as arguments and results of endpoints: a wrong value is refused by name, and gradio sees plain objects."""

import inspect

import gradio as gr
import pytest
from pydantic import Field

from studio.core.i18n import Words
from studio.web import endpoint
from studio.web.schema import Options, Result


class SplitOptions(Options):
    share: float = Field(gt=0, lt=1)
    seed: int = 42


class Part(Result):
    name: str
    rows: int


def split(name: str, options: SplitOptions) -> list[Part]:
    return [Part(name=f"{name}-{options.seed}", rows=int(10 * options.share))]


def maybe(options: SplitOptions | None = None) -> dict:
    return {"given": options is not None, "parts": [Part(name="a", rows=1)]}


def test_an_object_comes_in_as_its_model_and_goes_out_as_a_plain_one():
    assert endpoint.checked_endpoint(split, Words("en"))("x", {"share": 0.5}) == [{"name": "x-42", "rows": 5}]
    assert endpoint.checked_endpoint(maybe, Words("en"))() == {"given": False, "parts": [{"name": "a", "rows": 1}]}
    assert endpoint.checked_endpoint(maybe, Words("en"))({"share": "0.5"})["given"]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"share": 2}, "share"),
        ({"share": 0.5, "sead": 1}, "sead"),
        ({}, "share"),
        ({"share": 0.5, "seed": "x"}, "seed"),
        ({"share": None}, "share"),
        ([1], "options"),
        ("text", "options"),
        (None, "options"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(language, given, named):
    with pytest.raises(gr.Error) as refused:
        endpoint.checked_endpoint(split, Words(language))("x", given)
    assert named in str(refused.value) and "\n" not in str(refused.value)


def test_gradio_sees_plain_kinds():
    wrapped = endpoint.checked_endpoint(split, Words("en"))
    assert inspect.signature(wrapped).parameters["options"].annotation is dict
    assert wrapped.__annotations__ == {"name": str, "options": dict, "return": list}


def test_a_result_shows_names_that_are_not_utf8():
    class File(Result):
        path: str
        rows: list[dict]

    file = File(path="caf\udce9", rows=[{"\ud800": ["\udfff", 1]}])
    assert (file.path, file.rows) == ("caf�", [{"�": ["�", 1]}])

"""The reference of the API, made from the endpoints themselves: `python -m studio.reference` writes docs/API.md."""

import inspect
import json
import tempfile
import types
import typing
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from studio import api, app
from studio.core.i18n import Words
from studio.core.locations import ROOT
from studio.core.workspace import Workspace
from studio.web import schema

FILE = ROOT / "docs" / "API.md"
HEAD = """# The API

Every action of the page is an endpoint. This page is made from the endpoints by `python -m studio.reference`.

A call is a POST of `{"data": [...]}`, the arguments in their order, to `/gradio_api/run/<endpoint>`. Every argument
must be there; null stands for its default. The answer is `{"data": [result]}`, or `{"error": "one sentence"}` with
status 500.

```
curl -s -X POST http://127.0.0.1:7860/gradio_api/run/train_status \\
     -H 'Content-Type: application/json' -d '{"data": ["SmolLM2-135M-Instruct/lora/first"]}'
```

Or by gradio_client, where arguments have names and may be left out:

```
from gradio_client import Client
Client("http://127.0.0.1:7860").predict("SmolLM2-135M-Instruct/lora/first", api_name="/train_status")
```
"""
KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "object", list: "list"}
PLURALS = {"text": "texts", "object": "objects", "whole number": "whole numbers", "number": "numbers"}
# What stands in an example, by the name of the argument or field; else a value of its kind.
EXAMPLES: dict[str, object] = {
    "run": "SmolLM2-135M-Instruct/lora/first",
    "name": "SmolLM2-135M-Instruct",
    "model": "SmolLM2-135M-Instruct",
    "dataset": "identity_en",
    "language": "en",
    "recipe": {"model_name_or_path": "SmolLM2-135M-Instruct", "dataset": "identity_en", "num_train_epochs": 1},
    "regions": [{"name": "runs", "arg": "", "mark": ""}],
    "messages": [{"role": "user", "content": "Who are you?"}],
    "job": "download-20261125-120000-0a1b2c",
    "repo": "Qwen/Qwen2.5-0.5B-Instruct",
    "url": "http://127.0.0.1:8000/v1",
}


def reference() -> str:
    """Return docs/API.md. The studio that is asked for its endpoints is made on an empty workspace."""
    with tempfile.TemporaryDirectory(prefix="reference-") as folder:
        functions = api.all_endpoints(app.make(Workspace(Path(folder))), Words("en"))
    parts: dict[str, list[Callable]] = {}
    for function in functions:
        parts.setdefault(function.__name__.partition("_")[0], []).append(function)
    text = HEAD
    for part, members in parts.items():
        text += f"\n## {part}\n" + "".join(map(entry, members))
    return text


def entry(function: Callable) -> str:
    """Return the part of the reference that tells of one endpoint."""
    hints, parameters = typing.get_type_hints(function), inspect.signature(function).parameters
    lines = [f"\n### {function.__name__}\n", inspect.cleandoc(function.__doc__ or "") + "\n"]
    for name, one in parameters.items():
        default = (
            "" if one.default is inspect.Parameter.empty else f", {json.dumps(schema.dumped(one.default))} if left out"
        )
        lines.append(f"- `{name}`: {kind(hints[name])}{default}")
        lines += [f"  {line}" for line in fields(hints[name])]
    result = hints.get("return", dict)
    if found := fields(result):
        lines += ["", f"Result, {kind(result)}:", "", *found]
    lines.append(f"\n```\n{json.dumps({'data': example(function)}, ensure_ascii=False)}\n```\n")
    return "\n".join(lines)


def kind(hint: object) -> str:
    """Return what an annotation stands for, in words."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join("null" if one is types.NoneType else kind(one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f'"{one}"' for one in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "object"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and inner:
        return f"list of {plural(inner[0])}"
    if origin is dict and inner and inner[1] is not object:
        return f"object of {plural(inner[1])}"
    return KINDS.get(origin or hint, "anything")


def plural(hint: object) -> str:
    """Return what several of an annotation are called."""
    one = kind(hint)
    if len(schema.kinds_of(hint)) > 1:
        return f"({one})"
    return one.replace("list", "lists", 1) if one.startswith("list") else PLURALS.get(one, one)


def fields(hint: object, above: tuple = ()) -> list[str]:
    """Return the fields of the model in an annotation, one a line, those of models inside it further in."""
    model = _model_inside(hint)
    if model is None or model in above:
        return []
    lines = []
    for name, one in model.model_fields.items():
        default = "" if one.is_required() or issubclass(model, schema.Result) else f", {_default(one)} if left out"
        default = ", where it is known" if issubclass(model, schema.SparseResult) and not one.is_required() else default
        about = f": {one.description}" if one.description else ""
        lines.append(f"- `{one.alias or name}`, {kind(one.annotation)}{default}{about}")
        lines += [f"  {line}" for line in fields(one.annotation, (*above, model))]
    return lines


def _model_inside(hint: object) -> type[BaseModel] | None:
    """Return the model that an annotation stands for or holds, at any depth; None where there is none."""
    inside = (one for inner in typing.get_args(hint) if (one := _model_inside(inner)))
    return schema.model_of(hint) or next(inside, None)


def _default(field) -> str:
    return json.dumps(schema.dumped(field.get_default(call_default_factory=True)), ensure_ascii=False, default=str)


def example(function: Callable) -> list:
    """Return the arguments of a call, as an example that the endpoint takes."""
    hints = typing.get_type_hints(function)
    return [value_for(name, hints[name], one.default) for name, one in inspect.signature(function).parameters.items()]


def value_for(name: str, hint: object, default: object = inspect.Parameter.empty) -> object:
    """Return an example for an argument or a field."""
    if model := schema.model_of(hint):
        return {key: value_for(key, one.annotation) for key, one in model.model_fields.items() if one.is_required()}
    if name in EXAMPLES:
        return EXAMPLES[name]
    if default is not inspect.Parameter.empty:
        return schema.dumped(default)
    kinds = schema.kinds_of(hint)
    if typing.get_origin(kinds[0]) is typing.Literal:
        return typing.get_args(kinds[0])[0]
    found = typing.get_origin(kinds[0]) or kinds[0]
    return {str: name, int: 1, float: 0.5, bool: True, dict: {}, list: []}.get(found)


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")

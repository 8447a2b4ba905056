"""Definitions of tools, written so that each of LLaMA-Factory's formats of tools can put them into a prompt
(data/tool_utils.py of 0.9.5)."""

import json

from studio.core.storage.records import parse
from studio.datasets.schema.row_faults import UnusableRow

_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "args_schema")


def read(value: object) -> tuple[str, bool]:
    """Return tools as the JSON text that LLaMA-Factory wants ("" for none), and whether a definition had to be
    completed.

    Args:
        value: a list of definitions, one definition, or JSON text of these; OpenAI's (old and new), Anthropic's and
            Gemini's forms.

    Raises:
        UnusableRow: it is no definition, or one without a name.
    """
    text = value if isinstance(value, str) else None
    if text is not None:
        if not text.strip():
            return "", False
        try:
            value = parse(text)
        except ValueError:
            raise UnusableRow("tools", "unreadable_tools") from None
    if value is None or value == [] or value == {}:
        return "", False
    as_it_is = text is not None and isinstance(value, list)
    if isinstance(value, dict):
        value = [{"name": name, **each} for name, each in value.items()] if _by_name(value) else [value]
    if not isinstance(value, list):
        raise UnusableRow("tools", "unreadable_tools")
    definitions = [definition for each in value for definition in _plain(each)]
    whole = [_whole(definition) for definition in definitions]
    mended = whole != definitions
    if as_it_is and not mended and _reads(value):
        return text or "", False
    return json.dumps(whole, ensure_ascii=False), mended


def _by_name(value: dict) -> bool:
    """Tell whether an object holds definitions under their names."""
    return (
        "name" not in value
        and "function" not in value
        and not any(key.casefold().startswith("functiondeclaration") for key in value)
        and all(
            isinstance(each, dict) and ("description" in each or any(key in each for key in _SCHEMAS))
            for each in value.values()
        )
    )


def _reads(value: list) -> bool:
    """Tell whether LLaMA-Factory takes a list of definitions as it is: bare, or in OpenAI's wrapper with its type."""
    return all(
        isinstance(each, dict)
        and ("parameters" in each or (each.get("type") == "function" and isinstance(each.get("function"), dict)))
        for each in value
    )


def _plain(tool: object) -> list[dict]:
    """Return the definitions in one object of a list of tools, each as {name, description, parameters}."""
    if isinstance(tool, str):
        try:
            tool = parse(tool)
        except ValueError:
            raise UnusableRow("tools", "unreadable_tools") from None
    if not isinstance(tool, dict):
        raise UnusableRow("tools", "unreadable_tools")
    declared = next(
        (tool[key] for key in ("functionDeclarations", "function_declarations") if isinstance(tool.get(key), list)),
        None,
    )
    if declared is not None:
        return [definition for each in declared for definition in _plain(each)]
    inner = tool["function"] if isinstance(tool.get("function"), dict) else tool
    if not isinstance(inner.get("name"), str) or not inner["name"].strip():
        raise UnusableRow("tools", "tool_without_name")
    schema = next((key for key in _SCHEMAS if key in inner), "")
    if inner is tool and tool.get("type") == "function":
        inner = {key: value for key, value in inner.items() if key != "type"}
    return [
        inner
        if schema in ("", "parameters")
        else {("parameters" if key == schema else key): value for key, value in inner.items()}
    ]


def _whole(tool: dict) -> dict:
    """Return a definition with the parameters that the formats of tools look for: an object with properties."""
    schema = tool.get("parameters")
    if isinstance(schema, str):
        try:
            schema = parse(schema)
        except ValueError:
            schema = {}
    if isinstance(schema, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in schema
    ):
        schema = {each["name"]: {key: value for key, value in each.items() if key != "name"} for each in schema}
    if not isinstance(schema, dict):
        schema = {}
    if not isinstance(schema.get("properties"), dict):
        bare = schema and all(isinstance(each, dict) for each in schema.values())
        schema = {"type": "object", "properties": schema} if bare else {**schema, "properties": {}}
        schema.setdefault("type", "object")
    if not isinstance(schema.get("required", []), list):
        schema = {key: value for key, value in schema.items() if key != "required"}
    properties = {name: _property(each) for name, each in schema["properties"].items()}
    if properties != schema["properties"]:
        schema = {**schema, "properties": properties}
    return tool if schema == tool.get("parameters") else {**tool, "parameters": schema}


def _property(definition: object) -> dict:
    """Return the schema of one parameter as the formats read it: an object, whose `enum` is a list of texts and
    `items` an object."""
    if not isinstance(definition, dict):
        return {"type": definition} if isinstance(definition, str) else {}
    schema = definition
    if (choices := definition.get("enum")) and not (
        isinstance(choices, list) and all(isinstance(each, str) for each in choices)
    ):
        texts = (
            [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in choices]
            if isinstance(choices, list)
            else None
        )
        schema = {key: value for key, value in schema.items() if key != "enum"} | ({"enum": texts} if texts else {})
    if (items := definition.get("items")) and not isinstance(items, dict):
        schema = {**schema, "items": {"type": items} if isinstance(items, str) else {}}
    return schema

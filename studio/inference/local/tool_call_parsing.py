"""Tools: their definitions as a template takes them, and the calls in an answer, read in the template's own format."""

import json
import re

from studio.core import llamafactory, plain, reasons
from studio.core.i18n import Problem
from studio.core.storage.records import parse
from studio.inference.messages import ToolCall

_GLM_CALL = re.compile(
    r"<tool_call>\s*([A-Za-z_][\w.-]*)((?:\s*<arg_key>.*?</arg_key>\s*<arg_value>.*?</arg_value>)*)\s*(?:</tool_call>|(?=<tool_call>)|$)",
    re.DOTALL,
)
_GLM_ARGUMENT = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)


def definitions(tools: str | list | None) -> str | None:
    """Return the definitions of tools as LLaMA-Factory's templates take them, None where there are none.

    Args:
        tools: a list of `{"name", "description", "parameters"}`, or of these as OpenAI wraps them (`{"type":
            "function",
            "function": {...}}`), or such a list as JSON. Its text goes to the template as it is, as that of a dataset's
            column does.

    Raises:
        Problem: it is no JSON, no list, or a tool in it has no name.
    """
    text = tools if isinstance(tools, str) else json.dumps(tools or [], ensure_ascii=False)
    if not text.strip():
        return None
    try:
        listed = json.loads(text)
    except json.JSONDecodeError as error:
        raise Problem(
            "prompt.tools_no_json", line=error.lineno, column=error.colno, reason=reasons.kind(error)
        ) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, or lists in lists without end
        raise Problem("prompt.tools_no_json", line=1, column=1, reason=reasons.of(error)) from error
    if plain.odd(listed):
        raise Problem(
            "app.argument_depth" if plain.odd(listed) == "depth" else "app.argument_characters", argument="tools"
        )
    if not isinstance(listed, list):
        raise Problem("prompt.tools_no_list")
    for number, tool in enumerate(listed, 1):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else tool
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
            raise Problem("prompt.tool_no_name", number=number)
    return text if listed else None


def written(text: str, calls: list[ToolCall], tags: tuple[str, str]) -> str:
    """Return a message that calls tools as LLaMA-Factory's role "function" takes it: what stands before, then a JSON
    list in `tags`.

    Raises:
        ValueError: a call has no name, or its arguments are neither an object nor text.
    """
    made = []
    for call in calls:
        name, arguments = call.get("name"), call.get("arguments")
        if not isinstance(name, str) or not name or not isinstance(arguments, dict | str):
            raise ValueError(json.dumps(call, ensure_ascii=False)[:100])
        made.append({"name": name, "arguments": _parsed(arguments)})
    if not text.strip():
        return json.dumps(made, ensure_ascii=False)  # some templates know no marks
    # LLaMA-Factory looks for the marks of calls and of thoughts in the JSON too, where nothing but a text can hold a
    # "<".
    return text + tags[0] + json.dumps(made, ensure_ascii=False).replace("<", "\\u003c") + tags[1]


def joined(results: list[str], one_by_one: bool) -> str:
    """Return the results of several calls as one observation.

    Args:
        one_by_one: join them as LLaMA-Factory's converter of OpenAI's format does, which suits templates that put each
            into
            `<tool_response>`; others get a JSON list.
    """
    if len(results) == 1:
        return results[0]
    if one_by_one:
        return "\n</tool_response>\n<tool_response>\n".join(results)
    return json.dumps([_parsed(result) for result in results], ensure_ascii=False)


def find(template, text: str) -> tuple[str, list[ToolCall]]:
    """Return what stands before the calls in an answer (thought and text), and the calls: `{"name", "arguments"}`.

    Where none are found, the whole answer stands before them. Arguments are an object, or text where the model wrote no
    JSON.

    Args:
        template: LLaMA-Factory's; its `extract_tool` reads the calls.
        text: a finished answer.
    """
    thought, closing_tag, rest = text.rpartition(template.thought_words[1].strip())
    calls = _read(template, rest)
    if not calls:
        return text, []
    # The calls begin where the longest beginning ends that can be taken away without losing any.
    start, beyond = 0, len(rest)
    while beyond - start > 1:
        middle = (start + beyond) // 2
        if _read(template, rest[middle:]) == calls:
            start = middle
        else:
            beyond = middle
    return thought + closing_tag + rest[:start].removesuffix(_call_prefix(template)), calls


def find_in_any_format(text: str) -> list[ToolCall]:
    """Return the calls in a finished answer by the first of LLaMA-Factory's formats that reads any.

    For an answer of a model whose template nobody knows: no format reads what another writes as something else. Some
    take minutes for a text that repeats a mark a thousand times, so this is for a process with limits.

    Raises:
        Problem: LLaMA-Factory cannot be loaded.
    """
    llamafactory.load()
    from llamafactory.data.template import TEMPLATES

    formats = {template.format_tools.tool_format: template for template in TEMPLATES.values()}
    for tool_format, template in formats.items():
        if tool_format and (calls := find(template, text)[1]):
            return calls
    return []


def _read(template, text: str) -> list[ToolCall]:
    """Return the calls in `text`, none where a template cannot read them or takes for a call what is no call."""
    for reading in (_by_template, _without_prefix, _without_frame, _of_glm):
        try:
            calls = [{"name": name, "arguments": _parsed(arguments)} for name, arguments in reading(template, text)]
        except (NotImplementedError, AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError):
            continue  # an answer that only resembles a call: a bare number where a JSON object was looked for, say
        if calls and all(isinstance(call["name"], str) and isinstance(call["arguments"], dict | str) for call in calls):
            return calls
    return []


def _by_template(template, text: str) -> list:
    calls = template.extract_tool(text.strip())
    return [] if isinstance(calls, str) else calls


def _without_prefix(template, text: str) -> list:
    """Read what stands behind the mark that a template puts before its calls (Mistral's "[TOOL_CALLS]")."""
    prefix = _call_prefix(template)
    return (
        _by_template(template, text.strip().removeprefix(prefix)) if prefix and text.strip().startswith(prefix) else []
    )


def _call_prefix(template) -> str:
    """Return what a template writes before its calls, "" where nothing."""
    first = template.format_function.slots[0]
    return first.partition("{{content}}")[0].strip() if isinstance(first, str) else ""


def _without_frame(template, text: str) -> list:
    """Read MiniMax-M2's calls without their frame: LLaMA-Factory's template trains them so and cannot read them."""
    framed = template.format_tools.tool_format == "minimax2"
    return _by_template(template, f"<minimax:tool_call>{text}</minimax:tool_call>") if framed else []


def _of_glm(template, text: str) -> list:
    """Read the calls of GLM-4.5 and later, which LLaMA-Factory writes and cannot read."""
    calls = _GLM_CALL.findall(text) if template.format_tools.tool_format == "glm4_moe" else []
    return [
        (name, {key.strip(): _parsed(value) for key, value in _GLM_ARGUMENT.findall(arguments)})
        for name, arguments in calls
    ]


def _parsed(text: str | dict):
    """Return the JSON that `text` is, or the text itself."""
    if not isinstance(text, str):
        return text
    try:
        return parse(text)
    except ValueError:
        return text

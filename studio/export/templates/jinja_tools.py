"""How each of LLaMA-Factory's tool formats is written in Jinja: the definitions in the system message, and the calls.

The sentences around the definitions are LLaMA-Factory's own, read from its module; here stands what its code does.
"""

import sys
from dataclasses import dataclass

_FUNCTION = "{%- set tool = tool['function'] if tool.get('type') == 'function' else tool -%}"
_WRAPPED = "{%- set tool = tool if tool.get('type') == 'function' else {'type': 'function', 'function': tool} -%}"
_COMMA = "{%- if not loop.last -%}{{- ', ' -}}{%- endif -%}"
_LINE = "{%- if not loop.last -%}{{- '\\n' -}}{%- endif -%}"
_JSON = "(arguments if arguments is string else arguments | tojson)"
_NAMED = "'{\"name\": ' ~ call['name'] | tojson ~ ', \"%s\": ' ~ " + _JSON + " ~ '}'"
_VALUE = "(value if value is string else value | tojson)"
PLACE, NAMES = "\x00tools\x00", "\x00names\x00"


@dataclass(frozen=True)
class ToolFormat:
    """A tool format of LLaMA-Factory.

    Attributes:
        prompt: the constant of its `tool_utils` with the text around the definitions, None where there is none.
        definitions: Jinja that writes the definitions; it has `tools`.
        call: Jinja that writes one call; it has `call` and `arguments`, in a loop.
        opening, closing: around all calls of a message.
        after_prompt: what follows the text around the definitions.
        objects: the arguments have to be an object, as they are written one by one.
        alone: one call in a message and no more.
        one_bare: a single call is written without `opening` and `closing`.
        macros: Jinja macros that these use.
    """

    prompt: str | None
    definitions: str
    call: str
    opening: str = ""
    closing: str = ""
    after_prompt: str = ""
    objects: bool = False
    alone: bool = False
    one_bare: bool = False
    macros: str = ""


def _each(body: str) -> str:
    return "{%- for tool in tools -%}" + body + "{%- endfor -%}"


_DEFAULT_DEFINITION = (
    _FUNCTION
    + """
{{- '> Tool Name: ' ~ tool['name'] ~ '\\nTool Description: ' ~ tool.get('description', '') ~ '\\nTool Args:\\n' -}}
{%- for name, param in tool['parameters']['properties'] | items -%}
    {{- '  - ' ~ name ~ ' (' ~ param.get('type', '') -}}
    {%- if name in tool['parameters'].get('required', []) -%}{{- ', required' -}}{%- endif -%}
    {{- '): ' ~ param.get('description', '') -}}
    {%- if param.get('enum') -%}{{- ', should be one of [' ~ param['enum'] | join(', ') ~ ']' -}}{%- endif -%}
    {%- if param.get('items') -%}{{- ', where each item should be ' ~ param['items'].get('type', '') -}}{%- endif -%}
    {{- '\\n' -}}
{%- endfor -%}
{{- '\\n' -}}
"""
)
_GLM4_DEFINITION = (
    _FUNCTION
    + """
{{- '\\n\\n## ' ~ tool['name'] ~ '\\n\\n' ~ tool | tojson(indent=4) -}}
{{- '\\n在调用上述函数时，请使用 Json 格式表示调用的参数。' -}}
"""
)
_GEMMA4_DEFINITION = (
    _FUNCTION
    + """
{{- 'declaration:' ~ tool['name'] ~ '{description:<|"|>' ~ tool.get('description', '') ~ '<|"|>' -}}
{%- if tool.get('parameters') -%}
    {%- set params = tool['parameters'] -%}
    {%- set parts = namespace(comma='') -%}
    {{- ',parameters:{' -}}
    {%- if params.get('properties') -%}
        {{- 'properties:{' -}}
        {%- for name, schema in params['properties'] | items -%}
            {{- name ~ ':{' -}}
            {%- if schema.get('description') -%}
                {{- 'description:<|"|>' ~ schema['description'] ~ '<|"|>' -}}
                {%- if schema.get('type') -%}{{- ',' -}}{%- endif -%}
            {%- endif -%}
            {%- if schema.get('type') -%}
                {{- 'type:<|"|>' ~ schema['type'] | string | upper ~ '<|"|>' -}}
            {%- endif -%}
            {{- '}' -}}
            {%- if not loop.last -%}{{- ',' -}}{%- endif -%}
        {%- endfor -%}
        {{- '}' -}}
        {%- set parts.comma = ',' -%}
    {%- endif -%}
    {%- if params.get('required') -%}
        {{- parts.comma ~ 'required:[<|"|>' ~ params['required'] | join('<|"|>,<|"|>') ~ '<|"|>]' -}}
        {%- set parts.comma = ',' -%}
    {%- endif -%}
    {%- if params.get('type') -%}
        {{- parts.comma ~ 'type:<|"|>' ~ params['type'] | string | upper ~ '<|"|>' -}}
    {%- endif -%}
    {{- '}' -}}
{%- endif -%}
{%- if tool.get('response') -%}
    {%- set response = tool['response'] -%}
    {%- set object = response.get('type', '') | string | upper == 'OBJECT' -%}
    {{- ',response:{' -}}
    {%- if response.get('description') -%}
        {{- 'description:<|"|>' ~ response['description'] ~ '<|"|>' -}}
        {%- if object -%}{{- ',' -}}{%- endif -%}
    {%- endif -%}
    {%- if object -%}{{- 'type:<|"|>OBJECT<|"|>' -}}{%- endif -%}
    {{- '}' -}}
{%- endif -%}
{{- '}' -}}
"""
    + _LINE
)
# llama.cpp takes a template with these calls for an old one of Gemma's and puts the results of tools elsewhere, unless
# it reads the beginning of this comment. It goes on to read Gemma's calls in the answers.
_GEMMA4_MACRO = """
{#- OpenAI Chat Completions: tool calls and results come in its form. -#}
{%- macro argument_of(value) -%}
    {%- if value is string -%}{{- '<|"|>' ~ value ~ '<|"|>' -}}
    {%- elif value is none -%}{{- 'null' -}}
    {%- elif value is boolean -%}{{- 'true' if value else 'false' -}}
    {%- elif value is mapping -%}
        {{- '{' -}}
        {%- for name, one in value | dictsort(true) -%}
            {{- name ~ ':' ~ argument_of(one) -}}
            {%- if not loop.last -%}{{- ',' -}}{%- endif -%}
        {%- endfor -%}
        {{- '}' -}}
    {%- elif value is iterable -%}
        {{- '[' -}}
        {%- for one in value -%}
            {{- argument_of(one) -}}{%- if not loop.last -%}{{- ',' -}}{%- endif -%}
        {%- endfor -%}
        {{- ']' -}}
    {%- else -%}{{- value | string -}}
    {%- endif -%}
{%- endmacro -%}
"""


def _one_by_one(opening: str, each: str, closing: str) -> str:
    """Return Jinja for a call whose arguments are written one by one; `each` has `name` and `value`."""
    return (
        "{{- " + opening + " -}}{%- for name, value in arguments | items -%}{{- " + each + " -}}{%- endfor -%}"
        "{{- " + closing + " -}}"
    )


FORMATS = {
    "DefaultToolUtils": ToolFormat(
        "DEFAULT_TOOL_PROMPT",
        _each(_DEFAULT_DEFINITION),
        "{{- 'Action: ' ~ call['name'] ~ '\\nAction Input: ' ~ " + _JSON + " -}}" + _LINE,
    ),
    "Gemma4ToolUtils": ToolFormat(
        None,
        _each(_GEMMA4_DEFINITION),
        "{{- '<|tool_call>call:' ~ call['name'] ~ argument_of(arguments) ~ '<tool_call|>' -}}",
        objects=True,
        macros=_GEMMA4_MACRO,
    ),
    "GLM4ToolUtils": ToolFormat(
        "GLM4_TOOL_PROMPT", _each(_GLM4_DEFINITION), "{{- call['name'] ~ '\\n' ~ " + _JSON + " -}}", alone=True
    ),
    "Llama3ToolUtils": ToolFormat(
        "LLAMA3_TOOL_PROMPT",
        _each(_WRAPPED + "{{- tool | tojson(indent=4) ~ '\\n\\n' -}}"),
        "{{- " + _NAMED % "parameters" + " -}}" + _COMMA,
        "[",
        "]",
        one_bare=True,
    ),
    "LFM2ToolUtils": ToolFormat(
        "LFM2_TOOL_PROMPT",
        "{{- '[' -}}" + _each(_FUNCTION + "{{- tool | tojson -}}" + _COMMA) + "{{- ']' -}}",
        _one_by_one(
            "call['name'] ~ '('",
            "name ~ '=' ~ ('\"' ~ value ~ '\"' if value is string else value | tojson) ~ ('' if loop.last else ', ')",
            "')'",
        )
        + _COMMA,
        "<|tool_call_start|>[",
        "]<|tool_call_end|>",
        objects=True,
    ),
    "MiniMaxM1ToolUtils": ToolFormat(
        "MINIMAX_M1_TOOL_PROMPT",
        _each(_FUNCTION + "{{- tool | tojson ~ '\\n' -}}"),
        "{{- " + _NAMED % "arguments" + " -}}" + _LINE,
        "<tool_calls>\n",
        "\n</tool_calls>",
    ),
    "MiniMaxM2ToolUtils": ToolFormat(
        "MINIMAX_M2_TOOL_PROMPT",
        _each(_FUNCTION + "{{- '<tool>' ~ tool | tojson ~ '</tool>\\n' -}}"),
        _one_by_one(
            "'<invoke name=\"' ~ call['name'] ~ '\">'",
            "'\\n<parameter name=\"' ~ name ~ '\">' ~ " + _VALUE + " ~ '</parameter>'",
            "'\\n</invoke>'",
        )
        + _LINE,
        objects=True,
    ),
    "MistralToolUtils": ToolFormat(
        None,
        "{{- '[AVAILABLE_TOOLS] [' -}}"
        + _each(_WRAPPED + "{{- tool | tojson -}}" + _COMMA)
        + "{{- '][/AVAILABLE_TOOLS]' -}}",
        "{{- " + _NAMED % "arguments" + " -}}" + _COMMA,
        "[",
        "]",
    ),
    "QwenToolUtils": ToolFormat(
        "QWEN_TOOL_PROMPT",
        _each(_WRAPPED + "{{- '\\n' ~ tool | tojson -}}"),
        "{{- '<tool_call>\\n' ~ " + _NAMED % "arguments" + " ~ '\\n</tool_call>' -}}" + _LINE,
    ),
    "Qwen35ToolUtils": ToolFormat(
        "QWEN35_TOOL_PROMPT",
        _each(_FUNCTION + "{{- '\\n' ~ tool | tojson -}}"),
        _one_by_one(
            "'<tool_call>\\n<function=' ~ call['name'] ~ '>'",
            "'\\n<parameter=' ~ name ~ '>\\n' ~ " + _VALUE + " ~ '\\n</parameter>'",
            "'\\n</function>\\n</tool_call>'",
        )
        + _LINE,
        objects=True,
    ),
    "GLM4MOEToolUtils": ToolFormat(
        "GLM4_MOE_TOOL_PROMPT",
        _each(_WRAPPED + "{{- '\\n' ~ tool | tojson -}}"),
        _one_by_one(
            "'\\n<tool_call>' ~ call['name']",
            "'\\n<arg_key>' ~ name ~ '</arg_key>\\n<arg_value>' ~ " + _VALUE + " ~ '</arg_value>'",
            "''",
        )
        + _LINE,
        objects=True,
    ),
    "SeedToolUtils": ToolFormat(
        "SEED_TOOL_PROMPT",
        "{{- '\\n' ~ tools | tojson -}}",
        _one_by_one(
            "'\\n<seed:tool_call>\\n<function=' ~ call['name']",
            "'\\n<parameter=' ~ name ~ '>' ~ " + _VALUE + " ~ '</parameter>'",
            "'\\n</function>\\n</seed:tool_call>'",
        )
        + _LINE,
        objects=True,
    ),
    "LingToolUtils": ToolFormat(
        "LING_TOOL_PROMPT",
        _each(_WRAPPED + "{{- '\\n' ~ tool | tojson -}}"),
        "{{- '<tool_call>\\n' ~ " + _NAMED % "arguments" + " ~ '\\n</tool_call>' -}}" + _LINE,
        after_prompt="\ndetailed thinking off",
    ),
}


def format_of(formatter) -> ToolFormat | None:
    """Return the tool format of one of LLaMA-Factory's formatters; None where it is none of those known here."""
    return FORMATS.get(type(getattr(formatter, "tool_utils", None)).__name__)


def quoted(text: str) -> str:
    """Return a text as a string of Jinja."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def definitions(formatter, known: ToolFormat | None) -> str | None:
    """Return Jinja that writes what stands in the system message for `tools`, None where it is not known how."""
    if known is None:
        text = "".join(slot for slot in formatter.slots if isinstance(slot, str))
        before, place, after = text.partition("{{content}}")  # a template whose definitions are their JSON (phi4_mini)
        return "{{- " + f"{quoted(before)} ~ tools | tojson ~ {quoted(after)}" + " -}}" if place else None
    if known.prompt is None:
        return known.definitions
    constants = vars(sys.modules[type(formatter.tool_utils).__module__])
    prompt = constants[known.prompt].format(tool_text=PLACE, tool_names=NAMES, date="\x00date\x00") + known.after_prompt
    written = [quoted(piece) for piece in prompt.split(PLACE)]
    pieces = known.definitions.join("{{- " + piece + " -}}" for piece in written)
    names = "' -}}" + _each(_FUNCTION + "{{- tool['name'] -}}" + _COMMA) + "{{- '"
    return pieces.replace(NAMES, names).replace("\x00date\x00", "' ~ strftime_now('%d %b %Y') ~ '")


def calls(known: ToolFormat) -> str:
    """Return Jinja that writes `tool_calls`, a list in OpenAI's form."""
    lines = []
    if known.alone:
        lines.append("{%- if tool_calls | length > 1 -%}")
        lines.append("    {{- raise_exception('This template knows one call of a tool in a message, not several.') -}}")
        lines.append("{%- endif -%}")
    if known.opening:
        lines.append(_around_calls(known, known.opening))
    lines.append("{%- for call in tool_calls -%}")
    lines.append("    {%- set call = call['function'] if 'function' in call else call -%}")
    lines.append("    {%- set arguments = call['arguments'] -%}")
    if known.objects:
        lines.append("    {%- if arguments is string -%}")
        lines.append("        {{- raise_exception('Give the arguments of a tool call as an object, not as text.') -}}")
        lines.append("    {%- endif -%}")
    lines += ["    " + known.call, "{%- endfor -%}"]
    if known.closing:
        lines.append(_around_calls(known, known.closing))
    return "\n".join(lines)


def _around_calls(known: ToolFormat, text: str) -> str:
    written = "{{- " + quoted(text) + " -}}"
    return "{%- if tool_calls | length > 1 -%}" + written + "{%- endif -%}" if known.one_bare else written

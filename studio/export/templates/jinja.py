"""The chat template of a training run in Jinja: what transformers, vLLM, SGLang, llama.cpp and new Ollama read.

Made of LLaMA-Factory's template by one generator: the same texts in the same places as its `encode_oneturn`, which it
answers with and which training with `mask_history` equals. LLaMA-Factory's own generator loses tools, calls and
results, keeps earlier thoughts, ignores `add_generation_prompt`, writes a block for an empty system message and fails
where a content is a list or null.

Known and left as it is: LLaMA-Factory replaces a "{{idx}}" or a second "{{content}}" that stands in a message.
"""

from dataclasses import dataclass

from studio.export.templates import jinja_tools
from studio.export.templates.images import image_text
from studio.export.templates.jinja_tools import quoted
from studio.export.templates.slots import RESULT_SEPARATOR, Slot, Slots, SpecialTokens, slots_of

_TEXT = """\
{%- macro text_of(content) -%}
    {%- if content is string -%}
        {{- content -}}
    {%- elif content is defined and content is not none -%}
        {%- for part in content -%}
            {%- if part is string -%}
                {{- part -}}
            {%- elif 'text' in part -%}
                {{- part['text'] -}}
IMAGE            {%- else -%}
                {{- raise_exception('This chat template takes no such part of a message.') -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}"""
_IMAGE = """\
            {%- elif part.get('type') in ['image', 'image_url'] -%}
                {{- TEXT -}}
"""
_WITHOUT_THOUGHT = """\
{%- macro without_thought(text) -%}
    {%- set state = namespace(kept='', body='', inside=false) -%}
    {%- for part in text.split(OPENING) -%}
        {%- if loop.first -%}
            {%- set state.kept = part -%}
        {%- else -%}
            {%- set state.body = state.body ~ OPENING ~ part if state.inside else part -%}
            {%- set state.inside = CLOSING not in state.body -%}
            {%- if not state.inside -%}
                {%- set state.kept = state.kept ~ state.body.split(CLOSING)[1:] | join(CLOSING) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{- (state.kept ~ (OPENING ~ state.body if state.inside else '')).lstrip('\\n') -}}
{%- endmacro -%}"""
_SYSTEM = """\
{%- set system = '' -%}
{%- set turns = messages -%}
{%- if messages and messages[0]['role'] in ['system', 'developer'] -%}
    {%- set system = text_of(messages[0]['content']) -%}
    {%- set turns = messages[1:] -%}
{%- endif -%}"""


@dataclass(frozen=True)
class JinjaTemplate:
    """A chat template in Jinja.

    Attributes:
        text: the template.
        cannot: what it cannot express, as training's template cannot either; keys of `templates.cannot_...`.
    """

    text: str
    cannot: tuple[str, ...]


def jinja_template(template, tokens: SpecialTokens, processor=None) -> JinjaTemplate:
    """Return the chat template that writes what training encodes.

    Args:
        template: LLaMA-Factory's, of the run: its `default_system`, `enable_thinking` and tool format count.
        tokens: of the tokenizer as training left it.
        processor: of a model that sees, where it has one: some name the tokens around an image.

    Raises:
        ValueError: a slot is of a kind that LLaMA-Factory 0.9.5 does not know.
    """
    slots, image = slots_of(template, tokens), image_text(template, processor)
    tools = jinja_tools.format_of(template.format_tools)
    calls = jinja_tools.format_of(template.format_function)
    describe = jinja_tools.definitions(template.format_tools, tools)
    parts = [_TEXT.replace("IMAGE", "" if image is None else _IMAGE.replace("TEXT", quoted(image)))]
    for macros in {one.macros for one in (tools, calls) if one and one.macros}:
        parts.append(macros.strip())
    if slots.thought:
        opening, closing = (quoted(one) for one in slots.thought)
        parts.append(_WITHOUT_THOUGHT.replace("OPENING", opening).replace("CLOSING", closing))
    if describe:
        parts.append("{%- macro tools_text() -%}\n" + _indented(describe) + "\n{%- endmacro -%}")
    if calls:
        parts.append(
            "{%- macro calls_text(tool_calls) -%}\n" + _indented(jinja_tools.calls(calls)) + "\n{%- endmacro -%}"
        )
    parts += [_SYSTEM, *_beginning(slots, template.default_system, bool(describe)), _turns(slots, bool(calls))]
    if slots.thought:
        parts.append(
            "{%- if add_generation_prompt and turns and turns[-1]['role'] != 'assistant' and not enable_thinking -%}\n"
            "    {{- " + quoted(slots.empty_thought) + " -}}\n{%- endif -%}"
        )
    cannot = _cannot(slots, tools, calls, describe)
    return JinjaTemplate("\n".join(parts) + "\n", cannot if image is not None else (*cannot, "images"))


def _cannot(slots: Slots, tools, calls, describe) -> tuple[str, ...]:
    return tuple(
        name
        for name, holds in {
            "thoughts": slots.thought is None,
            "tools": describe is None,
            "calls": calls is None,
            "several_calls": calls is not None and calls.alone,
            "calls_as_text": calls is not None and calls.objects,
            "text_beside_calls": slots.in_user,
        }.items()
        if holds
    )


def _beginning(slots: Slots, default_system: str, tools: bool) -> list[str]:
    """Return what sets the variables of the loop and writes what stands before the first turn."""
    lines = []
    if default_system:
        lines.append("{%- set system = system or " + quoted(default_system) + " -%}")
    if slots.thought:
        value = {True: "true", False: "false", None: "none"}[slots.thinking]
        lines.append(
            "{%- if enable_thinking is not defined -%}{%- set enable_thinking = " + value + " -%}{%- endif -%}"
        )
    if slots.prefix:
        lines.append("{{- " + quoted(slots.prefix) + " -}}")
    described = "(tools_text() if tools else '')" if tools else "''"
    block = " ~ ".join([quoted(slots.system.before), "system", described, quoted(slots.system.after)])
    shown = "system or tools" if tools else "system"
    lines.append("{%- set system_block = '' -%}")
    lines.append("{%- if " + shown + " -%}\n    {%- set system_block = " + block + " -%}\n{%- endif -%}")
    if not slots.in_user:
        lines.append("{{- system_block -}}")
    return lines


def _turns(slots: Slots, calls: bool) -> str:
    """Return the loop over the messages after the system message."""
    content = "(system_block if loop.first else '') ~ content" if slots.in_user else "content"
    lines = ["{%- for message in turns -%}", "    {%- set content = text_of(message['content']) -%}"]
    lines += ["    {%- if message['role'] == 'user' -%}", f"        {_around(slots.user, content)}", *_head(slots.user)]
    lines += ["    {%- elif message['role'] == 'tool' -%}", *_indented_all(_results(slots.observation))]
    lines += ["    {%- elif message['role'] == 'assistant' -%}", *_indented_all(_answer(slots, calls))]
    lines += [
        "    {%- else -%}",
        "        {{- raise_exception('This chat template knows no message of the role ' ~ message['role']) -}}",
        "    {%- endif -%}",
        "{%- endfor -%}",
    ]
    return "\n".join(lines)


def _around(slot: Slot, content: str) -> str:
    pieces = [quoted(slot.before), content, quoted(slot.after)]
    return "{{- " + " ~ ".join(piece for piece in pieces if piece != "''") + " -}}"


def _head(slot: Slot) -> list[str]:
    if not slot.head:
        return []
    return [
        "        {%- if not loop.last or add_generation_prompt -%}",
        "            {{- " + quoted(slot.head) + " -}}",
        "        {%- endif -%}",
    ]


def _results(slot: Slot) -> list[str]:
    """Return the lines for the result of a tool: several in a row are one turn, as LLaMA-Factory's converter joins
    them.
    """
    lines = [
        "{%- if loop.first or turns[loop.index0 - 1]['role'] != 'tool' -%}",
        "    {{- " + quoted(slot.before) + " -}}",
        "{%- else -%}",
        "    {{- " + quoted(RESULT_SEPARATOR) + " -}}",
        "{%- endif -%}",
        "{{- content -}}",
        "{%- if loop.last or turns[loop.index0 + 1]['role'] != 'tool' -%}",
        "    {{- " + quoted(slot.after) + " -}}",
    ]
    lines += [line[4:] for line in _head(slot)]
    return [*lines, "{%- endif -%}"]


def _answer(slots: Slots, calls: bool) -> list[str]:
    lines = []
    if slots.thought:
        lines += _thoughts(slots)
    end = ["    {{- " + quoted(slots.answer_end) + " -}}"] if slots.answer_end else []
    if calls:
        lines += [
            "{%- if message.get('tool_calls') -%}",
            "    {%- if not content | trim -%}{%- set content = '' -%}{%- endif -%}",
        ]
        if slots.in_user:
            lines += [
                "    {%- if content -%}",
                "        {{- raise_exception('This template knows no text beside the call of a tool.') -}}",
                "    {%- endif -%}",
            ]
        lines += [
            "    " + _around(slots.function, "content ~ calls_text(message['tool_calls'])"),
            "{%- else -%}",
            "    " + _around(slots.assistant, "content"),
            "{%- endif -%}",
        ]
    else:
        lines.append(_around(slots.assistant, "content"))
    if end:
        lines += ["{%- if loop.last and not add_generation_prompt -%}", *end, "{%- endif -%}"]
    return lines


def _thoughts(slots: Slots) -> list[str]:
    """Return the lines that put a thought before its answer, and take away those that training takes away."""
    opening, closing = slots.thought
    stripped = (
        "loop.last and enable_thinking is false"
        if slots.keeps_thoughts
        else "not loop.last or enable_thinking is false"
    )
    return [
        "{%- set thought = message.get('reasoning_content') or message.get('reasoning') or message.get('thinking') -%}",
        "{%- if thought -%}",
        "    {%- set content = " + f"{quoted(opening)} ~ thought ~ {quoted(closing)} ~ content" + " -%}",
        "{%- endif -%}",
        "{%- if " + stripped + " -%}{%- set content = without_thought(content) -%}{%- endif -%}",
        "{%- if loop.last and "
        + f"{quoted(opening.strip())} not in content and {quoted(closing.strip())} not in content"
        + " -%}",
        "    {{- " + quoted(slots.empty_thought) + " -}}",
        "{%- endif -%}",
    ]


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.strip().splitlines())


def _indented_all(lines: list[str]) -> list[str]:
    return ["        " + line for line in lines]

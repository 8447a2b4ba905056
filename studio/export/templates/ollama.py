"""The chat template of a training run as an Ollama Modelfile.

Ollama writes JSON in its own way (no blanks, keys in its order), so that no tool is described and no call written as
training did: tools are left out of TEMPLATE, and Ollama says that this model has none, instead of asking it in words
that it never saw. A new Ollama takes the Jinja inside the GGUF file wherever that can do more, and there they are.
BOS is written by the engine, which reads from the GGUF file that it is wanted, and never a second time in TEMPLATE.
"""

import json
from dataclasses import dataclass

from studio.export.templates.parity import stop_texts
from studio.export.templates.slots import Slot, Slots, SpecialTokens, slots_of

_TRIMMED = (
    '{{- define "trimmed" -}}{{- if and (gt (len .) 0) (eq (slice . 0 1) "\\n") -}}'
    '{{- template "trimmed" (slice . 1) -}}{{- else -}}{{- . -}}{{- end -}}{{- end -}}'
)


@dataclass(frozen=True)
class OllamaModelfile:
    """A Modelfile.

    Attributes:
        text: the whole file.
        template: its TEMPLATE alone.
        stops: its stop words.
        cannot: what it cannot express, keys of `templates.cannot_...`.
    """

    text: str
    template: str
    stops: tuple[str, ...]
    cannot: tuple[str, ...]


def ollama_modelfile(
    template,
    tokens: SpecialTokens,
    source: str,
    adapter: str | None = None,
    adds_bos: bool = True,
    parameters: dict[str, str | int | float] | None = None,
) -> OllamaModelfile:
    """Return the Modelfile of a run.

    Args:
        template: LLaMA-Factory's, of the run.
        tokens: of the tokenizer as training left it.
        source: FROM: a GGUF file, a folder of safetensors, or a model that Ollama has.
        adapter: ADAPTER: a LoRA as GGUF, or a folder of safetensors.
        adds_bos: whether the engine puts BOS before the prompt (`tokenizer.ggml.add_bos_token` of the GGUF file).
        parameters: more of Ollama's parameters by name ("num_ctx", "temperature").

    Raises:
        ValueError: a slot is of a kind that LLaMA-Factory 0.9.5 does not know, or a text holds what ends a text of a
            Modelfile.
    """
    slots = slots_of(template, tokens)
    text = _template(slots, template.default_system, tokens.bos if adds_bos else None)
    stops = tuple(sorted(stop_texts(template, tokens)))
    lines = [f"FROM {source}"]
    if adapter:
        lines.append(f"ADAPTER {adapter}")
    lines.append(f"TEMPLATE {_block(text)}")
    if template.default_system:
        lines.append(f"SYSTEM {_block(template.default_system)}")
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    lines += [f"PARAMETER {name} {value}" for name, value in (parameters or {}).items()]
    cannot = ["tools", "calls", "answered", "parts", "images"]
    if slots.thought is None:
        cannot.append("thoughts")
    elif not slots.thinking:
        cannot.append("thinking")
    return OllamaModelfile("\n\n".join(lines) + "\n", text, stops, tuple(cannot))


def begins_with_bos(template, tokens: SpecialTokens) -> bool:
    """Tell whether what training encodes begins with BOS, so that `add_bos_token` of a GGUF file has to be true."""
    slots = slots_of(template, tokens)
    first = slots.prefix or slots.user.before
    return bool(tokens.bos) and first.startswith(tokens.bos)


def _block(text: str) -> str:
    if '"""' in text:
        raise ValueError('a text of a Modelfile cannot hold """')
    return f'"""{text}"""'


def _quoted(text: str) -> str:
    """Return a text as a string of Go, so that blanks around it can be trimmed away without its own."""
    return json.dumps(text, ensure_ascii=False)


def _out(text: str) -> str:
    return "{{- " + _quoted(text) + " -}}" if text else ""


def _template(slots: Slots, default_system: str, bos: str | None) -> str:
    """Return the Go template. `bos` is what the engine writes, None where it writes none."""
    leading = bos is not None and not slots.prefix and slots.user.before.startswith(bos)
    prefix = slots.prefix.removeprefix(bos) if bos else slots.prefix
    lines = [_TRIMMED] if slots.thought else []
    lines.append("{{- $system := .System -}}")
    if default_system:
        lines.append("{{- if not $system -}}{{- $system = " + _quoted(default_system) + " -}}{{- end -}}")
    lines.append("{{- $first := true -}}")
    lines.append(_out(prefix))
    system = slots.system
    if leading and not slots.in_user:
        system = Slot(system.before.removeprefix(bos or ""), system.after)
    block = "{{- if $system -}}" + _out(system.before) + "{{- $system -}}" + _out(system.after) + "{{- end -}}"
    if not slots.in_user:
        lines.append(block)
    lines.append("{{- range $at, $message := .Messages -}}")
    lines.append("{{- $last := eq (len (slice $.Messages $at)) 1 -}}")
    lines.append('{{- if eq .Role "user" -}}')
    lines += ["    " + line for line in _user(slots, block, bos if leading else None)]
    lines.append('{{- else if eq .Role "assistant" -}}')
    lines += ["    " + line for line in _answer(slots)]
    lines.append("{{- end -}}")
    lines.append('{{- if ne .Role "system" -}}{{- $first = false -}}{{- end -}}')
    lines.append("{{- end -}}")
    return "\n".join(line for line in lines if line.strip())


def _user(slots: Slots, block: str, bos: str | None) -> list[str]:
    """Return the lines of a user's turn; `bos` is left out of the first, where the engine writes it."""
    slot, lines = slots.user, []
    if bos:
        shown = "not $first" if slots.in_user else "or $system (not $first)"
        lines.append("{{- if " + shown + " -}}" + _out(bos) + "{{- end -}}")
        lines.append(_out(slot.before.removeprefix(bos)))
    else:
        lines.append(_out(slot.before))
    if slots.in_user:
        lines.append("{{- if $first -}}" + block + "{{- end -}}")
    lines.append("{{- .Content -}}" + _out(slot.after + slot.head))
    if slots.thought:
        asked = "and $last $.IsThinkSet (not $.Think)" if slots.thinking else "$last"
        lines.append("{{- if " + asked + " -}}" + _out(slots.empty_thought) + "{{- end -}}")
    return lines


def _answer(slots: Slots) -> list[str]:
    """Return the lines of an answer. One at the end is gone on with.

    Ollama finds the marks of a thought by the plain text around `.Thinking`.
    """
    lines = []
    content = "{{- .Content -}}"
    if slots.thought:
        shown = ".Thinking" if slots.keeps_thoughts else "and $last .Thinking"
        opening, closing = slots.thought
        lines.append("{{- if " + shown + " }}" + opening + "{{ .Thinking }}" + closing + "{{ end -}}")
        if not slots.keeps_thoughts:
            content = '{{- if $last -}}{{- .Content -}}{{- else -}}{{- template "trimmed" .Content -}}{{- end -}}'
    lines.append(_out(slots.assistant.before) + content)
    if slots.assistant.after:
        lines.append("{{- if not $last -}}" + _out(slots.assistant.after) + "{{- end -}}")
    return lines

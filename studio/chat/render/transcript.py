"""A conversation as a file to keep: Markdown to read, JSON to work with."""

import json
import re

from studio.core import formatting
from studio.core.i18n import Words
from studio.core.jobs import sentence_text
from studio.inference.reasoning import split_reasoning


def as_json(conversation: dict) -> str:
    """Return a conversation as JSON, whole: see `conversation.Conversation` for its fields."""
    return json.dumps(conversation, ensure_ascii=False, indent=2) + "\n"


def as_markdown(conversation: dict, words: Words) -> str:
    """Return a conversation as Markdown: each question once, below it the answer of each column with its figures.

    Where columns were asked differently (one was asked again, or its question edited), each stands below its own
    question.
    """
    title = _line(conversation.get("title") or words("transcript.untitled"))
    created = formatting.moment(conversation["created"])
    parts = [f"# {title}", f"{created} · {', '.join(_line(name) for name in conversation['columns'])}"]
    if settings := conversation.get("settings"):
        parts.append(", ".join(f"{name} {value}" for name, value in settings.items()))
    if conversation.get("system"):
        parts += [f"## {words('transcript.system')}", _quoted(conversation["system"])]
    if conversation.get("tools"):
        parts += [f"## {words('transcript.tools')}", _fenced(conversation["tools"], "json")]
    columns = {name: messages for name in conversation["columns"] if (messages := conversation["messages"].get(name))}
    for turn in sorted({message["turn"] for messages in columns.values() for message in messages}):
        parts += _turn(
            words,
            turn,
            {name: [message for message in messages if message["turn"] == turn] for name, messages in columns.items()},
        )
    return "\n\n".join(parts) + "\n"


def _turn(words: Words, turn: int, columns: dict[str, list[dict]]) -> list[str]:
    parts, last_question = [f"## {words('transcript.turn', turn=turn)}"], None
    for name, messages in columns.items():
        question = next(
            ([message["content"], message.get("images") or []] for message in messages if message["role"] == "user"),
            None,
        )
        if question and question != last_question:
            last_question = question
            parts += [
                f"**{words('transcript.user')}**",
                _quoted(question[0]),
                *(f"[{_line(image)}]" for image in question[1]),
            ]
        for message in messages:
            if message["role"] != "user":
                parts += _message(words, name, message)
    return [part for part in parts if part]


def _message(words: Words, name: str, message: dict) -> list[str]:
    if message["role"] == "tool":
        return [f"**{words('transcript.result')}** ({_line(name)})", _fenced(message["content"], "")]
    reasoning, text = split_reasoning(message["content"])
    parts = [f"### {_line(name)}"]
    if reasoning.strip():
        parts += [f"*{words('markdown.reasoning')}*", _quoted(reasoning)]
    parts.append(text.strip())
    parts += [_fenced(json.dumps(call, ensure_ascii=False, indent=2), "json") for call in message.get("calls") or []]
    return [*parts, _figures(words, message.get("answer") or {})]


def _figures(words: Words, answer: dict) -> str:
    parts = [words("sheet.tokens", count=formatting.plain(answer["tokens"]))] if answer.get("tokens") else []
    parts += (
        [words("transcript.first", seconds=formatting.fixed(answer["first_token_s"], 2))]
        if answer.get("first_token_s")
        else []
    )
    parts += (
        [words("sheet.pace", pace=formatting.fixed(answer["tokens_per_s"], 1))] if answer.get("tokens_per_s") else []
    )
    parts += [words("transcript.cut")] if answer.get("finished") in ("length", "stopped", "failed") else []
    parts += [_line(sentence_text(answer["fault"], words))] if answer.get("fault") else []
    return f"<sub>{' · '.join(parts)}</sub>" if parts else ""


def _line(text: str) -> str:
    """Return text that stands in one line and means nothing in Markdown."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(str(text).split()))


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n"))


def _fenced(text: str, language: str) -> str:
    """Return code between fences that are longer than any in it."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"

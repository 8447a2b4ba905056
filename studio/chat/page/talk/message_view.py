"""The messages of a column: what the page shows of a question, of an answer, and of what a tool gave."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup

from studio.chat.history import image_files
from studio.chat.history.chat_records import image_file
from studio.chat.history.conversations import Conversation
from studio.chat.render import markdown
from studio.core import jobs
from studio.core.i18n import Problem, Words
from studio.inference.messages import Message
from studio.web.html import render

ENDS = ("running", "broken", "stop", "length", "stopped", "failed")
PARITIES = ("same", "differs", "untold")


@dataclass(frozen=True)
class QuestionContext:
    """A question. column: as it is called now. images: addresses that hold the image whole."""

    conversation: str
    column: str
    turn: int
    text: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class CallContext:
    """A tool that an answer calls; `arguments` as JSON."""

    name: str
    arguments: str


@dataclass(frozen=True)
class FiguresContext:
    """The figures of an answer. end: how it ended, one of ENDS. parity: one of PARITIES, "" where it is not known;
    trained: the model whose template the prompt was compared with.
    """

    tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    prompt_count: int | None
    end: str
    parity: str = ""
    trained: str = ""


@dataclass(frozen=True)
class AnswerContext:
    """An answer. column: as it is called now. body: its text as HTML. fault: a sentence, "" for none; while names are
    hidden one that names no model, and figures is None then.
    wants_results: its calls wait for what the tools give. is_growing: more of it comes. may_regenerate: it is the last
    message and nobody answers.
    """

    conversation: str
    column: str
    text: str
    body: Markup
    calls: tuple[CallContext, ...]
    fault: str
    figures: FiguresContext | None
    wants_results: bool
    is_growing: bool
    may_regenerate: bool


@dataclass(frozen=True)
class ToolOutputContext:
    """What a tool gave."""

    text: str


MessageContext = QuestionContext | AnswerContext | ToolOutputContext
TEMPLATES = {
    QuestionContext: "chat/page/talk/question.html",
    AnswerContext: "chat/page/talk/answer.html",
    ToolOutputContext: "chat/page/talk/tool_output.html",
}


def question(conversation: Conversation, column: str, message: Message, folder: Path) -> QuestionContext:
    """Return what is shown of a question; an image that is gone is left out. `folder` has the conversations."""
    images = tuple(small for image in message.get("images", []) if (small := _small(folder, image)))
    return QuestionContext(
        conversation.id, conversation.called(column), int(message["turn"]), message["content"], images
    )


def answer(
    words: Words,
    conversation: Conversation,
    column: str,
    message: Message,
    growing: markdown.Growing | None,
    is_last: bool,
) -> AnswerContext:
    """Return what is shown of an answer.

    Args:
        growing: the HTML that grows with this answer, None where it is done.
        is_last: it is the last message of its column, and nobody answers now.
    """
    text, figures = message["content"], message.get("answer", {})
    is_open = growing is not None and not figures.get("finished")
    calls = tuple(
        CallContext(str(call["name"]), _as_json(call.get("arguments"))) for call in message.get("calls") or []
    )
    return AnswerContext(
        conversation.id,
        conversation.called(column),
        text,
        growing.html(text) if is_open else _written(words.language, text),
        calls,
        _fault(words, conversation, figures),
        None if conversation.hidden else figures_of(figures, growing is not None),
        bool(calls) and is_last,
        growing is not None,
        is_last,
    )


def _fault(words: Words, conversation: Conversation, figures: dict) -> str:
    """Return why an answer failed, "" where it did not; what failed often tells which model it was."""
    if figures.get("fault") and conversation.hidden:
        return words("chat.fault_hidden")
    return jobs.sentence_text(figures.get("fault"), words) or ""


def figures_of(figures: dict, is_growing: bool) -> FiguresContext:
    """Return the figures of an answer, as a conversation keeps them (`chat_records.Figures`)."""
    end = figures.get("finished") or ("running" if is_growing else "broken")
    parity = figures.get("parity") or {}
    return FiguresContext(
        figures.get("tokens", 0),
        figures.get("first_token_s"),
        figures.get("tokens_per_s"),
        figures.get("prompt_count"),
        end if end in ENDS else "broken",
        parity["is"] if parity.get("is") in PARITIES else "",
        str(parity.get("as", "")),
    )


def html(language: str, message: MessageContext) -> Markup:
    """Return a message as HTML; the same message is drawn once."""
    if isinstance(message, AnswerContext) and message.is_growing:
        return _html(language, message)
    return _drawn(language, message)


def _html(language: str, message: MessageContext) -> Markup:
    return render(TEMPLATES[type(message)], Words(language), message)


_drawn = lru_cache(maxsize=1024)(_html)


@lru_cache(maxsize=256)
def _written(language: str, text: str) -> Markup:
    return markdown.render(Words(language), text)


def _as_json(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, indent=1)


def _small(folder: Path, image: str) -> str:
    try:
        return image_files.small(image_file(folder, image))
    except Problem:
        return ""  # who asks with it is told

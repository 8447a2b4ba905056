"""A list of prompts as a table: a row for each prompt, a cell for the answer of each column."""

import json
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from studio.chat.history.prompt_lists import PromptList, PromptLists
from studio.chat.render import markdown
from studio.core.i18n import Words
from studio.core.jobs import Job, sentence_text
from studio.inference import target_names
from studio.inference.reasoning import without_reasoning

TEMPLATE = "chat/page/prompt_lists/answers_table.html"
ROWS = 50
# An answer of more is folded: a table is for looking over many.
SHOWN_LINES, SHOWN_LETTERS = 12, 900
RESUMABLE = ("stopped", "failed", "interrupted")


@dataclass(frozen=True)
class Cell:
    """An answer. body: its text as HTML, None where there is none. beginning: its first words, where the rest is
    folded. calls: the tools that it calls, as they are written. fault: a sentence, "" for none.
    """

    is_awaited: bool = False
    body: Markup | None = None
    beginning: str = ""
    calls: tuple[str, ...] = ()
    fault: str = ""
    tokens: int = 0
    tokens_per_s: float | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class Row:
    """A prompt, its place in the list from 0, and its answers in the order of the columns; system: its own one."""

    number: int
    prompt: str
    system: str
    cells: list[Cell]


@dataclass(frozen=True)
class AnswersTableContext:
    """One page of a list: `rows` from `offset` (from 0) up to number `last` (from 1). columns: (name,
    what is shown of it). done: prompts that were asked. unreadable: lines of the file that are no
    answers. job: of those that may be stopped, "" for none.
    """

    id: str
    title: str
    columns: list[tuple[str, str]]
    rows: list[Row]
    offset: int
    last: int
    count: int
    done: int
    unreadable: int
    state: str
    job: str
    is_resumable: bool
    error: str
    page: int = ROWS


def answers_table(words: Words, prompt_lists: PromptLists, place: str) -> AnswersTableContext | None:
    """Return a page of a list, None where none is in hand.

    Args:
        place: the id of the list, or `id@row` for the page that begins at that row (from 0).

    Raises:
        Problem: there is no such list, or it cannot be read.
    """
    if not place:
        return None
    id, _, begin = place.partition("@")
    prompt_list, job = prompt_lists.open(id), prompt_lists.job(id)
    answers, offset = prompt_lists.answers(id), int(begin) if begin.isdecimal() and len(begin) < 7 else 0
    rows = [
        _row(words, prompt_list, number, answers.get(number))
        for number in range(len(prompt_list.prompts))[offset : offset + ROWS]
    ]
    return AnswersTableContext(
        id=id,
        title=prompt_list.title,
        columns=[(name, target_names.label(prompt_lists.workspace, name)) for name in prompt_list.columns],
        rows=rows,
        offset=offset,
        last=min(offset + ROWS, len(prompt_list.prompts)),
        count=len(prompt_list.prompts),
        done=len(answers),
        unreadable=prompt_lists.unreadable(id),
        state=job.state if job else "finished",
        job=job.id if job and job.active else "",
        is_resumable=_is_resumable(job),
        error=sentence_text(job.error, words) if job and job.error else "",
    )


def _is_resumable(job: Job | None) -> bool:
    return job is not None and not job.active and job.state in RESUMABLE


def _row(words: Words, prompt_list: PromptList, number: int, answers: dict[str, dict] | None) -> Row:
    prompt = prompt_list.prompts[number]
    cells = [
        Cell(is_awaited=True) if answers is None else _cell(words, answers.get(name)) for name in prompt_list.columns
    ]
    return Row(number, prompt["prompt"], (prompt.get("system") or "")[:300], cells)


def _cell(words: Words, answer: dict | None) -> Cell:
    if answer is None:
        return Cell()
    text = answer["text"]
    is_long = text.count("\n") >= SHOWN_LINES or len(text) > SHOWN_LETTERS
    return Cell(
        body=_written(words.language, text) if text.strip() else None,
        beginning=" ".join((without_reasoning(text) or text)[:160].split()) if is_long else "",
        calls=tuple(
            f"{call.get('name', '')}({json.dumps(call.get('arguments'), ensure_ascii=False)})"
            for call in answer.get("calls") or []
        ),
        fault=sentence_text(answer["fault"], words) or "" if answer.get("fault") else "",
        tokens=answer.get("tokens") or 0,
        tokens_per_s=answer.get("tokens_per_s"),
        is_cut=answer.get("finished") == "length",
    )


@lru_cache(maxsize=2048)
def _written(language: str, text: str) -> Markup:
    return markdown.render(Words(language), text)

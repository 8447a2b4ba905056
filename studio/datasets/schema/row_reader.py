"""One row of any recognised form read into the row that LLaMA-Factory trains on: recognising and converting use this
same reading."""

import json
from dataclasses import dataclass
from pathlib import Path

from studio.core.storage.records import parse
from studio.datasets.schema import content as contents
from studio.datasets.schema import tool_definitions
from studio.datasets.schema import turns as conversations
from studio.datasets.schema.mapping import Mapping
from studio.datasets.schema.media import MediaFiles
from studio.datasets.schema.names import BAD, CONTENT_KEYS, GOOD
from studio.datasets.schema.observed_schema import MEDIA
from studio.datasets.schema.row_faults import UnusableRow
from studio.datasets.schema.turns import Talk

ANSWERS = ("gpt", "function_call")
_WRITTEN = {"prompt": "instruction", "query": "input", "response": "output"}


@dataclass
class ReadRow:
    """A row as it is written, and what must be told of it (see `faults.NOTES`)."""

    value: dict
    notes: set[str]


class RowReader:
    """Reads rows by one mapping; `media` finds their files."""

    def __init__(self, mapping: Mapping, media: MediaFiles | None = None):
        self.mapping = mapping
        self.media = media or MediaFiles(Path(), Path())

    def read(self, row: dict) -> ReadRow:
        """Return what is written of a row.

        Raises:
            UnusableRow: something of it has no place in the form, or is of no known make.
        """
        form = self.mapping.form
        if form == "text":
            text = self._given(row, "prompt")
            if not isinstance(text, str):
                raise UnusableRow("prompt")
            return ReadRow({"text": text}, set())
        if form == "chat_preference":
            return self._compared(row)
        if form in ("chat", "chat_kto"):
            return self._talk(row)
        return self._one_turn(row)

    def _given(self, row: dict, column: str) -> object:
        """Return the value of a column, None where the mapping names no field for it, or an object there has nothing
        in it."""
        field = self.mapping.columns.get(column)
        value = row.get(field) if field else None
        return None if value == {} else value

    # One question and one answer

    def _one_turn(self, row: dict) -> ReadRow:
        mapping, notes = self.mapping, set()
        if mapping.form == "scores":
            self._scored(row)
        out: dict = {
            "instruction": text_of(self._given(row, "prompt"), "prompt"),
            "input": text_of(self._given(row, "query") or "", "query"),
        }
        for column in ("chosen", "rejected") if mapping.stage == "dpo" else ("response",):
            out[_WRITTEN.get(column, column)] = text_of(self._given(row, column), column)
        if mapping.stage == "kto":
            out["label"] = label_of(self._given(row, "kto_tag"))
        if mapping.columns.get("system"):
            out["system"] = system_of(self._given(row, "system"))
        if mapping.columns.get("history"):
            out["history"] = history_of(self._given(row, "history"))
        self._beside(row, Talk(notes=notes), out)
        return ReadRow(out, notes)

    def _scored(self, row: dict) -> None:
        score, least = self._given(row, "score"), self.mapping.min_score
        if not isinstance(score, int | float):
            raise UnusableRow("score")
        if least is not None and score < least:
            raise UnusableRow("score", "score_too_low", score=score, least=least)

    # Conversations

    def _read_talk(self, row: dict, column: str, speaker: str) -> Talk:
        return conversations.read(self._given(row, column), self.mapping.tags, column, speaker)

    def _talk(self, row: dict) -> ReadRow:
        talk = self._read_talk(row, "messages", "human")
        if self.mapping.columns.get("response") and self._given(row, "response") not in (None, "", []):
            _extend(talk, self._read_talk(row, "response", "gpt"))
        if not talk.answered():
            raise UnusableRow("messages", "no_answer")
        _without_last_results(talk)
        out = {"conversations": talk.turns}
        if self.mapping.stage == "kto":
            out["label"] = label_of(self._given(row, "kto_tag"))
        self._beside(row, talk, out)
        return ReadRow(out, talk.notes)

    def _compared(self, row: dict) -> ReadRow:
        columns = self.mapping.columns
        before = (
            self._read_talk(row, "messages", "human")
            if columns.get("messages") and self._given(row, "messages") is not None
            else Talk()
        )
        if columns.get("chosen"):
            chosen = self._read_talk(row, "chosen", "gpt")
            if chosen.turns[0]["from"] in ANSWERS:
                if not before.turns:
                    raise UnusableRow("messages")
                chosen = _extend(before, chosen)
        else:
            _without_last_results(before)
            chosen = before
        rejected = self._read_talk(row, "rejected", "gpt")
        context = chosen.turns[:-1]
        alone = rejected.turns[0]["from"] in ANSWERS
        if not context or chosen.turns[-1]["from"] not in ANSWERS:
            raise UnusableRow("chosen" if columns.get("chosen") else "messages")
        if alone and len(rejected.turns) > 1:
            # More than one turn after the question: what comes before the last must be said in the chosen one as well.
            alone = False
            rejected.turns = context[: len(context) - len(rejected.turns) + 1] + rejected.turns
        if rejected.turns[-1]["from"] not in ANSWERS or (not alone and rejected.turns[:-1] != context):
            raise UnusableRow(
                "rejected", "asked_otherwise" if rejected.turns[-1]["from"] in ANSWERS else "unusable_value"
            )
        for kind in MEDIA if alone else ():
            if rejected.media[kind]:
                raise UnusableRow("rejected", "media_in_rejected")
        chosen.notes |= rejected.notes
        out = {"conversations": context, "chosen": chosen.turns[-1], "rejected": rejected.turns[-1]}
        chosen.beside = {**rejected.beside, **chosen.beside, **before.beside}
        self._beside(row, chosen, out)
        return ReadRow(out, chosen.notes)

    # What goes with it

    def _beside(self, row: dict, talk: Talk, out: dict) -> None:
        """Put beside the turns what belongs to them: system prompt, tools as the JSON text that LLaMA-Factory wants,
        media."""
        columns = self.mapping.columns
        if "conversations" in out and (columns.get("system") or talk.beside.get("system")):
            system = system_of(self._given(row, "system") if columns.get("system") else talk.beside["system"])
            first = out["conversations"][0] if out["conversations"] else {}
            if first.get("from") == "system":
                if system.strip() and system != first["value"]:
                    talk.notes.add("two_systems")
                system = ""
            out["system"] = system
        tools = (
            self._given(row, "tools")
            if columns.get("tools")
            else talk.beside.get("tools") or talk.beside.get("functions")
        )
        if columns.get("tools") or tools:
            out["tools"], mended = tool_definitions.read(tools)
            if mended:
                talk.notes.add("tools_mended")
        given = {kind: self._given(row, kind) for kind in MEDIA if columns.get(kind)}
        out |= self.media.together(talk.media, talk.parts, given)


def _extend(talk: Talk, more: Talk) -> Talk:
    """Add the turns of another conversation to one, and return it."""
    for turn in more.turns:
        talk.add(turn["from"], turn["value"])
    for kind in MEDIA:
        talk.media[kind].extend(more.media[kind])
        talk.parts[kind] = talk.parts.get(kind, 0) + more.parts.get(kind, 0)
    talk.notes |= more.notes
    return talk


def _without_last_results(talk: Talk) -> None:
    """Take away results of tools that no answer follows: as LLaMA-Factory's own reading of OpenAI's form does, which
    trains the call."""
    while talk.turns and talk.turns[-1]["from"] == "observation" and talk.answered():
        text = talk.turns.pop()["value"]
        talk.drop(text, "last_result")
        talk.notes.add("last_result")


def text_of(value: object, column: str) -> str:
    """Return a value as the text that is trained. Raises UnusableRow for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise UnusableRow(column)


def system_of(value: object) -> str:
    """Return a system prompt: text, a message, or parts of a content. Raises UnusableRow for anything else."""
    if isinstance(value, dict):
        value = next((value[key] for key in CONTENT_KEYS if key in value), value)
    if isinstance(value, bool | int | float):
        return text_of(value, "system")
    content = contents.read(value, "system")
    if content.calls or content.results or any(content.placeholders_of_parts.values()):
        raise UnusableRow("system")
    return content.text


def label_of(value: object) -> bool:
    """Return whether an answer was liked. Raises UnusableRow for what does not say so."""
    small = value.casefold().strip() if isinstance(value, str) else value
    if isinstance(small, bool | int | float | str):
        if small in GOOD:
            return True
        if small in BAD:
            return False
    raise UnusableRow("kto_tag")


def history_of(value: object) -> list[list[str]]:
    """Return earlier turns as [[question, answer]]; they may come as messages too. Raises UnusableRow for anything
    else."""
    if isinstance(value, str) and value.strip():
        try:
            value = parse(value)
        except ValueError:
            raise UnusableRow("history") from None
    if value in (None, "", []):
        return []
    if not isinstance(value, list):
        raise UnusableRow("history")
    if all(isinstance(turn, list) and len(turn) == 2 and all(isinstance(one, str) for one in turn) for turn in value):
        return value
    if not all(isinstance(turn, dict) for turn in value):
        raise UnusableRow("history")
    talk = conversations.read(value, {}, "history")
    turns = talk.turns
    if (
        len(turns) % 2
        or any(turn["from"] != ("human", "gpt")[number % 2] for number, turn in enumerate(turns))
        or any(talk.parts.values())
    ):
        raise UnusableRow("history")
    return [[turns[number]["value"], turns[number + 1]["value"]] for number in range(0, len(turns), 2)]

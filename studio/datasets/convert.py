"""Rows of any recognised form written as LLaMA-Factory reads them: always a new file, the one that came in is never changed."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from studio.core.writing import move, scratch
from studio.datasets import formats, reading
from studio.datasets.formats import Mapping
from studio.datasets.reading import CODECS, Row
from studio.interface.language import Problem

LEFT_OUT_TOLD = 100
_SPEAKERS = re.compile(r"\n\n(Human|Assistant):")
_TURNS = {"messages": "conversations", "system": "system", "tools": "tools", "images": "images", "chosen": "chosen", "rejected": "rejected",
          "kto_tag": "label"}
_ONE_TURN = {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history", "chosen": "chosen",
             "rejected": "rejected", "kto_tag": "label"}


@dataclass
class Written:
    """What a conversion wrote: how many rows, and the first of those left out, each with its problem.

    Of a file that is read where it lies, `rows` is how many it has, None while they are being counted.
    """

    rows: int | None = 0
    left_out: int = 0
    problems: list[Problem] = field(default_factory=list)

    def leave_out(self, problem: Problem) -> None:
        """Count a row that cannot be used."""
        self.left_out += 1
        if len(self.problems) < LEFT_OUT_TOLD:
            self.problems.append(problem)


def entry_for(mapping: Mapping, file_name: str) -> dict:
    """Return the entry of `dataset_info.json` for the file that `convert` writes by this mapping."""
    if mapping.form == "text":
        return {"file_name": file_name, "columns": {"prompt": "text"}}
    chat = mapping.form.startswith("chat")
    columns = {"messages": "conversations"} if chat else {"prompt": "instruction", "query": "input"}
    given = [name for name in ("system", "tools", "images", "history") if mapping.columns.get(name)]
    if mapping.stage == "dpo":
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    elif not chat:
        columns["response"] = "output"
    if mapping.stage == "kto":
        columns["kto_tag"] = "label"
    columns |= {name: name for name in given}
    return {"file_name": file_name} | ({"formatting": "sharegpt"} if chat else {}) | ({"ranking": True} if mapping.stage == "dpo" else {}) | {
        "columns": columns}


def converted(rows: Iterator[Row], mapping: Mapping, written: Written, path: Path) -> Iterator[dict]:
    """Yield the rows in the form of `entry_for`; those that cannot be used are counted in `written`.

    Args:
        rows: the rows that came in.
        mapping: how to read them; nothing may be `missing()` in it.
        written: is told of every row.
        path: the file they came from, to be named in problems.

    Raises:
        Problem: the mapping lacks a column.
    """
    if missing := mapping.missing():
        raise Problem("datasets.column_not_chosen", column=", ".join(missing), file=path)
    if mapping.form == "scored_pairs":
        yield from _pairs(rows, mapping, written, path)
        return
    for row in rows:
        try:
            if row.problem:
                raise _about(row.problem, path)
            yield _one(row.value, mapping, path, row.number)
            written.rows += 1
        except Problem as problem:
            written.leave_out(problem)


def _about(problem: Problem, path: Path) -> Problem:
    """Return a problem of the UTF-8 copy of a file as one of the file itself."""
    return Problem(problem.key, **{**problem.facts, "file": path}) if "file" in problem.facts else problem


def _one(row: dict, mapping: Mapping, path: Path, number: int) -> dict:
    def given(column: str) -> object:
        return row.get(mapping.columns.get(column, ""))

    def fault(column: str) -> Problem:
        return Problem("datasets.unusable_value", file=path, row=number, field=mapping.columns.get(column, column))

    if mapping.form == "text":
        if not isinstance(given("prompt"), str):
            raise fault("prompt")
        return {"text": given("prompt")}
    if mapping.form == "chat_preference":
        return _compared_talks(row, mapping, fault)
    if mapping.form in ("chat", "chat_kto"):
        return _talk(row, mapping, fault)
    if mapping.form == "scores":
        score = given("score")
        if not isinstance(score, int | float):
            raise fault("score")
        if mapping.min_score is not None and score < mapping.min_score:
            raise Problem("datasets.score_too_low", file=path, row=number, field=mapping.columns["score"], score=score, least=mapping.min_score)
    out: dict = {"instruction": _text(given("prompt"), lambda: fault("prompt")), "input": _text(given("query") or "", lambda: fault("query"))}
    for column in ("chosen", "rejected") if mapping.stage == "dpo" else ("response",):
        out[_ONE_TURN[column]] = _text(given(column), lambda column=column: fault(column))
    if mapping.stage == "kto":
        out["label"] = _label(given("kto_tag"), fault)
    if mapping.columns.get("system"):
        out["system"] = _text(given("system") or "", lambda: fault("system"))
    if mapping.columns.get("history"):
        out["history"] = _history(given("history"), fault)
    return out


def _text(value: object, fault: Callable[[], Problem]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise fault()


def _label(value: object, fault) -> bool:
    small = value.casefold().strip() if isinstance(value, str) else value
    if isinstance(small, bool | int | str):
        if small in formats.GOOD:
            return True
        if small in formats.BAD:
            return False
    raise fault("kto_tag")


def _history(value: object, fault) -> list[list[str]]:
    turns = value or []
    if not isinstance(turns, list) or not all(isinstance(turn, list) and len(turn) == 2 and all(isinstance(one, str) for one in turn) for turn in turns):
        raise fault("history")
    return turns


def _talk(row: dict, mapping: Mapping, fault) -> dict:
    talk = row.get(mapping.columns["messages"])
    if not isinstance(talk, list) or not talk:
        raise fault("messages")
    images: list[str] = []
    out: dict = {"conversations": list(_messages(talk, mapping, lambda: fault("messages"), images))}
    if mapping.stage == "kto":
        out["label"] = _label(row.get(mapping.columns["kto_tag"]), fault)
    return out | _beside(row, mapping, images, fault)


def _beside(row: dict, mapping: Mapping, images: list[str], fault) -> dict:
    """Return what stands beside the messages: system prompt, tools as the JSON text that LLaMA-Factory wants, images."""
    out: dict = {}
    if field := mapping.columns.get("system"):
        out["system"] = _text(row.get(field) or "", lambda: fault("system"))
    if field := mapping.columns.get("tools"):
        tools = row.get(field) or ""
        if not isinstance(tools, str | list):
            raise fault("tools")
        out["tools"] = tools if isinstance(tools, str) else json.dumps([_tool(tool) for tool in tools], ensure_ascii=False)
    if field := mapping.columns.get("images"):
        named = row.get(field) or images
        out["images"] = [named] if isinstance(named, str) else named
        if not isinstance(out["images"], list) or not all(isinstance(each, str) for each in out["images"]):
            raise fault("images")
    return out


def _tool(tool: object) -> object:
    return tool["function"] if isinstance(tool, dict) and isinstance(tool.get("function"), dict) else tool


def _messages(talk: list, mapping: Mapping, fault, images: list[str]) -> Iterator[dict]:
    """Yield messages as {from, value} with LLaMA-Factory's roles; answers of tools that follow each other become one."""
    role_tag, content_tag = mapping.tags.get("role_tag", "from"), mapping.tags.get("content_tag", "value")
    answers: list[str] = []
    for message in talk:
        if not isinstance(message, dict):
            raise fault()
        role, content = _role(str(message.get(role_tag)), mapping.tags), message.get(content_tag)
        if not role:
            raise fault()
        if calls := message.get("tool_calls"):
            if not isinstance(calls, list) or not all(isinstance(call, dict) and isinstance(call.get("function", call), dict) for call in calls):
                raise fault()
            role, content = "function_call", json.dumps([_call(call) for call in calls], ensure_ascii=False)
        text = _parts(content, fault, images)
        if role == "observation":
            answers.append(text)
            continue
        if answers:
            yield {"from": "observation", "value": "\n</tool_response>\n<tool_response>\n".join(answers)}
            answers = []
        yield {"from": role, "value": text}
    if answers:
        yield {"from": "observation", "value": "\n</tool_response>\n<tool_response>\n".join(answers)}


def _role(said: str, tags: dict[str, str]) -> str:
    """Return LLaMA-Factory's name of a role, "" for one that nobody knows."""
    own = {tags.get("user_tag"): "human", tags.get("assistant_tag"): "gpt", tags.get("system_tag"): "system",
           tags.get("observation_tag"): "observation", tags.get("function_tag"): "function_call"}
    if said in own:
        return own[said]
    for names, role in ((formats.USERS, "human"), (formats.ASSISTANTS, "gpt"), (formats.SYSTEMS, "system"),
                        (formats.OBSERVATIONS, "observation"), (formats.CALLS, "function_call")):
        if said.casefold() in names:
            return role
    return ""


def _call(call: dict) -> dict:
    function = call.get("function", call)
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):  # a model wrote it: what is no JSON stays the text it is
            arguments = json.loads(arguments)
    return {"name": function.get("name", ""), "arguments": arguments}


def _parts(content: object, fault, images: list[str]) -> str:
    """Return the text of a message, whose content may be a list of texts and images."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise fault()
    texts = []
    for part in content:
        if not isinstance(part, dict):
            raise fault()
        if part.get("type") == "text":
            texts.append(str(part.get("text") or ""))
        else:
            image = part.get("image_url") or part.get("image") or ""
            images.append(str(image.get("url", "") if isinstance(image, dict) else image))
            texts.append("<image>")
    return "".join(texts)


def _compared_talks(row: dict, mapping: Mapping, fault) -> dict:
    sides = {}
    for side in ("chosen", "rejected"):
        value = row.get(mapping.columns[side])
        if isinstance(value, str) and _SPEAKERS.search(value):
            value = [{"from": who, "value": text.strip()} for who, text in _spoken(value)]
            sides[side] = list(_messages(value, Mapping("chat"), lambda side=side: fault(side), []))
            continue
        if isinstance(value, str):
            value = [{mapping.tags.get("role_tag", "from"): mapping.tags.get("assistant_tag", "gpt"), mapping.tags.get("content_tag", "value"): value}]
        elif isinstance(value, dict):
            value = [value]
        if not isinstance(value, list) or not value:
            raise fault(side)
        sides[side] = list(_messages(value, mapping, lambda side=side: fault(side), []))
    talk: list[dict] = []
    if sides["chosen"][0]["from"] in ("gpt", "function_call") and mapping.columns.get("messages"):
        before = row.get(mapping.columns["messages"])
        if not isinstance(before, list):
            raise fault("messages")
        talk = list(_messages(before, mapping, lambda: fault("messages"), []))
    talk += sides["chosen"][:-1]
    if not talk or sides["rejected"][:-1] != sides["chosen"][:-1]:
        raise fault("rejected")
    return {"conversations": talk, "chosen": sides["chosen"][-1], "rejected": sides["rejected"][-1]} | _beside(row, mapping, [], fault)


def _spoken(text: str) -> Iterator[tuple[str, str]]:
    pieces = _SPEAKERS.split(text)
    return zip(("human" if who == "Human" else "gpt" for who in pieces[1::2]), pieces[2::2], strict=True)


def _pairs(rows: Iterator[Row], mapping: Mapping, written: Written, path: Path) -> Iterator[dict]:
    """Yield of the neighbouring rows with one prompt the best answer beside the worst, where their scores differ."""
    prompt, response, score = (mapping.columns[name] for name in ("prompt", "response", "score"))

    def usable() -> Iterator[Row]:
        for row in rows:
            if row.problem:
                written.leave_out(_about(row.problem, path))
            elif not all(isinstance(row.value.get(name), kind) for name, kind in ((prompt, str), (response, str), (score, int | float))):
                written.leave_out(Problem("datasets.unusable_value", file=path, row=row.number, field=score))
            else:
                yield row

    for asked, group in groupby(usable(), key=lambda row: row.value[prompt]):
        answers = sorted(group, key=lambda row: row.value[score])
        worst, best = answers[0], answers[-1]
        if worst.value[score] == best.value[score]:
            written.leave_out(Problem("datasets.no_pair", file=path, row=worst.number, field=score))
            continue
        written.rows += 1
        system = {"system": best.value.get(mapping.columns["system"]) or ""} if mapping.columns.get("system") else {}
        yield {"instruction": asked, "input": "", "chosen": best.value[response], "rejected": worst.value[response]} | system


@contextlib.contextmanager
def as_utf8(path: Path, beside: Path) -> Iterator[Path]:
    """Give a file or folder as UTF-8 text: itself, or while the context lasts a copy in a folder in `beside`.

    Raises:
        Problem: the text is not what its beginning says it is, or the copy cannot be written.
    """
    files = reading.files_of(path)
    if all(reading.form_of(each).encoding == "UTF-8" for each in files):
        yield path
        return
    with scratch(beside) as folder:
        for each in files:
            _decode(each, folder / each.name, CODECS.get(reading.form_of(each).encoding, "utf-8"))
        yield folder if path.is_dir() else folder / path.name


def _decode(path: Path, copy: Path, codec: str) -> None:
    try:
        with path.open(encoding=codec, newline="") as source, copy.open("w", encoding="utf-8", newline="") as target:
            while text := source.read(2**20):
                target.write(text)
    except UnicodeDecodeError as error:
        raise Problem("datasets.not_utf8", file=path, byte=error.start) from error
    except OSError as error:
        raise Problem("workspace.unwritable", path=copy.parent, reason=error.strerror) from error


def convert(path: Path, mapping: Mapping, target: Path, progress: Callable[[int], None] | None = None) -> Written:
    """Write the rows of `path` (a file or a folder of files) to `target` as JSON lines: whole, or not at all.

    Args:
        path: where the rows are; it is only read.
        mapping: how to read them.
        target: a file that does not exist yet, ending in .jsonl.
        progress: called with the number of rows read; what it raises ends the conversion.

    Raises:
        Problem: `target` exists, the file cannot be read as a whole, no row of it can be used, or the disk refuses.
    """
    if target.exists():
        raise Problem("datasets.file_exists", file=target)
    written = Written()

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            if progress and row.number % 1000 == 0:
                progress(row.number)
            yield row

    with as_utf8(path, target.parent) as text, scratch(target.parent) as folder:
        whole = folder / target.name
        try:
            with whole.open("w", encoding="utf-8") as file:
                for row in converted(counted(reading.rows(text)), mapping, written, path):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Problem("workspace.unwritable", path=target, reason=error.strerror) from error
        except Problem as problem:
            raise (problem if text == path else _about(problem, path)) from None
        if not written.rows:
            raise written.problems[0] if written.problems else Problem("datasets.empty", file=path)
        move(whole, target)
    return written

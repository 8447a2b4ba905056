"""The questions of one file of a benchmark: CSV, TSV, JSON or Parquet, each checked as it is read.

A table of the known benchmarks may have no header (MMLU), call its columns `Question` and `Answer` (CMMLU) or have no
answers (C-Eval's test). A cell is text and stays text: "None" is an answer to some questions of MMLU.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.file_cache import FileCache
from studio.datasets.files import reading
from studio.datasets.files.incoming import source
from studio.datasets.files.incoming.dialect import Dialect, is_blank, sniff
from studio.evaluate.benchmarks.sets.answer_letters import LETTERS, NumberReading, letter_of, reading_of

FEWEST, MOST = 2, len(LETTERS)
TABLES = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*TABLES, ".json", ".jsonl", ".ndjson", ".parquet")
QUESTION = ("question", "query", "题目", "问题")
ANSWER = ("answer", "label", "答案", "正确答案")
SUBJECT = ("subject", "topic", "学科", "科目")
CHOICES = ("choices", "options", "选项")
SPLIT = ("split",)
SHOTS = ("dev", "train", "shots", "fewshot", "few-shot")
_LETTER_COLUMN = re.compile(r"(?:option|choice|选项)?[ _-]*([a-j])")
_SAMPLE = 2**18


@dataclass(frozen=True)
class Question:
    """One question.

    number: in its file, from 0. answer: the letter of the right choice, "" where its file has no answers.
    subject: "" where its file names none. is_shot: whether it is an example, to stand before others.
    """

    number: int
    text: str
    choices: tuple[str, ...]
    answer: str
    subject: str = ""
    is_shot: bool = False


@dataclass(frozen=True)
class _Columns:
    """What the columns of a file are called; `choices` is one column for each letter, or where `listed` one that holds
    a list.
    """

    question: str
    choices: tuple[str, ...]
    answer: str
    subject: str
    split: str
    listed: bool


def questions(file: Path) -> Iterator[Question]:
    """Yield the questions of a file, in order.

    Raises:
        Problem: the file cannot be read, or a question of it is none: file, row (from 1) and field are told.
    """
    numbers: NumberReading | None = None
    for number, row in _rows(file):
        place = {"file": file.name, "row": number + 1}
        columns = _columns(row, place)
        choices = _choices(row, columns, place)
        answer = row.get(columns.answer) if columns.answer else None
        letter = letter_of(answer, choices) if columns.answer else ""
        if letter is None:  # a number: which it means is seen by all of them
            numbers = numbers or _number_readings.get(file, [file], lambda: _number_reading(file))
            letter = numbers.letter(answer, choices)
        if columns.answer and not letter:
            _refuse_answer(answer, choices, columns.answer, place)
        yield Question(
            number,
            _text(row, columns.question, place),
            choices,
            letter,
            str(row.get(columns.subject) or "").strip() if columns.subject else "",
            bool(columns.split) and str(row.get(columns.split)).strip().casefold() in SHOTS,
        )


def has_answers(file: Path) -> bool:
    """Tell whether a question of a file has an answer, so that those that have none are faults. Raises Problem as
    `questions` does.
    """
    for number, row in _rows(file):
        answer = row.get(_columns(row, {"file": file.name, "row": number + 1}).answer)
        if answer is not None and str(answer).strip():
            return True
    return False


_number_readings: FileCache[NumberReading] = FileCache(64)


def _number_reading(file: Path) -> NumberReading:
    """Return what the numbers mean that are the answers of a file. Raises Problem where that cannot be told."""
    found = []
    for number, row in _rows(file):
        place = {"file": file.name, "row": number + 1}
        columns = _columns(row, place)
        choices = _choices(row, columns, place)
        if letter_of(row.get(columns.answer), choices) is None:
            found.append((number, row[columns.answer], choices))
    return reading_of(found, file.name)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the number (from 0) and the fields of every row. Raises Problem."""
    if file.suffix.lower() in TABLES:
        yield from _table(file)
        return
    for row in source.rows(file, file.parent):
        if row.problem:
            raise row.problem
        yield row.number - 1, row.value


def _table(file: Path) -> Iterator[tuple[int, dict[str, object]]]:
    columns, number = (), 0
    try:
        with files.open_file(file) as raw:
            head = raw.read(_SAMPLE)
            raw.seek(0)
            codec = reading.CODECS.get(reading.encoding_of(file, head), "utf-8")
            text = io.TextIOWrapper(raw, codec, newline="")
            for fields in _dialect(file, head.decode(codec, "ignore")).reader(text):
                if is_blank(fields) or not any(fields):
                    continue
                if not columns and _is_header(fields):
                    columns = _named(fields, file.name)
                    continue
                columns = columns or _of_mmlu(fields, file.name)
                if len(fields) != len(columns):
                    facts = {"row": number + 1, "found": len(fields), "wanted": len(columns)}
                    raise Problem("benchmarks.ragged", file=file.name, **facts)
                yield number, dict(zip(columns, fields, strict=True))
                number += 1
    except UnicodeDecodeError as error:
        raise Problem("datasets.row_not_utf8", file=file.name, row=number + 1, byte=error.start) from error
    except csv.Error as error:
        raise Problem("benchmarks.no_table", file=file.name, row=number + 1, reason=reasons.of(error)) from error
    except OSError as error:
        raise reading.unreadable(file, error) from error


def _dialect(file: Path, head: str) -> Dialect:
    found = sniff(head, TABLES[file.suffix.lower()], lambda name: _plain(name) in (*QUESTION, *ANSWER))
    return Dialect(found.delimiter, found.quote, found.escape)


def _is_header(fields: list[str]) -> bool:
    return any(_plain(field) in QUESTION for field in fields)


def _named(fields: list[str], file: str) -> tuple[str, ...]:
    columns = tuple(field.strip() or f"column {place}" for place, field in enumerate(fields, 1))
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise Problem("datasets.column_twice", file=file, column=twice)
    return columns


def _of_mmlu(fields: list[str], file: str) -> tuple[str, ...]:
    """Return the columns of a table without a header, as MMLU's are: question, choices, answer."""
    letters = LETTERS[: max(0, len(fields) - 2)]
    if not FEWEST <= len(letters) or fields[-1].strip() not in letters:
        raise Problem("benchmarks.no_column", file=file, row=1, column="question", columns=", ".join(fields)[:200])
    return ("question", *letters, "answer")


def _columns(row: dict[str, object], place: dict) -> _Columns:
    """Return which of the columns of a row is what. Raises Problem where there is none of the question or of the
    choices.
    """
    columns = _columns_named(tuple(row))
    for wanted, found in (("question", columns.question), ("choices", columns.choices)):
        if not found:
            raise Problem("benchmarks.no_column", **place, column=wanted, columns=", ".join(row)[:200])
    return columns


@lru_cache(maxsize=256)
def _columns_named(names: tuple[str, ...]) -> _Columns:
    by_name = {_plain(name): name for name in reversed(names)}

    def known(wanted: tuple[str, ...]) -> str:
        return next((by_name[name] for name in wanted if name in by_name), "")

    lettered = {found[1].upper(): name for name in reversed(names) if (found := _LETTER_COLUMN.fullmatch(_plain(name)))}
    letters = [letter for place, letter in enumerate(LETTERS) if set(LETTERS[: place + 1]) <= lettered.keys()]
    choices = tuple(lettered[letter] for letter in letters) or tuple(filter(None, [known(CHOICES)]))
    return _Columns(known(QUESTION), choices, known(ANSWER), known(SUBJECT), known(SPLIT), listed=not letters)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _choices(row: dict[str, object], columns: _Columns, place: dict) -> tuple[str, ...]:
    """Return the choices of a row. Raises Problem where one is empty, or they are too few or too many."""
    if not columns.listed:
        choices = tuple(_text(row, column, place) for column in columns.choices)
    else:
        field = columns.choices[0]
        listed = _list(row[field])
        if listed is None:
            raise Problem("benchmarks.no_list", **place, field=field)
        choices = tuple(_text({f"{field}.{at}": one}, f"{field}.{at}", place) for at, one in enumerate(listed))
    if not FEWEST <= len(choices) <= MOST:
        facts = {"found": len(choices), "fewest": FEWEST, "most": MOST}
        raise Problem("benchmarks.choices", **place, field=columns.choices[0], **facts)
    return choices


def _list(value: object) -> list | None:
    """Return the choices that a field holds: a list, an object with a letter each, or the JSON of one of these."""
    if isinstance(value, str):
        try:
            value = records.parse(value)
        except ValueError:
            return None
    if isinstance(value, dict) and set(value) == set(LETTERS[: len(value)]):
        return [value[letter] for letter in LETTERS[: len(value)]]
    return value if isinstance(value, list) else None


def _text(row: dict[str, object], field: str, place: dict) -> str:
    """Return the text in a field, as it stands there. Raises Problem where it is empty or no text."""
    value = row.get(field)
    if isinstance(value, bool | int | float):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise Problem("benchmarks.no_text", **place, field=field)
    if not value or not value.strip():
        raise Problem("benchmarks.empty", **place, field=field)
    return value


def _refuse_answer(answer: object, choices: tuple[str, ...], field: str, place: dict) -> None:
    if answer is None or not str(answer).strip():
        raise Problem("benchmarks.empty", **place, field=field)
    facts = {"answer": str(answer)[:60], "last": LETTERS[len(choices) - 1]}
    raise Problem("benchmarks.bad_answer", **place, field=field, **facts)

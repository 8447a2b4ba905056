"""How a table is written as text: by which sign its fields are separated, how they are quoted, whether its first line
names the columns.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TextIO

from studio.core import reasons
from studio.core.i18n import Problem
from studio.datasets.schema import names

DELIMITERS = (",", "\t", ";", "|", "\x01", "\x1f")
# Signs that nobody sees, as they are told.
DELIMITER_NAMES = {"\t": "TAB", "\x01": "U+0001", "\x1f": "U+001F"}
# What is looked at of a file: enough to tell one delimiter from another.
_SAMPLE = 2**18
_RECORDS = 200
# Fields that are told of a row and not trained, beside those that are.
_BESIDE = ("id", "idx", "index", "title", "category", "source", "编号", "序号", "类别")
_FIELDS = frozenset(
    (
        *(each for choices in names.COLUMNS.values() for each in choices),
        *names.TEXTS,
        *names.REJECTED,
        *(each for pair in names.PAIRS for each in pair),
        *_BESIDE,
    )
)
_LONGEST_NAME = 60
# What spreadsheets write before the header, so that others know the delimiter.
_SEP_LINE = re.compile(r'[ ]*"?sep=(.)"?[ ]*(?:\r\n|\r|\n)', re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?。！？…：:;；]$")
_NUMBER = re.compile(r"[+-]?[\d.,]+%?")


@dataclass(frozen=True)
class Dialect:
    """How a table is written. The defaults are what LLaMA-Factory reads: commas, double quotes, names in the first
    line.

    `quote` is "" where nothing is quoted, `escape` "" where quotes inside of quotes are doubled. With `sep_line` a
    line that names the
    delimiter stands before the header.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True
    sep_line: bool = False

    @property
    def leading(self) -> int:
        """How many records stand before the first row."""
        return self.sep_line + self.header

    def reader(self, lines: Iterable[str], strict: bool = False) -> Iterator[list[str]]:
        """Return the fields of each record. `lines` end at CR, LF or CRLF and nowhere else, as `lines_of` gives
        them.
        """
        quoting = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        return csv.reader(lines, delimiter=self.delimiter, escapechar=self.escape or None, strict=strict, **quoting)


def lines_of(text: str) -> io.StringIO:
    """Return the lines of a text with their ends. Unlike `str.splitlines`, only CR, LF and CRLF end one, as RFC 4180
    and pandas have it.
    """
    return io.StringIO(text, newline="")


def write_records(target: TextIO, records: Iterable[Iterable[object]], delimiter: str = ",") -> None:
    """Write records such that every reader of tables finds them again; each ends in CRLF."""
    # Python's writer quotes a field for the line ends that `lineterminator` has: with LF alone, a CR in a field would
    # end the record.
    csv.writer(target, delimiter=delimiter, lineterminator="\r\n").writerows(records)


def is_blank(fields: list[str]) -> bool:
    """Tell whether a record is a line of nothing, or of white space, which is no row."""
    return not fields or (len(fields) == 1 and fields[0] != "" and not fields[0].strip())


def is_open(text: str, dialect: Dialect) -> bool:
    """Tell whether a quoted field of this record is never closed: what follows it in the file was taken for a part of
    it.
    """
    try:
        for _ in dialect.reader(lines_of(text), strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def names_of(fields: list[str]) -> tuple[str, ...]:
    """Return the names of columns; one without a name is called as pandas, and so LLaMA-Factory, calls it."""
    return tuple(field or f"Unnamed: {place}" for place, field in enumerate(fields))


def known_field(name: str) -> bool:
    """Tell whether fields of training data are called so."""
    return name.casefold().strip() in _FIELDS or names.plain(name) in _FIELDS


@dataclass(frozen=True)
class _Guess:
    """One way to read a sample, and how well it reads: so many `known` names, `columns`, and a `share` of records
    that have as many.
    """

    dialect: Dialect
    first: list[str]
    known: int
    columns: int
    share: float


def sniff(text: str, usual: str, known: Callable[[str], bool]) -> Dialect:
    """Return how the table that begins with `text` is written.

    Args:
        text: the beginning of the file.
        usual: the delimiter that its ending promises; it is kept unless another reads the file better.
        known: tells whether a name is one that fields of training data have.
    """
    sample, whole = text[:_SAMPLE], len(text) <= _SAMPLE
    fixed = _SEP_LINE.match(sample)
    body = sample[fixed.end() :] if fixed else sample
    guesses = []
    for place, delimiter in enumerate(dict.fromkeys((usual, *DELIMITERS)) if not fixed else (fixed[1],)):
        for rank, dialect in enumerate(_quotings(body, delimiter)):
            guess = _guess(body, dialect, whole, known)
            if guess and (place == 0 or (guess.columns > 1 and (guess.known or guess.share >= 0.5))):
                guesses.append(((guess.known, guess.columns > 1, round(guess.share, 2), -place, -rank), guess))
    if not guesses:
        return Dialect(fixed[1] if fixed else usual, sep_line=bool(fixed))
    best = max(guesses, key=lambda pair: pair[0])[1]
    return replace(best.dialect, sep_line=bool(fixed), header=best.known > 0 or _are_names(best.first))


def _quotings(text: str, delimiter: str) -> Iterator[Dialect]:
    yield Dialect(delimiter)
    if '\\"' in text:
        yield Dialect(delimiter, escape="\\")
    if re.match(r"'[^'\r\n]*'" + re.escape(delimiter) + "'", text):
        yield Dialect(delimiter, quote="'")
    if '"' in text and delimiter != ",":
        yield Dialect(delimiter, quote="")


def _guess(text: str, dialect: Dialect, whole: bool, known: Callable[[str], bool]) -> _Guess | None:
    try:
        records = [fields for fields in islice(dialect.reader(lines_of(text)), _RECORDS) if not is_blank(fields)]
    except csv.Error:
        return None
    if not whole and 1 < len(records) < _RECORDS:
        records.pop()  # it may be cut
    if not records:
        return None
    first = records[0]
    share = sum(len(fields) == len(first) for fields in records[1:]) / max(1, len(records) - 1)
    return _Guess(dialect, first, sum(map(known, first)), len(first), share)


def _are_names(fields: list[str]) -> bool:
    """Tell whether the first record may be the names of columns: it is a row where one of its fields can be no name."""
    given = [field.strip() for field in fields if field.strip()]
    return bool(given) and not any(
        len(field) > _LONGEST_NAME or "\n" in field or _SENTENCE_END.search(field) or _NUMBER.fullmatch(field)
        for field in given
    )


def columns_of(text: str, dialect: Dialect, path: object) -> tuple[str, ...]:
    """Return the columns of the table that begins with `text`: their names, or "column 1", "column 2" ... where its
    first line names none.

    Raises:
        Problem: two columns have one name, or the line cannot be read; `path` is the file to be named.
    """
    try:
        records = (fields for fields in dialect.reader(lines_of(text)) if not is_blank(fields))
        first = next(islice(records, dialect.sep_line, None), [])
    except csv.Error as error:
        raise Problem("datasets.not_a_table", file=path, row=0, reason=reasons.of(error)) from error
    if not dialect.header:
        return tuple(f"column {place}" for place in range(1, len(first) + 1))
    columns = names_of(first)
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise Problem("datasets.column_twice", file=path, column=twice)
    return columns

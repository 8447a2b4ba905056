"""The first rows of data that is brought in, as they will be."""

from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem
from studio.datasets.files.reading import Row
from studio.datasets.page.browse.row_content import RowContent, ShownText, Texts, row_content
from studio.datasets.schema import conversion
from studio.datasets.schema.conversion import Written
from studio.datasets.schema.forms import Mapping
from studio.datasets.schema.observed_schema import Shape

ROWS_SHOWN, FIELDS_SHOWN, PROBLEMS_SHOWN = 3, 20, 3


@dataclass(frozen=True)
class RowPreview:
    """`missing` are the columns for which a field has yet to be chosen: with any, `first_row` is shown as it stands in
    the file, a text for each field; else `rows` as they will be, with what is left out or not trained of them.
    """

    missing: tuple[str, ...] = ()
    first_row: tuple[tuple[str, ShownText], ...] = ()
    rows: tuple[RowContent, ...] = ()
    problems: tuple[Problem, ...] = ()


def row_preview(source: Path, rows: list[dict], mapping: Mapping) -> RowPreview:
    """Return the first rows of `source` as `mapping` makes them."""
    if missing := mapping.missing():
        texts = Texts("first-row")
        fields = tuple((name, texts.shown(value)) for name, value in list(rows[0].items())[:FIELDS_SHOWN])
        return RowPreview(tuple(missing), fields)
    written = Written()
    numbered = (Row(number, row) for number, row in enumerate(rows, start=1))
    made = list(conversion.converted(numbered, mapping, written, source))
    shape = Shape.of(conversion.entry_for(mapping, "", written.media))
    problems = [*written.problems[:PROBLEMS_SHOWN], *written.notes.sentences()]
    if written.not_taken:
        problems.append(Problem("datasets.not_taken", fields=", ".join(written.not_taken)))
    contents = (row_content(row, shape, f"preview-{number}") for number, row in enumerate(made[:ROWS_SHOWN], start=1))
    return RowPreview(rows=tuple(contents), problems=tuple(problems))

"""What a script, and the page, can ask of the rows of a dataset."""

from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem, Words
from studio.datasets.files import large_numbers, row_edits
from studio.datasets.page.browse.row_form import with_leaves
from studio.datasets.page.schemas import PreviewResult, RowForm, RowProblem, RowResult, SearchResult, UndoResult
from studio.datasets.registry.collection import Collection


def endpoints(collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of rows; problems inside their results are told in `words`."""
    return [*_reading(collection, words), *_editing(collection)]


def _reading(collection: Collection, words: Words) -> list[Callable]:
    def datasets_preview(name: str, offset: int = 0, limit: int = 20) -> PreviewResult:
        """Return `limit` rows from row `offset` (from 0) on."""
        preview = collection.preview(name, offset, limit)
        problems = [RowProblem(row=one.facts.get("row"), message=words.tell(one)) for one in preview.problems]
        return PreviewResult(rows=preview.rows, total=preview.total, problems=problems)

    def datasets_search(name: str, text: str, offset: int = 0, limit: int = 20) -> SearchResult:
        """Return the numbers of rows that say `text`, from row `offset` (from 0) on."""
        rows = collection.rows(name)
        rows.wait()
        found = rows.find(text, max(0, offset), limit, seconds=20)
        return SearchResult(rows=found.rows, next=found.next, share=found.share)

    return [datasets_preview, datasets_search]


def _editing(collection: Collection) -> list[Callable]:
    editor = collection.editor

    def datasets_edit_row(
        name: str, row: int, value: dict[str, object], was: dict[str, object] | None = None
    ) -> RowResult:
        """Put the row `value` in the place of row `row` (from 1), if that is still `was`."""
        editor.change(_file(collection, name), row, value, was)
        return RowResult(row=row)

    def datasets_add_row(name: str, value: dict[str, object], after: int | None = None) -> RowResult:
        """Add the row `value` after row `after`: null for the last, 0 puts it first."""
        file = _file(collection, name)
        if after is None:
            rows = collection.rows(name)
            rows.wait()
            after = rows.count
        editor.add(file, after, value)
        return RowResult(row=after + 1)

    def datasets_delete_row(name: str, row: int, digest: str = "") -> RowResult:
        """Delete row `row` (from 1), if that is still the one with this `digest`, which the page gives."""
        editor.delete(_file(collection, name), row, digest)
        return RowResult(row=row)

    def datasets_undo(name: str) -> UndoResult:
        """Take back the last change of a row."""
        file = _file(collection, name)
        editor.undo(file)
        return UndoResult(undo=editor.can_undo(file))

    def datasets_save_row(form: RowForm) -> RowResult:
        """Save the page's form of a row: {name, row (0: a new one), was, digest, json or at:<path>: text ...}."""
        file = _file(collection, form.name)
        was = parsed_was(form.was)
        if form.as_json is not None:
            value = row_edits.parsed(form.as_json, file, form.row)
        else:
            leaves = {key[3:]: text for key, text in form.model_extra.items() if key.startswith("at:")}
            value = with_leaves(was, leaves)
        if form.row:
            editor.change(file, form.row, value, was, form.digest)
            return RowResult(row=form.row)
        return datasets_add_row(form.name, value)

    return [datasets_edit_row, datasets_add_row, datasets_delete_row, datasets_undo, datasets_save_row]


def parsed_was(was: str) -> object:
    """Return a row or an entry as it stood when its form was drawn. Raises Problem where that is no JSON."""
    try:
        return large_numbers.parse(was)
    except ValueError as error:
        raise Problem("app.argument_kind", argument="was") from error


def _file(collection: Collection, name: str) -> Path:
    dataset = collection.find(name)
    if dataset.file is None:
        raise dataset.problem or Problem("datasets.on_a_hub", name=dataset.name)
    return dataset.file

"""What a script, and the page, can ask of the datasets."""

from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem, Words
from studio.core.jobs import Job
from studio.core.storage import files
from studio.core.storage.records import parse
from studio.datasets.files import row_edits
from studio.datasets.files.incoming import source as incoming
from studio.datasets.page.add_data import choices as chosen
from studio.datasets.page.browse import row_form
from studio.datasets.registry import dataset_info, entries, hub_data
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import forms

# A conversion that takes no longer is done within the click.
SOON_S = 3.0


def endpoints(collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of this room; problems inside their results are told in `words`."""
    return [*_of_the_list(collection, words), *_of_rows(collection, words), *_of_entries(collection, words)]


def _of_the_list(collection: Collection, words: Words) -> list[Callable]:
    def datasets_list() -> list:
        """Return every dataset: [{name, format, stage, rows, file, problem, size_bytes, folder, left_out, not_taken}].

        Broken ones have their `problem`; `left_out` counts the rows that were left out when the set came in,
        `not_taken` are the fields with text that are not trained (see `datasets_intake`).
        """
        found = [each for folder in collection.folders() for each in _listed(collection, folder, words)]
        fault = collection.fault()
        return found + ([_faulty(dataset_info.PLACES, collection.folder, words.tell(fault))] if fault else [])

    def datasets_preview(name: str, offset: int = 0, limit: int = 20) -> dict:
        """Return {rows, total, problems}: `limit` rows from row `offset` (from 0) on; a row that cannot be read is
        None.
        """
        found = collection.preview(name, offset, limit)
        return found | {
            "problems": [{"row": one.facts.get("row"), "message": words.tell(one)} for one in found["problems"]]
        }

    def datasets_register(
        path: str, name: str = "", columns: dict | None = None, tags: dict | None = None, options: dict | None = None
    ) -> dict:
        """Bring in a file, a folder of files, or a hub address, and return {name, form, stage, rows, left_out,
        problems, not_taken, notes}: `not_taken` are the fields with text that are not trained, `notes` say what else is
        not trained as it is written.

        `columns` are {LLaMA-Factory's column: field} where they are not to be recognised; `options` may say form,
        min_score, copy, hub, subset, split, folder and num_samples.
        """
        return register(collection, words, {"path": path, "name": name}, columns, tags, options)

    def datasets_recognise(path: str) -> dict:
        """Return what a file is taken for: {form, known, stage, columns, tags, fields, missing, not_taken, read_as}.

        `read_as` are sentences on what the file is where its name says something else.
        """
        source = collection.source(path)
        rows = collection.look(source)
        mapping = forms.recognise(rows)
        return {
            "form": mapping.form,
            "known": mapping.known,
            "stage": mapping.stage,
            "columns": mapping.columns,
            "tags": mapping.tags,
            "fields": forms.fields_of(rows),
            "missing": mapping.missing(),
            "not_taken": forms.not_taken(rows, mapping),
            "read_as": [words.tell(each) for each in incoming.read_as(source)],
        }

    def datasets_bring_in(said: dict) -> dict:
        """Bring in what the page has in hand ({path, name, form, c.<column> ...}): {name, ...} if it is soon done, else
        {job}.
        """
        columns, tags, options = chosen.columns_of(said), chosen.tags_of(said), chosen.options_of(said)
        named = {"path": _text(said, "path"), "name": _text(said, "name", "")}
        job = collection.jobs.start(
            "convert",
            "datasets.converting",
            named,
            lambda job: register(collection, words, named, columns, tags, options, job),
        )
        collection.jobs.wait(job.id, SOON_S)
        if job.error:
            raise Problem(job.error["key"], **job.error["facts"])
        return job.result if isinstance(job.result, dict) else {"job": job.id}

    return [datasets_list, datasets_preview, datasets_register, datasets_recognise, datasets_bring_in]


def _listed(collection: Collection, folder: Path, words: Words) -> list[dict]:
    try:
        found = collection.datasets(folder)
    except Problem as problem:
        if folder == collection.folder:
            raise
        # A folder that was added and is broken must not hide the others.
        return [_faulty(str(folder), folder, words.tell(problem))]
    return [
        {
            "name": collection.name_of(one),
            "format": one.format,
            "stage": one.stage,
            "rows": one.rows,
            "file": str(one.file or ""),
            "problem": words.tell(one.problem) if one.problem else None,
            "size_bytes": one.size,
            "folder": str(folder),
            "left_out": intake.left_out,
            "not_taken": list(intake.not_taken),
        }
        for one in found
        for intake in [collection.intakes.of(one)]
    ]


def _faulty(name: str, folder: Path, problem: str) -> dict:
    return {
        "name": name,
        "format": "",
        "stage": "",
        "rows": None,
        "file": "",
        "problem": problem,
        "size_bytes": None,
        "folder": str(folder),
        "left_out": 0,
        "not_taken": [],
    }


def register(
    collection: Collection,
    words: Words,
    named: dict,
    columns: dict | None,
    tags: dict | None,
    options: dict | None,
    job: Job | None = None,
) -> dict:
    """Bring in what `named` says: {path, name}, and register it; `job` is told how far it is. Raises Problem as
    `Collection.bring_in` does.
    """
    said, path = options or {}, named["path"]
    where = hub_data.address(path, said.get("hub") or "huggingface")
    if where and not files.exists(collection.folder / path):
        known = any((columns or {}).values()) or tags
        mapping = (
            forms.with_choices(forms.Mapping(said.get("form") or "alpaca"), columns, tags, said) if known else None
        )
        return {
            "name": collection.register_hub(where, named["name"], mapping, said),
            "form": said.get("form") or "alpaca",
        }
    source = collection.source(path)
    mapping = forms.with_choices(forms.recognise(collection.look(source)), columns, tags, said)
    name, written = collection.bring_in(
        source, named["name"], mapping, said, _progress(collection, source, job) if job else None
    )
    return {
        "name": name,
        "form": mapping.form,
        "stage": mapping.stage,
        "rows": written.rows,
        "left_out": written.left_out,
        "problems": [words.tell(problem) for problem in written.problems],
        "not_taken": written.not_taken,
        "notes": [words.tell(note) for note in written.notes.sentences()],
    }


def _progress(collection: Collection, source: Path, job: Job) -> Callable[[int], None]:
    index = (
        collection.indexes.of(source) if incoming.is_native(source, 1) else None
    )  # the rows of others are not counted beforehand

    def told(rows: int) -> None:
        job.check()
        job.report(
            rows / index.count if index and index.done and index.count else None, "datasets.converted", rows=f"{rows:,}"
        )

    return told


def _text(said: dict, field: str, default: str | None = None) -> str:
    """Return a field of what the page sent. Raises Problem where it is missing or no text."""
    value = said.get(field, default)
    if value is None:
        raise Problem("app.argument_missing", argument=field)
    if not isinstance(value, str):
        raise Problem("app.argument_str", argument=field)
    return value


def _row(said: dict) -> int:
    value = str(said.get("row", ""))
    if not value.isdecimal() or len(value) > 15:
        raise Problem("app.argument_int", argument="row")
    return int(value)


def _was(said: dict) -> object:
    try:
        return parse(_text(said, "was"))
    except ValueError as error:
        raise Problem("app.argument_kind", argument="was") from error


def _of_rows(collection: Collection, words: Words) -> list[Callable]:
    editor = collection.editor

    def datasets_search(name: str, text: str, offset: int = 0, limit: int = 20) -> dict:
        """Return {rows, next, share}: the numbers (from 1) of rows that say `text`, and where to go on (None at the
        end).
        """
        rows = collection.rows(name)
        rows.wait()
        found = rows.find(text, offset, limit, seconds=20)
        return {"rows": found.rows, "next": found.next, "share": found.share}

    def datasets_edit_row(name: str, row: int, value: dict, was: dict | None = None) -> dict:
        """Put `value` in the place of row `row` (from 1), if that is still `was`, and return {row}."""
        editor.change(_file(collection, name), row, value, was)
        return {"row": row}

    def datasets_add_row(name: str, value: dict, after: int | None = None) -> dict:
        """Add a row after row `after` (the last, where None; 0 puts it first), and return {row}."""
        file = _file(collection, name)
        if after is None:
            rows = collection.rows(name)
            rows.wait()
            after = rows.count
        editor.add(file, after, value)
        return {"row": after + 1}

    def datasets_delete_row(name: str, row: int) -> dict:
        """Delete row `row` (from 1), and return {row}."""
        editor.delete(_file(collection, name), row)
        return {"row": row}

    def datasets_undo(name: str) -> dict:
        """Take back the last change of a row, and return {undo}: whether there is another to take back."""
        file = _file(collection, name)
        editor.undo(file)
        return {"undo": editor.can_undo(file)}

    def datasets_save_row(said: dict) -> dict:
        """Save the page's form of a row: {name, row (0: a new one), was, json or at:<path> ...}, and return {row}."""
        file, row, was = _file(collection, _text(said, "name")), _row(said), _was(said)
        fields = {key[3:]: text for key, text in said.items() if key.startswith("at:")}
        value = row_edits.parsed(said["json"], file, row) if "json" in said else row_form.with_leaves(was, fields)
        return datasets_edit_row(said["name"], row, value, was) if row else datasets_add_row(said["name"], value)

    return [datasets_search, datasets_edit_row, datasets_add_row, datasets_delete_row, datasets_undo, datasets_save_row]


def _file(collection: Collection, name: str) -> Path:
    dataset = collection.find(name)
    if dataset.file is None:
        raise dataset.problem or Problem("datasets.on_a_hub", name=dataset.name)
    return dataset.file


def _of_entries(collection: Collection, words: Words) -> list[Callable]:
    def datasets_entry(name: str) -> dict:
        """Return the entry of a dataset as it stands in dataset_info.json."""
        return collection.find(name).entry

    def datasets_intake(name: str) -> dict:
        """Return what was told when a dataset came in: {source, left_out, problems (of the first rows left out),
        not_taken, notes}.
        """
        return collection.intakes.of(collection.find(name)).told(words)

    def datasets_edit_entry(name: str, entry: str) -> dict:
        """Replace the entry of a dataset by JSON text, and return {name}."""
        home, short = collection.home_of(name)
        entries.replace(home, short, entries.parsed(entry, short))
        return {"name": name}

    def datasets_rename(name: str, new: str) -> dict:
        """Give a dataset another name, and return {name}."""
        home, short = collection.home_of(name)
        entries.rename(home, short, new.strip())
        return {
            "name": collection.name_of(
                collection.find(str(home / new.strip()) if home != collection.folder else new.strip())
            )
        }

    def datasets_remove(name: str, with_file: bool = False) -> dict:
        """Move a dataset's entry into the trash, with its file only where `with_file` says so, and return {name}."""
        home, short = collection.home_of(name)
        entries.remove(home, short, collection.trash(), with_file)
        return {"name": name}

    def datasets_link(name: str) -> dict:
        """Register a dataset of another data folder in the workspace's own without copying it, and return {name}."""
        return {"name": collection.link(name)}

    def datasets_add_folder(folder: str) -> dict:
        """Make a folder of the person's one of the studio's data folders, and return {folder}."""
        return {"folder": str(entries.add_place(collection.folder, folder))}

    def datasets_remove_folder(folder: str) -> dict:
        """Take an added data folder out of the studio; nothing in it is touched. Return {folder}."""
        entries.drop_place(collection.folder, folder)
        return {"folder": folder}

    return [
        datasets_entry,
        datasets_intake,
        datasets_edit_entry,
        datasets_rename,
        datasets_remove,
        datasets_link,
        datasets_add_folder,
        datasets_remove_folder,
    ]

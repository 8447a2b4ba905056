"""What was told when a dataset came in, kept for as long as it is there: rows left out and why, fields not taken,
what is not trained."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from studio.core.i18n import Problem
from studio.core.jobs import sentence
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Record, Text
from studio.core.workspace import write_whole
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema.conversion import Written

Count = Annotated[int, Field(ge=0, lt=2**53)]


class Intake(Record):
    """How a dataset came in.

    `source` is the name of the file it came from, `left_out` the number of its rows that were left out, `problems`
    the first of these with
    their reasons (their rows are those of the source). `not_taken` are the fields with text that are not trained,
    and `notes` sentences on
    what else is not trained as it is written.
    """

    source: Text = ""
    left_out: Count = 0
    problems: list[Sentence] = []
    not_taken: list[Text] = []
    notes: list[Sentence] = []


class Intakes:
    """The intakes of the datasets of a workspace by their files, one record each in `folder`. What cannot be read
    counts as none."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._known: FileCache[Intake] = FileCache()

    def write(self, file: Path, source: Path, written: Written) -> None:
        """Keep what was told when `file` came in from `source`. Raises Problem where the disk refuses."""
        record, sentences = self._file(file), written.notes.sentences()
        if not (written.left_out or written.not_taken or sentences):
            self.forget(file)
            return
        fields = {
            "source": source.name,
            "left_out": written.left_out,
            "problems": [sentence(each.key, each.facts) for each in written.problems],
            "not_taken": written.not_taken,
            "notes": [sentence(each.key, each.facts) for each in sentences],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(record, json.dumps(fields, ensure_ascii=False, default=str), beyond="backslashreplace")

    def forget(self, file: Path) -> None:
        """Forget what was told of a file that had this name."""
        self._file(file).unlink(missing_ok=True)

    def of(self, dataset: Dataset) -> Intake:
        """Return what was told when a dataset came in; an empty one where nothing was."""
        if dataset.file is None:
            return Intake()
        record = self._file(dataset.file)
        return self._known.get(record, [record], lambda: _read(record))

    def _file(self, file: Path) -> Path:
        return self.folder / f"intake-{hashlib.sha256(os.fsencode(files.real(file))).hexdigest()[:24]}.json"


def _read(record: Path) -> Intake:
    try:
        return records.load(record, Intake)
    except Problem:
        return Intake()  # nothing was told, or by another release

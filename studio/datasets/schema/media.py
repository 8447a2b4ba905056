"""Pictures, films and sounds of incoming rows: named so that LLaMA-Factory finds them, from the folder of the data."""

import base64
import binascii
import hashlib
import os
import re
from pathlib import Path

from studio.core.storage.records import parse_or
from studio.datasets.schema import content as contents
from studio.datasets.schema.observed_schema import MEDIA
from studio.datasets.schema.row_faults import UnusableRow

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_EMBEDDED = re.compile(r"data:(image|video|audio)/([A-Za-z0-9.+-]{1,40})(?:;[^;,]{1,80}){0,4};base64,", re.ASCII)
_ENDINGS = {"jpeg": "jpg", "svg+xml": "svg", "mpeg": "mp3", "x-wav": "wav", "quicktime": "mov"}
_LARGEST = 200 * 2**20


class MediaFiles:
    """Finds the files that rows name.

    Args:
        beside: the folder of the file that the rows come from.
        home: the data folder, whose files LLaMA-Factory finds by their relative names (its `media_dir`).
        store: a folder into which media are written that stand inside of the rows, None while rows are only looked at.
        name: the name that `store` will have in `home`.
    """

    def __init__(self, beside: Path, home: Path, store: Path | None = None, name: str = ""):
        self.home, self.store, self.name = Path(os.path.abspath(home)), store, name
        near = Path(os.path.abspath(beside))
        self.near = (near, near.parent)

    def files(self, value: object, kind: str) -> list:
        """Return the files that the value of a column names, one or many, as LLaMA-Factory takes them. Raises
        UnusableRow."""
        if isinstance(value, str) and value.lstrip()[:1] == "[":
            value = parse_or(value, value)  # the name of a file may begin so too
        if value is None or value == "" or value == []:
            return []
        found = [contents.file_of(each, kind[:-1]) for each in (value if isinstance(value, list) else [value])]
        if any(each is None for each in found):
            raise UnusableRow(kind)
        return found

    def found(self, file: object, kind: str) -> object:
        """Return the name by which LLaMA-Factory finds a file (or a list of frames). Raises UnusableRow where it
        cannot have it."""
        if isinstance(file, list):
            return [self.found(each, kind) for each in file]
        if file.startswith("data:"):
            return self._embedded(file, kind)
        file = file.removeprefix("file://")
        if _ADDRESS.match(file):
            raise UnusableRow(kind, "media_on_network", address=file[:120])
        if "\0" in file or os.path.isabs(file):
            return file
        if self._is_file(self.home / file):
            return file
        for folder in (*self.near, self.home.parent):
            whole = Path(os.path.normpath(folder / file))
            if self._is_file(whole):
                return str(whole.relative_to(self.home)) if whole.is_relative_to(self.home) else str(whole)
        return file  # the check tells of what is not there, with its row

    @staticmethod
    def _is_file(path: Path) -> bool:
        try:
            return path.is_file()
        except (OSError, ValueError):
            return False

    def _embedded(self, file: str, kind: str) -> str:
        head = _EMBEDDED.match(file)
        if not head or f"{head[1]}s" != kind or len(file) > _LARGEST:
            raise UnusableRow(kind, "media_unreadable")
        try:
            data = base64.b64decode(file[head.end() :], validate=True)
        except (binascii.Error, ValueError):
            raise UnusableRow(kind, "media_unreadable") from None
        ending = re.sub(r"[^a-z0-9]", "", _ENDINGS.get(head[2].casefold(), head[2].casefold()))[:8] or "bin"
        name = f"{hashlib.sha256(data).hexdigest()[:24]}.{ending}"
        if self.store is not None:
            self.store.mkdir(exist_ok=True)
            if not (self.store / name).exists():
                (self.store / name).write_bytes(data)
        return f"{self.name or 'media'}/{name}"

    def together(self, named: dict[str, list], parts: dict[str, int], columns: dict[str, object]) -> dict[str, list]:
        """Return the files of each kind of media of a row, in the order of the marks.

        Args:
            marked: for each kind the files that the marks in the texts name, None where a mark names none.
            parts: how many of the marks parts of a content made: each must have its file.
            columns: the values of the columns of media.

        Raises:
            UnusableRow: a part has no file, or a file cannot be had.
        """
        result = {}
        for kind in MEDIA:
            files, beside = list(named.get(kind, ())), self.files(columns.get(kind), kind)
            if beside == [each for each in files if each is not None]:
                beside = []
            waiting = iter(beside)
            files = [each if each is not None else next(waiting, None) for each in files]
            bare = sum(each is None for each in files)
            if bare and parts.get(kind):
                raise UnusableRow(kind, "media_without_file", mark=contents.PLACEHOLDERS[kind], count=bare)
            files = [each for each in files if each is not None] + list(waiting)
            if files or kind in columns:
                result[kind] = [self.found(each, kind) for each in files]
        return result

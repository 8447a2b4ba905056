"""Any page of a data file of any size at once: the places of its rows, found in the background and kept on disk.

`Indexes.of(path)` gives the rows of a file or of a folder of files; the same object until the file changes. While the
places are being found, what is found already can be read.
"""

import threading
from pathlib import Path

from studio.core.storage.file_cache import FileCache
from studio.core.storage.folders import is_folder
from studio.datasets.files import reading
from studio.datasets.files.column_rows import ColumnRows
from studio.datasets.files.folder_rows import FolderRows
from studio.datasets.files.text_rows import TextRows

Rows = TextRows | ColumnRows | FolderRows


class Indexes:
    """The indexes of one studio, kept in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._files: FileCache[TextRows | ColumnRows] = FileCache()
        self._folders: FileCache[FolderRows] = FileCache()
        self._lock = threading.Lock()  # of one file there must not be two threads that index it
        self._unread: list[TextRows] = []  # whose places are not looked for yet

    def of(self, path: Path) -> Rows:
        """Return the rows of a file or of a folder of files; indexing begins where it must.

        Raises:
            Problem: it is not there, is no data file, or cannot be read at all.
        """
        with self._lock:
            try:
                parts = reading.files_of(path)
                if is_folder(path):
                    return self._folders.get(path, parts, lambda: FolderRows([self._file(each) for each in parts]))
                return self._file(path)
            finally:
                self._read()

    def _read(self) -> None:
        """Begin to look for the places of what is new, one file after the other: a folder may have thousands."""
        if unread := [rows for rows in self._unread if not rows.done]:
            threading.Thread(target=lambda: [rows.build() for rows in unread], name="index", daemon=True).start()
        self._unread = []

    def _file(self, path: Path) -> TextRows | ColumnRows:
        return self._files.get(path, [path], lambda: self._indexed(path))

    def _indexed(self, path: Path) -> TextRows | ColumnRows:
        form = reading.form_of(path)
        try:
            rows = (ColumnRows if form.kind in reading.COLUMNAR else TextRows)(path, form, self.folder)
        except OSError as error:
            raise reading.unreadable(path, error) from error
        if isinstance(rows, TextRows):
            self._unread.append(rows)
        return rows

"""Where the rows of a text file begin and end, in bytes: a few are kept in memory, many in a file."""

import os
import tempfile
from pathlib import Path

import numpy as np

from studio.core.storage import files

IN_MEMORY = 2**14  # rows: of a folder with a thousand small files no thousand files may stay open
BYTES = 16  # begin and end of a row, int64 each


class RowPlaces:
    """Begin and end of each row, [rows, 2] int64. One thread appends; others may read meanwhile."""

    def __init__(self, path: Path | None = None):
        """`path` is a file that holds them already."""
        self.count = 0 if path is None else os.stat(path).st_size // BYTES
        self._kept = b"" if path is None else path  # set as a whole: who reads meanwhile has the old or the new

    def append(self, pairs: np.ndarray) -> None:
        """Add rows, [rows, 2]. Raises OSError where the disk is full."""
        raw = pairs.astype(np.int64, copy=False).tobytes()
        if isinstance(self._kept, bytes) and self.count + len(pairs) <= IN_MEMORY:
            self._kept += raw
        else:
            if isinstance(self._kept, bytes):
                file = tempfile.TemporaryFile(prefix="rows-")
                _write(file.fileno(), self._kept, 0)
                self._kept = file
            _write(self._kept.fileno(), raw, self.count * BYTES)
        self.count += len(pairs)

    def read(self, offset: int, limit: int) -> np.ndarray:
        """Return up to `limit` rows from row `offset` (from 0) on, [rows, 2]. Raises OSError where they cannot be
        read.
        """
        kept, begin, length = self._kept, offset * BYTES, max(0, min(limit, self.count - offset)) * BYTES
        if isinstance(kept, bytes):
            raw = kept[begin : begin + length]
        elif isinstance(kept, Path):
            with files.open_file(kept) as file:
                raw = os.pread(file.fileno(), length, begin)
        else:
            raw = os.pread(kept.fileno(), length, begin)
        return np.frombuffer(raw, np.int64).reshape(-1, 2)

    def write_to(self, path: Path) -> None:
        """Write all of them into a file. Raises OSError."""
        with path.open("wb") as file:
            for offset in range(0, self.count, 2**16):
                file.write(self.read(offset, 2**16).tobytes())

    def keep(self, path: Path) -> None:
        """Read them from a file that holds them from now on; none of ours stays open."""
        self._kept = path

    def are_in_order(self, size: int) -> bool:
        """Tell whether all rows lie in a file of `size` bytes, one after the other. Raises OSError."""
        before = 0
        for offset in range(0, self.count, 2**20):
            places = self.read(offset, 2**20).reshape(-1)
            if len(places) and (places[0] < before or places[-1] > size or (np.diff(places) < 0).any()):
                return False
            before = int(places[-1]) if len(places) else before
        return True


def _write(descriptor: int, raw: bytes, offset: int) -> None:
    while raw:  # one call writes 2 GB at the most
        written = os.pwrite(descriptor, raw, offset)
        raw, offset = raw[written:], offset + written

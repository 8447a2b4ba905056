"""A stamp of a data file: the same for the same bytes, wherever they lie and whenever they were written."""

import hashlib
from pathlib import Path

from studio.core.storage import files
from studio.datasets.files import reading

BLOCKS, BLOCK = 64, 2**16  # so many blocks, of so many bytes: up to 4 MiB all is read


def of(path: Path) -> str:
    """Return the stamp of a file or of a folder of files; what they are called is not in it.

    Of more than BLOCKS * BLOCK bytes the sizes are looked at, and BLOCKS blocks that are evenly spread: whoever adds or
    deletes a row moves all that is behind it, and reading all would hold up the start of a run.

    Raises:
        Problem: it is not there, or holds no data files.
        OSError: it cannot be read.
    """
    parts = reading.files_of(path)
    sizes = [files.status(part).st_size for part in parts]
    digest = hashlib.sha256(repr(sizes).encode())
    step = max(BLOCK, -(-sum(sizes) // BLOCKS))  # from the begin of a block to that of the next
    at = 0
    for part, size in zip(parts, sizes, strict=True):
        if at < size:
            with files.open_file(part) as file:
                while at < size:
                    file.seek(at)
                    digest.update(file.read(BLOCK))
                    at += step
        at = at - size if step > BLOCK else 0
    return digest.hexdigest()[:32]

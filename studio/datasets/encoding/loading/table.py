"""The file of a dataset as one Arrow table, made by the readers that LLaMA-Factory uses, or why they cannot make it."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.core.storage import folders

# What the readers take of a file at once: its types are those of the first piece (datasets' packaged_modules json and
# csv).
PIECE_BYTES = 10 << 20
PIECE_ROWS = 10_000
_quiet = threading.Lock()


class Stopped(Exception):
    """LLaMA-Factory's readers stop at a file; `str` is what they say, of the first cause."""


def data_files(path: Path) -> list[Path]:
    """Return the files that LLaMA-Factory reads of a dataset's file or folder, in its order: all that lies in a folder,
    hidden ones too.
    """
    if not folders.is_folder(path):
        return [path]
    return [path / name for name in os.listdir(path)]


def kind_of_files(paths: list[Path]) -> str:
    """Return the name of the reader for these files.

    Raises:
        Stopped: they are of no type that LLaMA-Factory reads, or of several.
    """
    llamafactory.load()
    from llamafactory.extras.constants import FILEEXT2TYPE

    kinds = [FILEEXT2TYPE.get(path.suffix[1:]) for path in paths]
    if not kinds or kinds[0] is None:
        raise Stopped(f"Allowed file types: {','.join(FILEEXT2TYPE)}.")
    if any(kind != kinds[0] for kind in kinds):
        raise Stopped("File types should be identical.")
    return kinds[0]


def load(paths: list[Path], split: str, scratch: Path):
    """Return the rows of these files as LLaMA-Factory's loader has them before it converts them, a `datasets.Dataset`
    kept in `scratch`.

    Raises:
        Stopped: it would stop here.
        Problem: the disk is full.
    """
    kind = kind_of_files(paths)
    llamafactory.load()
    from datasets import load_dataset

    with without_bars(), _stopping():
        return load_dataset(kind, data_files=[str(path) for path in paths], split=split, cache_dir=str(scratch))


@contextlib.contextmanager
def _stopping() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is not None and not isinstance(error, FileNotFoundError):
            raise Problem("workspace.unwritable", path=error.filename or "", reason=reasons.of(error)) from error
        raise Stopped(words_of(error)) from error
    except Exception as error:  # whatever a file makes of a library is what the run would end with
        raise Stopped(words_of(error)) from error


def words_of(error: BaseException, innermost: bool = True) -> str:
    """Return what an error says, in one line: that of its first cause where `innermost`, since the readers put words of
    their own around it.
    """
    while (
        innermost
        and (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None
    ):
        error = cause
    message = " ".join(str(error).split())[:300]
    return message if isinstance(error, ValueError | RuntimeError) and message else f"{type(error).__name__}: {message}"


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Keep the datasets library from drawing bars in the terminal of the studio; a run in a process of its own draws
    its own.
    """
    llamafactory.load()
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    with _quiet, _silent():
        before = are_progress_bars_disabled()
        disable_progress_bars()
        try:
            yield
        finally:
            if not before:
                enable_progress_bars()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the readers' own words about a file that they cannot read out of the terminal: the page tells them."""
    logger, me = logging.getLogger("datasets"), threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != me

    handlers = [handler for handler in (*logger.handlers, *logging.getLogger().handlers, logging.lastResort) if handler]
    for handler in handlers:
        handler.addFilter(others)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(others)

"""LLaMA-Factory's warnings of rows that it drops, kept out of the terminal."""

import contextlib
import logging
import threading
from collections.abc import Iterator

# Where LLaMA-Factory warns of each row that it drops, with all of the row.
_WARNING_LOGGERS = (
    "converter",
    "processor.supervised",
    "processor.pairwise",
    "processor.feedback",
    "processor.unsupervised",
    "mm_plugin",
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep LLaMA-Factory from printing each row that it drops; those of another thread, which may be a run, are still
    printed.
    """
    me = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != me

    loggers = [logging.getLogger(f"llamafactory.data.{name}") for name in _WARNING_LOGGERS]
    for logger in loggers:
        logger.addFilter(others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)

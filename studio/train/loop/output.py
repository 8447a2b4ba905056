"""What is printed while a run trains in this process goes to the run's own log, whoever else prints at the same
time.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class ThreadOutput:
    """A stream that writes what a thread prints to that thread's file, where it has one, and else to the stream it
    stands for.

    Progress bars return to the start of their line; in a log each such return begins a new line, and only a line that
    differs is kept.
    """

    # Of all streams together: a log handler may hold one that stood before the present one.
    files: dict[int, TextIO] = {}

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write where the output of this thread goes, and return the number of characters, as streams do."""
        file = self.files.get(threading.get_ident())
        if file is None:
            return self.stream.write(text)
        with contextlib.suppress(
            OSError
        ):  # a full disk is told by the events and the checkpoint; a lost log line must not stop a run
            file.write(text.replace("\r\n", "\n").replace("\r", "\n"))
            file.flush()
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def install() -> None:
    """Stand before sys.stdout and sys.stderr, and before the streams of the log handlers that are there already: a
    handler keeps the stream it found, whoever imported its library, and when.
    """
    if not isinstance(sys.stdout, ThreadOutput):
        sys.stdout = ThreadOutput(sys.stdout)
    if not isinstance(sys.stderr, ThreadOutput):
        sys.stderr = ThreadOutput(sys.stderr)
    for logger in (logging.root, *list(logging.root.manager.loggerDict.values())):
        for handler in getattr(logger, "handlers", ()):  # a name of which only children are known has none
            # No kinds of it: they write to files, or gather what a person is shown.
            if type(handler) is logging.StreamHandler and not isinstance(handler.stream, ThreadOutput):
                handler.stream = ThreadOutput(handler.stream)


@contextlib.contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Send what this thread prints to the end of the file at `path` for as long as the context lasts."""
    install()
    me = threading.get_ident()
    with open(path, "a", encoding="utf-8") as file:
        ThreadOutput.files[me] = file
        try:
            yield
        finally:
            ThreadOutput.files.pop(me, None)

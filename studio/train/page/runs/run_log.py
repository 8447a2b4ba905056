"""The end of what a run printed, a line at a time."""

import re
from dataclasses import dataclass

from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.train import runs

TEMPLATE = "train/page/runs/run_log.html"
SHOWN_BYTES = 40_000
# A bar of progress is written over itself by carriage returns; each of its states is a line here.
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")


@dataclass(frozen=True)
class LogLine:
    """A line, and the byte of the file at which it begins: what stays the same of it while the file grows, and needs no
    reading of all that stands before it.
    """

    at: int
    text: str


@dataclass(frozen=True)
class RunLog:
    """The last whole lines of the file; None where there is no file yet."""

    lines: tuple[LogLine, ...] | None


def run_log(workspace: Workspace, name: str) -> RunLog | None:
    """Return the end of a run's log, None where no run is named. Raises Problem where it cannot be read."""
    if not name:
        return None
    path = runs.find(workspace, name).log_file
    if not files.exists(path):
        return RunLog(None)
    try:
        start, data = files.tail(path, SHOWN_BYTES)
    except OSError as error:
        raise files.unreadable(path, error) from error
    return RunLog(lines(data, start))


def lines(data: bytes, start: int) -> tuple[LogLine, ...]:
    """Return the lines of a part of a file that begins at byte `start`; there the first may be torn: it is left out."""
    first = data.find(b"\n") + 1 if start else 0
    return tuple(
        LogLine(start + match.start(), match[0].decode("utf-8", "replace").rstrip("\r\n"))
        for match in _LINE.finditer(data, first)
        if match[0]
    )

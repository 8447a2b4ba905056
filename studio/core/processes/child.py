"""A program that the studio starts and follows: one of its own modules in another process, or pip."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from studio.core import locations

READ_S = 5.0  # how long the rest of what an ended process printed is waited for
LONGEST_LINE = 2**20  # bytes; what is longer comes in parts


def end_with_parent(parent: int) -> None:
    """End this process when the one that started it is gone: a child at work would not see that its pipe closed.

    Args:
        parent: the number of the process that started it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2)
        os._exit(0)

    if sys.platform != "win32":  # there it keeps the number of a parent that is gone
        threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def end_with_input() -> None:
    """End this process, whatever it is at, when its input ends: whoever started it has closed it, or was killed. What
    it was to read from its input is read before.
    """

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-input", daemon=True).start()


def print_line(line: str) -> None:
    """Print a line for whoever follows this process, from any thread, at once."""
    # Its end in the same write: `print` writes that for itself, and another thread's line can come between.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Output:
    """Where a process prints.

    log: the file to whose end it goes; `Child.next_line` gives it where there is none. errors: an open file for its
    error stream, which goes where its output goes if left out. longest_line: in bytes; of a longer one `next_line`
    gives parts.
    """

    log: Path | None = None
    errors: BinaryIO | None = None
    longest_line: int = LONGEST_LINE


LINES = Output()


class Child:
    """A process by its command. What it prints goes to the end of a log, or comes line by line (`next_line`).

    ```
    with Child([sys.executable, "-m", "studio.models.fetch"]) as child:
        while (line := child.next_line(0.3)) is not None:
            ...
    ```

    At the end of a `with` block it is ended, with all that it started. One that is to outlive the studio is started
    without one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: Output = LINES,
        environment: Mapping[str, str] | None = None,
        folder: Path = locations.ROOT,
        patience_s: float = 0.0,
        own_session: bool = True,
    ):
        """Start it.

        Args:
            command: the program and its arguments.
            output: where it prints; line by line if left out.
            environment: all its variables; those of this process if left out.
            folder: where it runs; the modules of the studio are found from `locations.ROOT`.
            patience_s: for how many seconds it may put its things in order when it is ended, before it is killed.
            own_session: whether it, and what it starts, is out of the reach of Ctrl-C in the terminal of the studio.

        Raises:
            OSError: the program, its folder or its log cannot be used.
        """
        self._patience_s, self._own_session, self._longest_line = patience_s, own_session, output.longest_line
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        log = output.log
        with open(log, "ab") if log else contextlib.nullcontext(subprocess.PIPE) as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if log else subprocess.PIPE,
                stdout=stream,
                stderr=output.errors or subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=own_session,
            )
        if not log:
            self._reader = threading.Thread(target=self._read, name="child-read", daemon=True)
            self._reader.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_) -> None:
        self.end()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """What it ended with (-9: killed by signal 9), None while it lives."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until it has ended and return its code."""
        return self._process.wait()

    def send(self, line: bytes) -> None:
        """Give it a line, without the line's end. Raises OSError where it has ended."""
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def next_line(self, timeout_s: float | None = None) -> bytes | None:
        """Return the next line that it printed, with the line's end; b"" where none came in time, None after its last.

        Without a timeout it is waited for as long as it takes.
        """
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if line is None:
            self._lines.put(None)  # whoever asks again gets the same answer
        return line

    def end(self) -> None:
        """End it, and what it started in its session; twice is no fault."""
        if self._patience_s:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._patience_s)
        self._kill()
        self._process.wait()
        if self._reader:
            self._reader.join(READ_S)
            with contextlib.suppress(OSError):  # a rest in the pipe that nobody reads
                self._process.stdin.close()

    def _kill(self) -> None:
        if self._own_session and hasattr(signal, "SIGKILL"):
            self._signal(signal.SIGKILL)
        else:
            self._process.kill()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # gone by itself, with all that it started
            if self._own_session and hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def _read(self) -> None:
        try:
            with self._process.stdout as output:
                while line := output.readline(self._longest_line):
                    self._lines.put(line)
        finally:
            self._lines.put(None)  # whoever waits for a line must not wait for ever

"""What the doctor finds on this machine, looked at in a process of its own when somebody first asks.

The doctor tries torch and 4-bit numbers and asks the driver: some seconds, and libraries that the page needs at no
other time. `python -m studio.doctor --json WORKSPACE` prints a finding a line. The hubs are asked only where a person
says so: by itself the studio asks no other machine for anything.
"""

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from studio.core.processes.child import Child
from studio.core.storage import records
from studio.core.storage.records import Record


class MachineFinding(Record):
    """One thing that was looked at. `key` and `facts` are the sentence that tells it (`launch.doctor_<key>`)."""

    what: str
    state: Literal["good", "optional", "missing"]
    key: str
    facts: dict[str, object] = {}


@dataclass(frozen=True)
class MachineReport:
    """What is known by now. `looked` is when the look ended, in seconds since 1970, None while it goes on;
    `has_failed` tells that the doctor ended without a word.
    """

    findings: tuple[MachineFinding, ...] = ()
    looked: float | None = None
    has_failed: bool = False


class MachineCheck:
    """The doctor's last look at this machine, for the workspace at `root`."""

    def __init__(self, root: Path):
        self._root = root
        self._lock = threading.Lock()
        self._report = MachineReport()
        self._thread: threading.Thread | None = None

    def report(self) -> MachineReport:
        """Return what is known by now; the first call begins the first look, which asks no hub."""
        if self._thread is None:
            self.look(asks_hubs=False)
        return self._report

    def look(self, asks_hubs: bool = True) -> None:
        """Begin to look again, unless a look is under way."""
        with self._lock:
            if self._thread and self._thread.is_alive():
                return
            self._report = MachineReport()
            self._thread = threading.Thread(target=self._look, args=(asks_hubs,), name="machine-check", daemon=True)
            self._thread.start()

    def _look(self, asks_hubs: bool) -> None:
        findings: list[MachineFinding] = []
        command = [sys.executable, "-m", "studio.doctor", "--json", str(self._root), *(["--hubs"] if asks_hubs else [])]
        try:
            with Child(command) as child:
                while (line := child.next_line()) is not None:
                    try:
                        findings.append(MachineFinding.model_validate(records.parse(line)))
                    except (ValueError, ValidationError):
                        continue  # a library printed a line of its own between them
                    self._report = MachineReport(tuple(findings))
        finally:  # also where no process can be had
            self._report = MachineReport(tuple(findings), time.time(), not findings)

"""The page *About this machine*: each thing that the doctor looks at, whether it is good, and how to mend it."""

from dataclasses import dataclass

from studio.core.sentences import Sentence
from studio.monitor.machine_check import MachineCheck, MachineReport

TEMPLATE = "monitor/page/machine.html"
VIEW = "machine"  # of the Models tab, in which it stands
NAMES = ("Python", "driver", "CUDA", "torch", "bf16", "bitsandbytes", "disk", "memory", "docker", "ollama", "chromium")


@dataclass(frozen=True)
class FindingRow:
    """A thing that was looked at: its name, as a key of `monitor.about_...` or as it stands, its state, and what is
    told of it.
    """

    what: str
    has_name: bool
    state: str
    sentence: Sentence


@dataclass(frozen=True)
class MachineContext:
    """The rows, what must be mended first; how many must be; and how the look stands (`MachineReport`)."""

    rows: tuple[FindingRow, ...]
    missing: int
    report: MachineReport


def machine(check: MachineCheck, view: str) -> MachineContext | None:
    """Return what is shown of the doctor's last look, which begins with the first that is shown; None in another
    view than VIEW.
    """
    if view != VIEW:
        return None
    report = check.report()
    order = {"missing": 0, "good": 1, "optional": 2}
    rows = [
        FindingRow(one.what, one.what in NAMES, one.state, Sentence(key=f"launch.doctor_{one.key}", facts=one.facts))
        for one in sorted(report.findings, key=lambda one: order[one.state])
    ]
    return MachineContext(tuple(rows), sum(one.state == "missing" for one in report.findings), report)

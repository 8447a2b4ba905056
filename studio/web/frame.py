"""What stands around the tabs: the switches at the top, and who keeps the accelerator."""

from dataclasses import dataclass

from studio.core.i18n import Problem

SIDE = "web/templates/side.html"
SWITCHES = "web/templates/switches.html"
HOLDERS = "web/templates/holders.html"
LOOKING = "web/templates/looking.html"
PACE = "web/templates/pace.html"
STARTS = ("run", "work", "chat")


@dataclass(frozen=True)
class SideContext:
    """The live regions of the sidebar, from top to bottom; and of each tab what its address names ("run", "part"), with
    what need not be said, None where there is no such value (assets/address.js).
    """

    regions: tuple[str, ...]
    addresses: dict[str, dict[str, str | None]]


@dataclass(frozen=True)
class SwitchesContext:
    """`has_login` gives a way out. The bell lets the browser show notices (assets/notices.js)."""

    has_login: bool
    bell_states: tuple[str, ...] = ("on", "off", "denied", "missing")


@dataclass(frozen=True)
class HoldersContext:
    """Who keeps the accelerator."""

    holders: list["HolderRow"]


@dataclass(frozen=True)
class HolderRow:
    """One who keeps it. key: of the words `app.holder_...`. name: of what, where there may be several; memory: bytes,
    where they are known. state: of an engine.
    """

    key: str
    name: str = ""
    memory: int | None = None
    state: str = ""


@dataclass(frozen=True)
class PaceContext:
    """What is to be started, one of STARTS, and the names of who is at work on the processor that it would share."""

    starts: str
    at_work: tuple[str, ...]


@dataclass(frozen=True)
class LookingContext:
    """Why this studio only looks at its workspace, or what it is that it does not do all."""

    reason: Problem

"""What every engine tells of itself, and what the supervisor needs to start and follow one."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.served_source import Source

# The engines' own talk with their makers, and looks at hubs for what is on the disk.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Order:
    """What an engine is to serve, and where.

    folder: of the deployment, where the engine's files go. port: a free one. key: "" for none.
    """

    name: str
    source: Source
    settings: DeploySettings
    folder: Path
    port: int
    key: str = ""
    adapters: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """How an engine is started.

    environment: what is added to the studio's own. secrets: likewise, and never shown. files, copies: texts, and files
    of which copies are made, by the paths at which they are put before it starts. work: what else is made before it
    starts and takes time; it is told how to report, and what to call now and then, and raises Problem.
    """

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)
    copies: dict[Path, Path] = field(default_factory=dict)
    work: Callable[["Report", "Check"], None] | None = None


@dataclass(frozen=True)
class Sign:
    """A line of a log that tells why an engine failed, or what it is doing.

    key: of the sentence; the named groups of the pattern are its facts. remedy: given the match, the settings with
    which it would go.
    """

    pattern: str
    key: str
    remedy: Callable[[re.Match[str]], dict[str, object]] | None = None


@dataclass(frozen=True)
class Told:
    """What a log says: the sentence, and the settings that would change it."""

    sentence: Sentence
    remedy: dict[str, object] = field(default_factory=dict)


Report = Callable[[Sentence], None]  # is told what an engine is doing
Check = Callable[[], None]  # raises Stopped where an engine is to be ended


@runtime_checkable
class SwitchesAdapters(Protocol):
    """An engine whose LoRA adapters are switched on and off while it runs."""

    def active(self, settings: DeploySettings) -> list[str]:
        """Return the adapters that are applied, or served, after the start."""

    def switch(self, order: Order, on: Collection[str]) -> None:
        """Have these adapters on, and no others. Raises Problem where the engine does not do so."""


class Engine(Protocol):
    """A serving engine.

    fields: the settings that it has beside name, host, port and key. patience_s: how long it may take to end in order.
    has_keys: whether it can ask for a key.
    alive: the path that answers 200 while it works. tells_broken: whether it answers 503 there when it is broken.
    faults, phases: what its log says; the first fault that fits counts, and the last phase.
    """

    name: str
    title: str
    fields: frozenset[str]
    alive: str
    tells_broken: bool
    has_keys: bool
    patience_s: float
    faults: tuple[Sign, ...]
    phases: tuple[Sign, ...]

    def missing(self) -> Problem | None:
        """Return why it cannot be started on this machine, None where it can."""

    def refuses(self, source: Source, settings: DeploySettings) -> Problem | None:
        """Return why it cannot serve this, None where it can."""

    def launch(self, order: Order) -> Launch:
        """Return how it is started. May take seconds: a chat template is made of the trained one. Raises Problem."""

    def arrange(self, order: Order, report: Report, check: Check) -> None:
        """Do what is left to do before others may use it, once it answers. Raises Problem, and Stopped."""


def missing_environment(python: Callable[[str], Path], name: str) -> Problem | None:
    """Return that the environment of an engine was not made yet, None where it is there."""
    try:
        python(name)
    except Problem as problem:
        return problem
    return None


def fault_in(log: str, signs: tuple[Sign, ...]) -> Told | None:
    """Return what a log says of a failure, by the first of the signs that is in it."""
    for sign in signs:
        if match := re.search(sign.pattern, log, re.MULTILINE):
            return Told(_sentence(sign, match), sign.remedy(match) if sign.remedy else {})
    return None


def phase_in(log: str, signs: tuple[Sign, ...]) -> Sentence | None:
    """Return what an engine is doing, by the sign that stands last in its log."""
    last: tuple[int, Sentence] | None = None
    for sign in signs:
        matches = list(re.finditer(sign.pattern, log, re.MULTILINE))
        if matches and (last is None or matches[-1].start() >= last[0]):
            last = (matches[-1].start(), _sentence(sign, matches[-1]))
    return last[1] if last else None


def _sentence(sign: Sign, match: re.Match[str]) -> Sentence:
    facts = {name: (text or "").strip()[:300] for name, text in match.groupdict().items()}
    return Sentence(key=sign.key, facts=facts)

"""The engines that are not on this machine yet, with the button that brings each, and how far that is."""

from dataclasses import dataclass

from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.deploy.deploy_service import DeployService

TEMPLATE = "deploy/page/engine_states.html"


@dataclass(frozen=True)
class MissingEngine:
    """An engine that cannot be started here. can_make: it can be brought by a job. progress: 0 to 1, of the one at
    work."""

    name: str
    why: Problem
    can_make: bool
    job: str = ""
    progress: float | None = None
    message: Sentence | None = None
    error: Sentence | None = None


@dataclass(frozen=True)
class EngineStates:
    """The engines that are missing."""

    engines: tuple[MissingEngine, ...]


def engine_states(service: DeployService) -> EngineStates:
    """Return the engines that are missing."""
    made = []
    for one in service.engines.values():
        if why := one.missing():
            made.append(_missing(one.name, why, service.can_prepare(one.name), service.preparing(one.name)))
    return EngineStates(tuple(made))


def _missing(name: str, why: Problem, can_make: bool, job: Job | None) -> MissingEngine:
    if job is None or not (job.active or job.error):
        return MissingEngine(name, why, can_make)
    message, error = told(job.message), told(job.error) if not job.active else None
    return MissingEngine(name, why, can_make, job.id if job.active else "", finite(job.progress), message, error)


def told(sentence: object) -> Sentence | None:
    """Return what a job says, None where it says nothing."""
    if sentence is None:
        return None
    try:
        return records.typed(sentence, Sentence, "sentence")
    except Problem as problem:
        return Sentence(key=problem.key, facts=problem.facts)

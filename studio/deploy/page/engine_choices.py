"""The engines beside a choice of what is to be served: which of them can, and why the others cannot."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.deploy import served_source
from studio.deploy.deploy_service import DeployService
from studio.deploy.deploy_settings import DeploySettings

TEMPLATE = "deploy/page/engine_choices.html"


@dataclass(frozen=True)
class EngineChoice:
    """An engine. why: it cannot serve what is chosen."""

    name: str
    why: Problem | None


@dataclass(frozen=True)
class EngineChoices:
    """All engines, and what is wrong with the choice itself."""

    engines: tuple[EngineChoice, ...]
    problem: Problem | None = None


def engine_choices(service: DeployService, target: str, prompt_of: str = "") -> EngineChoices:
    """Return the engines beside what is chosen."""
    settings = DeploySettings(prompt_of=prompt_of)
    source, problem = None, None
    if target:
        try:
            source = served_source.find(service.workspace, target, prompt_of)
        except Problem as found:
            problem = found
    made = [
        EngineChoice(one.name, one.refuses(source, settings) if source else None) for one in service.engines.values()
    ]
    return EngineChoices(tuple(made), problem)

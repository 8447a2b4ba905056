"""A deployment: its state, where it answers, whether its prompt is that of training, and what can be done with it."""

import json
import shlex
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.deploy.deploy_service import DeployService
from studio.deploy.page.deployment_list import DOTS
from studio.deploy.supervision.deployment import ACTIVE, Parity, address, is_open
from studio.deploy.supervision.engine_load import EngineLoad
from studio.inference import target_names

TEMPLATE = "deploy/page/deployment_head.html"


@dataclass(frozen=True)
class DeploymentHead:
    """A deployment in hand. problem: why its record cannot be read; it can only be deleted then.

    remedy: the settings with which it would go, and their names in words. column: as Chat asks for it. load: what it is
    at, None while it waits. adapters: by their names, whether each is on; none where they cannot be switched.
    """

    name: str
    problem: Problem | None = None
    engine: str = ""
    target: str = ""
    state: str = "failed"
    dot: str = "failed"
    address: str = ""
    column: str = ""
    is_active: bool = False
    is_open: bool = False
    has_key: bool = False
    doing: Sentence | None = None
    error: Sentence | None = None
    remedy: tuple[tuple[str, str], ...] = ()
    changes: dict[str, object] | None = None
    restarted: int = 0
    ready_s: float | None = None
    since: float | None = None
    memory: int | None = None
    parity: Parity | None = None
    test: str = ""
    load: EngineLoad | None = None
    adapters: tuple[tuple[str, bool], ...] = ()


def deployment_head(service: DeployService, name: str) -> DeploymentHead | None:
    """Return a deployment, None where none is named. Raises Problem where there is none."""
    if not name:
        return None
    deployment = service.deployments.find(name)
    try:
        request, state = deployment.request(), deployment.state()
        engine = service.engine(request.engine)
        has_key = bool(deployment.key())
        remedy = {key: value for key, value in state.remedy.items() if key in type(request.settings).model_fields}
    except Problem as problem:
        return DeploymentHead(name, problem)
    is_ready = state.state == "ready"
    url = address(request, state)
    return DeploymentHead(
        name=name,
        engine=engine.title,
        target=target_names.title(service.workspace, request.target),
        state=state.state,
        dot=DOTS.get(state.state, state.state),
        address=url,
        column=service.column(name, request, state) if is_ready else "",
        is_active=state.state in ACTIVE,
        is_open=is_open(request),
        has_key=has_key,
        doing=state.doing if state.state == "starting" else None,
        error=state.error,
        remedy=tuple((key, _shown(value)) for key, value in remedy.items()),
        changes=remedy,
        restarted=len(state.died),
        ready_s=state.ready_s if is_ready else None,
        since=state.since,
        memory=deployment.memory_bytes(),
        parity=state.parity if is_ready else None,
        test=_curl(url, name, has_key),
        load=state.load if is_ready else None,
        adapters=tuple(service.adapters_of(request).items()) if is_ready else (),
    )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _curl(url: str, model: str, has_key: bool) -> str:
    """Return a command that asks it something."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]}, ensure_ascii=False)
    key = ' -H "Authorization: Bearer $API_KEY"' if has_key else ""
    return f"curl -s {url}/chat/completions -H 'Content-Type: application/json'{key} -d {shlex.quote(body)}"

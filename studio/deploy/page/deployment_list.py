"""The list of deployments, newest first."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.workspace import Workspace
from studio.deploy.deploy_service import DeployService
from studio.deploy.supervision.deployment import Deployment
from studio.inference import target_names

TEMPLATE = "deploy/page/deployment_list.html"
DOTS = {"starting": "preparing", "ready": "running"}  # the colours of states that only engines have


@dataclass(frozen=True)
class DeploymentRow:
    """A deployment in the list. problem: why its record cannot be read."""

    name: str
    state: str = "failed"
    dot: str = "failed"
    engine: str = ""
    target: str = ""
    port: int = 0
    doing: Sentence | None = None
    is_busy: bool = False
    problem: Problem | None = None


@dataclass(frozen=True)
class DeploymentList:
    """All deployments."""

    rows: tuple[DeploymentRow, ...]


def deployment_list(service: DeployService) -> DeploymentList:
    """Return the deployments. Raises Problem where their folder cannot be looked at."""
    return DeploymentList(tuple(_row(service.workspace, one) for one in service.deployments.all()))


def _row(workspace: Workspace, deployment: Deployment) -> DeploymentRow:
    try:
        request, state = deployment.request(), deployment.state()
    except Problem as problem:
        return DeploymentRow(deployment.name, problem=problem)
    return DeploymentRow(
        name=deployment.name,
        state=state.state,
        dot=DOTS.get(state.state, state.state),
        engine=request.engine,
        target=target_names.label(workspace, request.target),
        port=state.port,
        doing=state.doing if state.state == "starting" else None,
        is_busy=state.state == "ready" and state.load is not None,
    )

"""The command that a deployment would be started by, and the files that it names."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.deploy.deploy_service import Preview

TEMPLATE = "deploy/page/command_view.html"


@dataclass(frozen=True)
class CommandView:
    """The command and its files; problem: why it would be refused; cluster: what precedes it on several machines."""

    command: str = ""
    files: tuple[tuple[str, str], ...] = ()
    problem: Problem | None = None
    cluster: tuple[str, ...] = ()


def command_view(preview: Preview) -> CommandView:
    """Return the view of what would be started."""
    return CommandView(preview.command, tuple(preview.files.items()), preview.problem, preview.cluster)

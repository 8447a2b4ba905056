"""Where notices go, and the form in which their webhook is set."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import notifications

TEMPLATE = "train/page/form/notice_settings.html"


@dataclass(frozen=True)
class NoticeSettings:
    """The host that notices go to, "" where none is set, and what is wrong with what was kept of it."""

    host: str
    fault: Problem | None


def notice_settings(workspace: Workspace) -> NoticeSettings:
    """Return where the notices of a workspace go."""
    return NoticeSettings(notifications.host(workspace.saves), notifications.fault(workspace.saves))

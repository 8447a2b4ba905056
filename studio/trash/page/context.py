"""What the page shows of the trash, in the sidebar: folded, with what came in last on top."""

from dataclasses import dataclass

from studio.core.storage.trash import Item
from studio.core.workspace import Workspace
from studio.trash import workspace_trash

TEMPLATE = "trash/page/trash.html"
SHOWN = 50


@dataclass(frozen=True)
class TrashContext:
    """`items` are the newest; `more` counts those that are not among them; `bytes` is the size of all."""

    items: list[Item]
    count: int
    more: int
    bytes: int


def trash(workspace: Workspace) -> TrashContext | None:
    """Return what is in the trash, None while nothing is in it. Raises Problem where it cannot be read."""
    items = workspace_trash.whole(workspace).list()
    if not items:
        return None
    return TrashContext(items[:SHOWN], len(items), max(0, len(items) - SHOWN), sum(item.bytes for item in items))

"""Jobs that make a model: where it will be, which is nobody else's place meanwhile."""

from collections.abc import Callable, Iterable
from pathlib import Path

from studio.core.jobs import Places
from studio.core.workspace import Workspace
from studio.models.library import model_names


def places(workspace: Workspace, reads: Callable[[dict], Iterable[Path]] = lambda facts: ()) -> Places:
    """Return the places of jobs that make one model, under the `name` among their facts, of what they read."""
    return Places(
        lambda facts: {workspace.models / facts["name"]: ()},
        reads,
        lambda facts: model_names.require_free(workspace, facts["name"]),
    )

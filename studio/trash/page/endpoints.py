"""What a script can ask of the trash."""

from collections.abc import Callable

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.trash import workspace_trash
from studio.trash.page.schemas import EmptiedResult, RestoredResult, TrashedResult


def endpoints(workspace: Workspace, jobs: Jobs, words: Words) -> list[Callable]:
    """Return the endpoints of the trash; problems inside their results are told in `words`."""

    def trash_list() -> list[TrashedResult]:
        """Return what was deleted, newest first: [{id, kind, title, stood, when, bytes, problem}]; `problem` keeps it
        from coming back.
        """
        return [
            TrashedResult(
                id=item.id,
                kind=item.kind,
                title=item.title,
                stood=list(map(str, item.stood)),
                when=item.when,
                bytes=item.bytes,
                problem=words.tell(item.fault) if item.fault else None,
            )
            for item in workspace_trash.whole(workspace).list()
        ]

    def trash_restore(id: str) -> RestoredResult:
        """Bring something back to where it stood and return {restored}, its paths; nothing is overwritten."""
        return RestoredResult(restored=list(map(str, workspace_trash.restore(workspace, jobs, id))))

    def trash_empty(id: str = "") -> EmptiedResult:
        """Delete one thing in the trash for good, or all where none is named, and return {freed}, in bytes."""
        return EmptiedResult(freed=workspace_trash.whole(workspace).empty(id or None))

    return [trash_list, trash_restore, trash_empty]

"""Looking only: a process that writes nothing in a workspace which another studio owns, whatever part of it tries to.

The net hangs under everything, in the interpreter: each opening of a file to write, each rename and deletion passes it.
What it stops looks like a disk that is read-only, so that lists which keep something beside themselves go on without.
"""

import errno
import os
import sys
from pathlib import Path

from studio.core.i18n import Problem

FOLDERS = ("data", "models", "saves", "engines", ".trash", ".writing", "places.json")
CHANGES = {
    "os.mkdir": 1,
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.utime": 1,
    "os.mknod": 1,
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HOLDER: dict[str, Problem] = {}


class ReadOnlyWorkspace(Problem, OSError):
    """Something tried to write in a workspace that is only looked at. It is a read-only disk to whoever asks for an
    OSError.
    """

    def __init__(self, problem: Problem):
        super().__init__(problem.key, **problem.facts)
        self.errno, self.strerror, self.filename = errno.EROFS, str(problem), None


def make_read_only(root: Path, why: Problem) -> None:
    """Let this process write nothing more in the workspace at `root`; whoever tries is told `why`. It cannot be taken
    back.
    """
    places = tuple({str(path) for name in FOLDERS for path in (root / name, (root / name).resolve())})
    _HOLDER["why"] = why

    def net(event: str, arguments: tuple) -> None:
        """Raise LookOnly for an audited event of Python that would write in one of the places."""
        if event == "open":
            path, mode, flags = arguments
            if (flags & _WRITES if isinstance(flags, int) else set(mode or "") & set("wax+")) and _inside(
                path, -1, places
            ):
                raise ReadOnlyWorkspace(why)
        elif event in CHANGES:
            named = arguments[: CHANGES[event]]
            handles = [one for one in arguments[CHANGES[event] :] if isinstance(one, int)]
            if any(
                _inside(path, handle, places)
                for path, handle in zip(named, [*handles[-len(named) :], -1, -1], strict=False)
            ):
                raise ReadOnlyWorkspace(why)

    sys.addaudithook(net)


def why() -> Problem | None:
    """Return why this process only looks, None where it may write."""
    return _HOLDER.get("why")


def require_owner() -> None:
    """Raise the Problem that says who owns the workspace, where this process only looks at it."""
    if problem := why():
        raise ReadOnlyWorkspace(problem)


def _inside(path: object, handle: int, places: tuple[str, ...]) -> bool:
    if isinstance(path, int):
        return False  # opened already, and stopped then if it was to be written
    try:
        named = os.fsdecode(os.fspath(path))
        if not os.path.isabs(named) and isinstance(handle, int) and handle >= 0:
            named = os.path.join(os.readlink(f"/proc/self/fd/{handle}"), named)
    except (TypeError, ValueError, OSError):
        return False
    plain = os.path.abspath(named)
    real = os.path.join(os.path.realpath(os.path.dirname(plain)), os.path.basename(plain))
    return any(path == place or path.startswith(place + os.sep) for path in (plain, real) for place in places)

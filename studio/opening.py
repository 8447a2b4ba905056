"""Whether this studio may open a workspace: as its owner, to look only, or not at all since another studio has it."""

import os
import sys
import webbrowser

from studio.core.i18n import Problem, Words
from studio.core.processes import ownership
from studio.core.processes.ownership import Owned, Owner, Ownership
from studio.core.storage.read_only import make_read_only
from studio.core.workspace import Workspace


def own(workspace: Workspace, address: str, words: Words) -> Ownership:
    """Make this process the owner of a workspace, and remove what processes that are gone were writing there.

    Raises:
        Owned: another studio has it.
        Problem: the workspace cannot be written.
    """

    def report_wait(seconds: float, owner: Owner) -> None:
        print(words("workspace.owned_watch", seconds=f"{seconds:g}", **owner.facts()), flush=True)

    mine = Ownership.acquire(workspace.saves, address, report_wait)
    workspace.clear_leftovers()
    return mine


def open_read_only(workspace: Workspace, words: Words) -> None:
    """Let this process only look at a workspace, whoever owns it."""
    owner = ownership.read(workspace.saves)
    why = (
        Problem("workspace.looking", **owner.facts())
        if owner and (owner.lives() or not owner.is_here)
        else Problem("workspace.looking_unowned")
    )
    make_read_only(workspace.root, why)
    print(words.tell(why), flush=True)


def refuse(owned: Owned, words: Words) -> int:
    """Tell that another studio has the workspace, offer on a terminal to open that one, and return the exit code of
    this one.
    """
    print(words.tell(owned), file=sys.stderr, flush=True)
    if owned.owner and owned.owner.is_here and _has_person_and_browser():
        try:
            answer = input(words("workspace.owned_open", address=owned.owner.address) + " ").strip().lower()
        except (EOFError, KeyboardInterrupt):
            return 1
        if answer in ("", "y", "yes", "j", "是", "好"):
            webbrowser.open(owned.owner.address)
            return 0
    return 1


def _has_person_and_browser() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

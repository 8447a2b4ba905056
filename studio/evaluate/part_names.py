"""What an evaluation and its data are called on the page: the held-out part of a run by what that is called now."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from studio.core.i18n import Reason
from studio.core.workspace import Workspace
from studio.evaluate.predict.row_sources import HELD_OUT
from studio.evaluate.settings import Request
from studio.inference import target_names

LONGEST = 120  # characters of a title

# To be a fact of a sentence: a part that only a language can name is told in that of the page.
Name = str | Reason
Label = Callable[[str], str]  # what a run is called where there is little room, from its name


def default_title(parts: Iterable[str]) -> str:
    """Return the title of an evaluation that a person gave none."""
    return ", ".join(dict.fromkeys(parts))[:LONGEST]


def title(request: Request, label: Label) -> Name:
    """Return what an evaluation is called: its title; where a person gave none and held-out parts are among its data,
    what these are called.
    """
    has_own = request.title != default_title(request.parts)
    is_plain = has_own or not any(part.startswith(HELD_OUT) for part in request.parts)
    return request.title if is_plain else shown(request.parts, label)


def shown(parts: Iterable[str], label: Label) -> Name:
    """Return what datasets, tasks and held-out parts are called, each once."""
    return _joined([_shown(part, label) for part in dict.fromkeys(parts)])


def in_workspace(workspace: Workspace, part: str) -> Name:
    """Return what one of them is called in a workspace."""
    return shown([part], partial(target_names.label, workspace))


def _shown(part: str, label: Label) -> Name:
    if not part.startswith(HELD_OUT):
        return part
    return Reason("evaluating.held_out", run=label(part.removeprefix(HELD_OUT)))


def _joined(names: Sequence[Name]) -> Name:
    # By halves: one within the other, thousands of them would be too deep.
    if all(isinstance(name, str) for name in names):
        return ", ".join(names)
    if len(names) == 1:
        return names[0]
    half = len(names) // 2
    return Reason("evaluating.several", first=_joined(names[:half]), rest=_joined(names[half:]))

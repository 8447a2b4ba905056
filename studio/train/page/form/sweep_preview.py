"""How many runs a sweep would make, and what they differ in."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.train.recipe import sweep

TEMPLATE = "train/page/form/sweep_preview.html"
LISTED = 12


@dataclass(frozen=True)
class SweepPreview:
    """The names of the first runs of a sweep, and how many it makes; or what is wrong with its grid."""

    count: int
    names: tuple[str, ...]
    fault: Problem | None


def sweep_preview(text: str) -> SweepPreview | None:
    """Return what a grid comes to, None where there is no text."""
    if not text.strip():
        return None
    try:
        names = [name for _, name in sweep.combinations({}, sweep.read(text))]
    except Problem as fault:
        return SweepPreview(0, (), fault)
    return SweepPreview(len(names), tuple(names[:LISTED]), None)

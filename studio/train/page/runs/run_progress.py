"""How far a run is, as its head and the sidebar show it."""

import time
from dataclasses import dataclass

from studio.train import runs
from studio.train.recipe import recipes

CUT_OFF = ("interrupted", "stopped", "failed")


@dataclass(frozen=True)
class Progress:
    """How far a run is. `share` is of 0 to 1, None where that is not known yet; times are in seconds.

    Of `left`, `preparing_for` and `took` one is told at most. `resumable_step` is where a run that did not come to its
    end can go on.
    """

    state: str
    share: float | None
    step: int
    total_steps: int
    left: float | None
    preparing_for: float | None
    took: float | None
    resumable_step: int | None


def progress(run: runs.Run, status: runs.Status) -> Progress:
    """Return how far a run is."""
    share = min(1.0, status.step / status.total_steps) if status.total_steps else 0.0
    is_preparing, began = status.state == "preparing", status.began()
    return Progress(
        state=status.state,
        share=None if is_preparing else share,
        step=status.step,
        total_steps=status.total_steps,
        left=status.eta(),
        preparing_for=max(0.0, time.time() - began) if is_preparing and began else None,
        took=status.took(),
        resumable_step=recipes.resumable_step(run) if status.state in CUT_OFF else None,
    )

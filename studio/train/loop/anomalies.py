"""Warnings while a run goes on: what a person who looked at the numbers all the time would notice."""

import shutil
import statistics
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

WINDOW = 30
DISK_LOW = 2 * 2**30
SPIKE = 3.0
FLAT = 0.005


@dataclass
class AnomalyDetector:
    """Takes the numbers of a run as they come and says what is new and wrong, once for each kind until it passes.

    Warnings are (key, facts): a loss that is no number; a spike (over three times the median of the last 30 and over
    five of their deviations); a curve gone flat (the medians of the two halves of 60 points within half a percent: "is
    it done?"); an eval loss that grew twice in a row while the loss fell; a disk with under 2 GiB left.
    """

    folder: Path
    losses: deque = field(default_factory=lambda: deque(maxlen=2 * WINDOW))
    evals: list[float] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def take(self, step: int, values: dict[str, object]) -> list[tuple[str, dict]]:
        """Return the warnings that these numbers give and that were not given before."""
        found = dict(
            self._of_loss(step, values.get("loss")) + self._of_eval(step, values.get("eval_loss")) + self._of_disk()
        )
        fresh = [(key, facts) for key, facts in found.items() if key not in self.told]
        if "loss" in values:
            self.told &= found.keys() | {"train.warn_overfit"}
        self.told |= found.keys()
        return fresh

    def _of_loss(self, step: int, loss: object) -> list[tuple[str, dict]]:
        if not isinstance(loss, (int, float)):
            return []
        if loss != loss or loss in (float("inf"), float("-inf")):
            return [("train.warn_nan", {"step": step})]
        before = list(self.losses)
        self.losses.append(loss)
        recent = before[-WINDOW:]
        if len(recent) == WINDOW:
            middle = statistics.median(recent)
            spread = statistics.median(abs(one - middle) for one in recent) or 1e-9
            if loss > SPIKE * middle and loss - middle > 5 * spread:
                return [("train.warn_spike", {"step": step, "loss": round(loss, 3), "usual": round(middle, 3)})]
        if len(self.losses) == 2 * WINDOW:
            first, second = statistics.median(list(self.losses)[:WINDOW]), statistics.median(list(self.losses)[WINDOW:])
            if abs(first - second) <= FLAT * abs(first):
                return [("train.warn_flat", {"steps": 2 * WINDOW, "loss": round(second, 4)})]
        return []

    def _of_eval(self, step: int, eval_loss: object) -> list[tuple[str, dict]]:
        if not isinstance(eval_loss, (int, float)):
            return []
        self.evals.append(eval_loss)
        if len(self.evals) >= 3 and self.evals[-1] > self.evals[-2] > self.evals[-3]:
            return [
                (
                    "train.warn_overfit",
                    {"step": step, "eval_loss": round(eval_loss, 4), "best": round(min(self.evals), 4)},
                )
            ]
        return []

    def _of_disk(self) -> list[tuple[str, dict]]:
        free = shutil.disk_usage(self.folder).free
        return [("train.warn_disk", {"free": f"{free / 2**30:.1f}"})] if free < DISK_LOW else []

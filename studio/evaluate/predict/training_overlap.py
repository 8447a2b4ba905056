"""Which rows of an evaluation a run was trained on: such a row tells what was learned by heart, not what was
understood."""

from collections.abc import Callable

from studio.core.i18n import Problem
from studio.datasets.quality.duplicates import plain
from studio.datasets.registry.collection import Collection
from studio.datasets.schema.observed_schema import Shape, text_of
from studio.evaluate.predict.row_sources import training_rows
from studio.inference.target_names import is_run
from studio.train import runs


class TrainingOverlap:
    """Tells of a row which of the targets were trained on it, word for word or but for spacing, case and punctuation.

    Runs whose data are gone are in `untold`, with the reason: nothing can be said of them.
    """

    def __init__(self, collection: Collection, targets: list[str], check: Callable[[], None]):
        """Read the training data of every run among the targets; `check` is called now and then, and may raise."""
        self.untold: dict[str, Problem] = {}
        by_run: dict[str, frozenset[int]] = {}
        self._trained: dict[str, frozenset[int]] = {}
        for target in filter(is_run, targets):
            name = target.partition("@")[0]
            try:
                if name not in by_run:
                    by_run[name] = _fingerprints(collection, runs.find(collection.workspace, name), check)
                self._trained[target] = by_run[name]
            except Problem as problem:
                self.untold[target] = problem

    def of(self, row: dict, shape: Shape) -> list[str]:
        """Return the targets that were trained on a row of this shape."""
        fingerprint = hash(plain(text_of(row, shape)))
        return [target for target, trained in self._trained.items() if fingerprint in trained]


def _fingerprints(collection: Collection, run: runs.Run, check: Callable[[], None]) -> frozenset[int]:
    prints: set[int] = set()
    for source, numbers, _ in training_rows(collection, run):
        for start in range(0, len(numbers), 1000):
            check()
            for _, row in source.values(numbers[start : start + 1000]):
                if isinstance(row, dict):
                    prints.add(hash(plain(text_of(row, source.shape))))
    return frozenset(prints)

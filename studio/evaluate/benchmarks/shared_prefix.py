"""What questions of one subject have in common is computed once.

The prompts of a subject begin alike: the system prompt, the line that names it, and as many examples as they were
given in the same order. Sorted by their tokens, neighbours share the most; a batch of them is computed as their common
beginning, whose keys and values are kept, and what each has beyond it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.core import llamafactory
from studio.inference.local.loaded_model import LoadedModel

# What a pass costs beside its tokens, in tokens: it must not be worth a pass of its own to share a word.
PASS_COST = 64

Ids = np.ndarray  # token ids of a prompt, int64 of shape [sequence]


@dataclass(frozen=True)
class Batch:
    """Neighbours `start` to `stop` of a sorted list of prompts, and how many tokens they have in common."""

    start: int
    stop: int
    shared: int


def common(one: Ids, other: Ids) -> int:
    """Return how many tokens two prompts have in common from their begin."""
    length = min(len(one), len(other))
    differs = np.flatnonzero(one[:length] != other[:length])
    return int(differs[0]) if len(differs) else length


def plan(prompts: Sequence[Ids], most: int) -> list[Batch]:
    """Return how sorted prompts are batched, at most `most` together, so that the fewest tokens are computed.

    What a batch costs is its common beginning, as far as the batch before it did not have it, and the longest rest for
    each of its prompts.
    """
    alike = [0, *(common(one, other) for one, other in zip(prompts, prompts[1:], strict=False))]
    best: list[tuple[float, Batch | None]] = [(0.0, None)] + [(float("inf"), None)] * len(prompts)
    for start in range(len(prompts)):
        before, last = best[start]
        kept = min(alike[start], last.shared) if last else 0
        shared, longest = len(prompts[start]) - 1, 0
        for stop in range(start + 1, min(start + most, len(prompts)) + 1):
            added = prompts[stop - 1]
            shared = min(shared, len(added) - 1, alike[stop - 1] if stop - 1 > start else shared)
            longest = max(longest, len(added))
            begin = _worth(shared, kept, stop - start)
            cost = before + max(0, begin - kept) + (stop - start) * (longest - begin) + PASS_COST
            if cost < best[stop][0]:
                best[stop] = (cost, Batch(start, stop, begin))
    return _way_back(best)


def _worth(shared: int, kept: int, count: int) -> int:
    """Return how much of what a batch shares is computed for itself: nothing where that saves less than a pass."""
    return shared if (shared - kept) * (count - 1) > PASS_COST or shared <= kept else min(shared, kept)


def _way_back(best: list[tuple[float, Batch | None]]) -> list[Batch]:
    batches, at = [], len(best) - 1
    while at:
        batch = best[at][1]
        batches.append(batch)
        at = batch.start
    return batches[::-1]


class PrefixCache:
    """The keys and values of the beginning that the last batch had, once for each adapter.

    `usable` is False for a model whose layers keep something else than keys and values.
    """

    def __init__(self, model: LoadedModel, adapters: list[str]):
        self._model, self._adapters = model, adapters
        self._ids: Ids = np.zeros(0, np.int64)
        self._kept = model.new_cache()

    @property
    def usable(self) -> bool:
        return self._kept is not None

    def clear(self) -> None:
        """Forget what is kept, to give its memory back."""
        self._ids, self._kept = np.zeros(0, np.int64), self._model.new_cache()

    def expanded(self, begin: Ids, count: int):
        """Return a new cache that holds `begin` for `count` prompts of each adapter, [adapters * count, ...], those of
        one adapter side by side; None for an empty beginning. Raises whatever the model raises.
        """
        if not len(begin):
            return None
        self._extend(begin)
        made = self._model.new_cache()
        for place, layer in enumerate(self._kept.layers):
            if layer.is_initialized:
                keys, values = (one.repeat_interleave(count, dim=0) for one in (layer.keys, layer.values))
                made.update(keys, values, place)
        return made

    def _extend(self, begin: Ids) -> None:
        llamafactory.load()
        import torch

        kept = common(self._ids, begin)
        if kept < len(self._ids):
            self._kept.crop(kept)
            self._ids = self._ids[:kept]
        if len(new := begin[kept:]):
            rows = torch.as_tensor(np.tile(new, (len(self._adapters), 1)), device=self._model.device)
            with self._model.forward(self._adapters) as forward:
                forward(input_ids=rows, past_key_values=self._kept, use_cache=True, logits_to_keep=1)
            self._ids = begin

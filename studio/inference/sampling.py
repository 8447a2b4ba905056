"""How tokens are chosen."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from studio.core import llamafactory
from studio.core.i18n import Problem

_LIKELY = (
    256  # the first part of a distribution in which top-p nearly always ends; where it does not, all of it is sorted
)
MOST_TOKENS = 2**31
LARGEST_SEED = 10**18


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: temperature (0 takes the most likely), top_p in (0, 1], at most max_tokens an answer,
    seed, and of the top_k most likely alone (0: of all).
    """

    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 512
    seed: int = 0
    top_k: int = 0

    def check(self) -> None:
        """Raise Problem where a setting is out of range."""
        within = (
            0 <= self.temperature < math.inf,
            0 < self.top_p <= 1,
            1 <= self.max_tokens <= MOST_TOKENS,
            0 <= self.top_k <= MOST_TOKENS,
            abs(self.seed) < LARGEST_SEED,
        )
        if not all(within):
            raise Problem("chat.bad_sampling")

    def logits_processor(self) -> Callable | None:
        """Return a logits processor that draws, None where the most likely token is wanted. Raises Problem for a
        setting out of range.
        """
        self.check()
        return _TokenSampler(self) if self.temperature else None


class _TokenSampler:
    """Draw each row's token with a generator of our own, so that a run that trains beside us keeps its random numbers.

    One number a step serves all rows (inverse of the cumulative distribution, most likely first): the same as one
    generator for each row with the same seed. So an answer does not depend on its neighbours, and columns differ by
    their models, not by luck.
    """

    def __init__(self, sampling: Sampling):
        llamafactory.load()
        import torch

        self.sampling = sampling
        self.generator = torch.Generator().manual_seed(sampling.seed)

    def __call__(self, input_ids, scores):
        """Return scores that leave each row the one token that was drawn: 0 there, minus infinity elsewhere.

        Args:
            input_ids: [batch, sequence], as transformers hands them; not looked at.
            scores: [batch, vocabulary], logits of the next token.
        """
        llamafactory.load()
        import torch

        chance = torch.rand((), generator=self.generator).item()
        chosen = [self._pick(shares, chance) for shares in torch.softmax(scores / self.sampling.temperature, dim=-1)]
        return torch.full_like(scores, -torch.inf).scatter_(-1, torch.stack(chosen)[:, None], 0.0)

    def _pick(self, shares, chance: float):
        """Return the token id, a tensor of no dimension, at `chance` of the distribution `shares`, [vocabulary]."""
        llamafactory.load()
        import torch

        top_p = self.sampling.top_p
        if self.sampling.top_k:  # of what is left the shares are taken anew, before top-p, as transformers does
            shares = shares * (shares >= shares.topk(min(self.sampling.top_k, len(shares))).values[-1])
            shares = shares / shares.sum()
        largest, tokens = shares.topk(min(_LIKELY, len(shares)))
        if largest.sum() <= (top_p if top_p < 1 else chance):
            largest, tokens = shares.sort(descending=True, stable=True)
        sums = largest.cumsum(0)
        # top-p (arXiv:1904.09751) keeps the fewest tokens whose shares reach p: those before which less than p lies
        total = sums[(sums - largest < top_p).sum() - 1] if top_p < 1 else 1.0
        place = torch.searchsorted(sums, total * torch.full_like(sums[:1], chance), right=True)
        return tokens[place.clamp(max=len(tokens) - 1)][0]


STANDARD = Sampling()

"""How often each model wins against the others, by all votes together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from studio.chat.history.votes import BAD, TIE, Vote
from studio.evaluate.scores.intervals import wilson


@dataclass(frozen=True)
class Standing:
    """How one model does against all the others.

    rate: of the comparisons that were not "both bad", the share it won, a tie as half, None where there are none. low,
    high: the 95 % Wilson interval of the rate, which takes the comparisons as independent; those that come from one
    choice among several columns are not quite.
    """

    model: str
    wins: int = 0
    losses: int = 0
    ties: int = 0
    bad: int = 0

    @property
    def comparisons(self) -> int:
        return self.wins + self.losses + self.ties + self.bad

    @property
    def decided(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def rate(self) -> float | None:
        return (self.wins + self.ties / 2) / self.decided if self.decided else None

    @property
    def low(self) -> float:
        return wilson(self.rate or 0.0, self.decided)[0]

    @property
    def high(self) -> float:
        return wilson(self.rate or 0.0, self.decided)[1]


def standings(votes: list[Vote]) -> list[Standing]:
    """Return how each model does, the best first."""
    names = dict.fromkeys(name for vote in votes for name in vote.columns)
    counted = [_counted(name, (result for one, _, result in _comparisons(votes) if one == name)) for name in names]
    return sorted(counted, key=lambda one: (-1 if one.rate is None else one.rate, one.comparisons), reverse=True)


def pairwise(votes: list[Vote]) -> dict[tuple[str, str], Standing]:
    """Return how each model does against each other one that it was compared with."""
    results: dict[tuple[str, str], list[str]] = {}
    for one, other, result in _comparisons(votes):
        results.setdefault((one, other), []).append(result)
    return {pair: _counted(pair[0], of_pair) for pair, of_pair in results.items()}


def _comparisons(votes: Iterable[Vote]) -> Iterator[tuple[str, str, str]]:
    """Yield (one, other, result) for each comparison, from the side of both; a choice among several is a win over each
    of the others.
    """
    for vote in votes:
        for one in vote.columns:
            for other in vote.columns:
                if one == other or (vote.choice not in (TIE, BAD, one, other)):
                    continue
                yield one, other, {TIE: "ties", BAD: "bad", one: "wins"}.get(vote.choice, "losses")


def _counted(model: str, results: Iterable[str]) -> Standing:
    counted = list(results)
    return Standing(model, *(counted.count(kind) for kind in ("wins", "losses", "ties", "bad")))

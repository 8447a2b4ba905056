"""The leaderboard: how often each model wins, and how each does against each."""

from dataclasses import dataclass

from studio.chat.evaluation.leaderboard import Standing, pairwise, standings
from studio.chat.history.votes import Votes

TEMPLATE = "chat/page/leaderboard.html"
ACTIONS = "chat/page/leaderboard_actions.html"


@dataclass(frozen=True)
class PairRow:
    """A model against each of all models, None where the two were never compared."""

    model: str
    against: list[Standing | None]


@dataclass(frozen=True)
class LeaderboardContext:
    """standings: the best first. pairs: in the same order, none while there are fewer than three models. unreadable:
    lines of the file that are no votes.
    """

    standings: list[Standing]
    pairs: list[PairRow]
    votes: int
    unreadable: int


def leaderboard(votes: Votes) -> LeaderboardContext:
    """Return the leaderboard. Raises Problem where the votes cannot be read."""
    cast = votes.all()
    rows, pairs = standings(cast), pairwise(cast)
    names = [one.model for one in rows]
    table = [PairRow(name, [pairs.get((name, other)) for other in names]) for name in names]
    return LeaderboardContext(rows, table if len(names) > 2 else [], len(cast), votes.unreadable())

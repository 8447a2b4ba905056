"""The leaderboard: how often each model wins, and how each does against each."""

from dataclasses import dataclass

from studio.chat.evaluation.leaderboard import Standing, pairwise, standings
from studio.chat.history.votes import Votes
from studio.core.workspace import Workspace
from studio.inference import target_names

TEMPLATE = "chat/page/leaderboard.html"
ACTIONS = "chat/page/leaderboard_actions.html"


@dataclass(frozen=True)
class PairRow:
    """A model against each of all models, None where the two were never compared."""

    model: str
    against: list[Standing | None]


@dataclass(frozen=True)
class LeaderboardContext:
    """standings: the best first. pairs: in the same order, none while there are fewer than three models.

    titles, labels: how each model is shown, whole and in few words. unreadable: lines of the file that are no votes.
    """

    standings: list[Standing]
    pairs: list[PairRow]
    titles: dict[str, str]
    labels: dict[str, str]
    votes: int
    unreadable: int


def leaderboard(workspace: Workspace, votes: Votes) -> LeaderboardContext:
    """Return the leaderboard. Raises Problem where the votes cannot be read."""
    cast = votes.all()
    rows, pairs = standings(cast), pairwise(cast)
    names = [one.model for one in rows]
    table = [PairRow(name, [pairs.get((name, other)) for other in names]) for name in names]
    return LeaderboardContext(
        standings=rows,
        pairs=table if len(names) > 2 else [],
        titles={name: target_names.title(workspace, name) for name in names},
        labels={name: target_names.label(workspace, name) for name in names},
        votes=len(cast),
        unreadable=votes.unreadable(),
    )

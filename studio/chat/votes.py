"""Votes: which column answered a question best, kept for good, and what they say of the speakers together."""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from markupsafe import escape

from studio.chat import lines
from studio.chat.stored import StoredVote
from studio.core.i18n import Problem, Words
from studio.core.storage import files

TIE, BAD = "tie", "bad"
# The 97.5th percentile of the normal distribution: a two-sided interval of 95 %.
Z = 1.959964


@dataclass(frozen=True)
class Vote:
    """What a person thought of the answers to one question.

    conversation, turn: where it was asked. columns: the names that answered. answers: what each said. before: the
        messages of each up
    to and with the question. choice: the best column's name, "tie" or "bad" (none of them is good). blind: the names
    were hidden.
    time: seconds since 1970.
    """

    conversation: str
    turn: int
    columns: list[str]
    answers: dict[str, str]
    before: dict[str, list[dict]]
    choice: str
    system: str = ""
    tools: str = ""
    note: str = ""
    blind: bool = False
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Standing:
    """How one speaker does against all the others.

    rate: of the comparisons that were not "both bad", the share it won, a tie as half, None where there are none. low,
    high: the 95 % interval of the rate.
    """

    speaker: str
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
        return interval(self.rate or 0.0, self.decided)[0]

    @property
    def high(self) -> float:
        return interval(self.rate or 0.0, self.decided)[1]


class Votes:
    """The votes of a workspace: `votes.jsonl` in a folder. Every method may be called from any thread."""

    def __init__(self, folder: Path):
        self.file = folder / "votes.jsonl"
        self._lock = threading.Lock()
        self._kept: tuple[object, list[Vote], int] = (None, [], 0)

    def cast(self, vote: Vote) -> Vote:
        """Keep a vote; it replaces an earlier one on the same conversation and turn.

        Raises:
            Problem: there is nothing to compare, the choice is none of the columns, or the disk refuses.
        """
        if len(set(vote.columns)) < 2:
            raise Problem("votes.too_few")
        if vote.choice not in (*vote.columns, TIE, BAD):
            raise Problem("votes.bad_choice", choice=vote.choice, columns=", ".join(vote.columns))
        if missing := [name for name in vote.columns if name not in vote.answers or not vote.before.get(name)]:
            raise Problem("votes.no_answer", column=missing[0])
        with self._lock:
            lines.append(self.file, asdict(vote))
        return vote

    def all(self) -> list[Vote]:
        """Return the votes that count, in the order in which they were cast. Raises Problem where they cannot be read."""
        with self._lock:
            stamp = files.stamp(self.file)
            if stamp != self._kept[0]:
                found, unreadable = lines.read(self.file, StoredVote)
                self._kept = (stamp, _that_count(found), unreadable)
            return list(self._kept[1])

    def unreadable(self) -> int:
        """Return how many lines of the file are no votes. Raises Problem as `all` does."""
        self.all()
        return self._kept[2]

    def of(self, conversation: str, turn: int) -> Vote | None:
        """Return the vote on a turn of a conversation, None where there is none. Raises Problem as `all` does."""
        return next((vote for vote in self.all() if (vote.conversation, vote.turn) == (conversation, turn)), None)

    def standings(self) -> list[Standing]:
        """Return how each speaker does, the best first. Raises Problem as `all` does."""
        found = [
            _counted(name, (result for *names, result in _results(self.all()) if names[0] == name))
            for name in self._names()
        ]
        return sorted(found, key=lambda one: (-1 if one.rate is None else one.rate, one.comparisons), reverse=True)

    def pairwise(self) -> dict[tuple[str, str], Standing]:
        """Return how each speaker does against each other one that it was compared with. Raises Problem as `all` does."""
        results: dict[tuple[str, str], list[str]] = {}
        for one, other, result in _results(self.all()):
            results.setdefault((one, other), []).append(result)
        return {pair: _counted(pair[0], said) for pair, said in results.items()}

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for vote in self.all() for name in vote.columns))


def interval(rate: float, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a rate seen in `count` comparisons; (0, 1) where there are none.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22
    (1927) 209-212. It takes the comparisons as independent; those that come from one choice among several columns are
    not quite.
    """
    if not count:
        return 0.0, 1.0
    square = Z * Z / count
    middle = (rate + square / 2) / (1 + square)
    half = Z * math.sqrt(rate * (1 - rate) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def draw_board(words: Words, votes: Votes) -> str:
    """Return the board: how often each speaker wins, with its interval, and how each does against each."""
    standings = votes.standings()
    damage = (
        f'<p class="warning">{escape(words("votes.lines_unreadable", count=votes.unreadable()))}</p>'
        if votes.unreadable()
        else ""
    )
    if not standings:
        return f'{damage}<p class="hint">{words("votes.none")}</p>'
    head = "".join(
        f"<th>{words('votes.' + name)}</th>"
        for name in ("speaker", "rate", "interval", "comparisons", "wins", "losses", "ties", "bad")
    )
    rows = "".join(_row(one) for one in standings)
    return (
        f'{damage}<p class="hint">{words.html("votes.count", count=len(votes.all()))}</p><div class="wide"><table'
        f' class="board"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div><p'
        f' class="hint">{words("votes.board_info")}</p>{_draw_pairs(words, votes, standings)}'
    )


def _row(one: Standing) -> str:
    rate = "–" if one.rate is None else f"{one.rate:.0%}"
    bar = (
        ""
        if one.rate is None
        else (
            f'<span class="interval" title="{one.low:.0%} – {one.high:.0%}"><i'
            f' style="left:{one.low:.1%};width:{one.high - one.low:.1%}"></i><b style="left:{one.rate:.1%}"></b></span>'
        )
    )
    counts = "".join(
        f'<td class="num">{count:d}</td>' for count in (one.comparisons, one.wins, one.losses, one.ties, one.bad)
    )
    return f'<tr><td>{escape(one.speaker)}</td><td class="num">{rate}</td><td>{bar}</td>{counts}</tr>'


def _draw_pairs(words: Words, votes: Votes, standings: list[Standing]) -> str:
    if len(standings) < 3:
        return ""
    pairs, names = votes.pairwise(), [one.speaker for one in standings]
    rows = ""
    for name in names:
        cells = "".join(f'<td class="num">{_score(pairs.get((name, other)))}</td>' for other in names)
        rows += f"<tr><td>{escape(name)}</td>{cells}</tr>"
    head = "".join(f"<th>{escape(name.split('/')[-1])}</th>" for name in names)
    return (
        f'<details id="board-pairs"><summary>{words("votes.pairs")}</summary><div class="wide"><table'
        f' class="board"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div><p'
        f' class="hint">{words("votes.pairs_info")}</p></details>'
    )


def _score(one: Standing | None) -> str:
    return "" if one is None else f"{one.wins:d} : {one.losses:d}" + (f" ({one.ties:d})" if one.ties else "")


def _that_count(found: list[StoredVote]) -> list[Vote]:
    counting = {}
    for one in found:
        vote = Vote(**one.model_dump(exclude_unset=True, by_alias=True))
        counting.pop((vote.conversation, vote.turn), None)
        counting[vote.conversation, vote.turn] = vote
    return list(counting.values())


def _results(votes: Iterable[Vote]) -> Iterator[tuple[str, str, str]]:
    """Yield (one, other, result) for each comparison, from the side of both; a choice among several is a win over each
    of the others.
    """
    for vote in votes:
        for one in vote.columns:
            for other in vote.columns:
                if one == other or (vote.choice not in (TIE, BAD, one, other)):
                    continue
                yield one, other, {TIE: "ties", BAD: "bad", one: "wins"}.get(vote.choice, "losses")


def _counted(speaker: str, results: Iterable[str]) -> Standing:
    said = list(results)
    return Standing(speaker, *(said.count(kind) for kind in ("wins", "losses", "ties", "bad")))

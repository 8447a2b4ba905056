"""Votes become training data: pairs of a better and a worse answer, with the whole conversation before them, for DPO
and reward models.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from studio.chat.history.conversations import what_was_said
from studio.chat.history.votes import BAD, TIE, Vote
from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage.atomic import scratch
from studio.datasets.registry.collection import Collection
from studio.datasets.schema.forms import Mapping
from studio.inference.messages import Message
from studio.inference.reasoning import split_reasoning, with_reasoning, without_reasoning

NAME = "votes"
# A question that was asked with a picture needs it in training too, and the ranking form of the studio's datasets has
# no place for one.
REASONS = ("tie", "bad", "empty", "equal", "pictures")
_MAPPING = Mapping(
    "chat_preference",
    {"messages": "messages", "chosen": "chosen", "rejected": "rejected", "system": "system", "tools": "tools"},
    {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "observation_tag": "tool",
        "function_tag": "function_call",
        "system_tag": "system",
    },
)


@dataclass(frozen=True)
class PreferenceSet:
    """A dataset that was made of votes. rows: pairs written. left_out: votes and pairs that say nothing to train on,
    and `reasons` how many of them for each reason in REASONS.
    """

    name: str
    rows: int
    left_out: int
    reasons: dict[str, int]


def make(votes: Iterable[Vote], collection: Collection, name: str = "") -> PreferenceSet:
    """Write the preferences of votes to a new dataset, register it, and return what was made.

    Each answer that lost to the chosen one and differs from it gives a row: what the chosen column was sent up to the
    question, the chosen answer and the rejected one, system prompt and tools. LLaMA-Factory reads it in its sharegpt
    ranking form. Earlier answers are without their reasoning, as no model gets it back; that of the two answers stands
    in <think></think>, however it was marked.

    Args:
        name: of the dataset; "" takes one that is free.

    Raises:
        Problem: no vote prefers an answer, the name is bad or taken, or the disk refuses.
    """
    left: Counter[str] = Counter()
    rows = [row for vote in votes for row in _rows(vote, left)]
    skipped = {reason: left[reason] for reason in REASONS if left[reason]}
    if not rows:
        raise Problem("votes.nothing_to_make")
    name = name.strip() or collection.free_name(NAME)
    collection.require_free(name)
    collection.jobs.require_unmade(collection.place_of(name))
    with scratch(collection.folder) as folder:
        source = folder / "pairs.jsonl"
        try:
            source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        except OSError as error:
            raise Problem("workspace.unwritable", path=collection.folder, reason=reasons.of(error)) from error
        name, written = collection.bring_in(source, name, _MAPPING, {"copy": True})
    return PreferenceSet(name, written.rows, left.total() + written.left_out, skipped)


def _rows(vote: Vote, left: Counter[str]) -> Iterator[dict]:
    """Yield the pairs of a vote, and count in `left` what gives none."""
    if vote.choice in (TIE, BAD) and vote.choice not in vote.columns:
        left[vote.choice] += 1
        return
    before, chosen = what_was_said(vote.before[vote.choice]), _answer(vote.answers[vote.choice])
    if any(message.get("images") for message in before):
        left["pictures"] += 1
        return
    for loser in vote.columns:
        rejected = _answer(vote.answers[loser])
        if loser == vote.choice:
            continue
        if not without_reasoning(chosen).strip() or not without_reasoning(rejected).strip():
            left["empty"] += 1
        elif chosen.strip() == rejected.strip():
            left["equal"] += 1
        else:
            sides = {
                "chosen": {"role": "assistant", "content": chosen},
                "rejected": {"role": "assistant", "content": rejected},
            }
            yield {
                "messages": [_message(message) for message in before],
                **sides,
                "system": vote.system,
                "tools": vote.tools,
            }


def _message(message: Message) -> dict:
    """Return a message of a conversation in OpenAI's form; the text before calls of tools is lost, as LLaMA-Factory's
    form has none.
    """
    if calls := message.get("calls"):
        return {"role": message["role"], "content": None, "tool_calls": [{"function": call} for call in calls]}
    content = message["content"]
    return {
        "role": message["role"],
        "content": without_reasoning(content) if message["role"] == "assistant" else content,
    }


def _answer(text: str) -> str:
    """Return an answer with its reasoning in the marks that LLaMA-Factory's templates know."""
    thought, visible = split_reasoning(text)
    return with_reasoning(thought, visible) if thought.strip() else text

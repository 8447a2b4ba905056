"""The columns and settings of a conversation, from what a script or the fields of the page say."""

import random

from studio.chat.history.conversations import Conversation
from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem
from studio.inference.target_names import MOST


def checked_columns(columns: list[str]) -> list[str]:
    """Return the columns, each once. Raises Problem where there is none, or too many."""
    unique = list(dict.fromkeys(columns))
    if not 1 <= len(unique) <= MOST:
        raise Problem("chat.choose_some", most=MOST)
    return unique


def write(turns: TurnRunner, id: str, names: list[str], fields: dict) -> str:
    """Write columns and settings into a conversation, a new one where there is none of this id, and return its id.

    Args:
        fields: of a conversation, as `schemas.ConversationOptions.fields` has them.

    Raises:
        Problem: nobody, or too many, are to answer, or the disk refuses.
    """
    columns, old = checked_columns(names), _open(turns, id)
    if old is None:
        return turns.conversations.new(columns, **fields).id
    if old.blind:  # those that are there stay where they were shuffled to: the order in the field would tell
        added = [name for name in columns if name not in old.columns]
        columns = [name for name in old.columns if name in columns] + random.sample(added, len(added))
    if old.columns == columns and all(getattr(old, key) == value for key, value in fields.items()):
        return id
    with turns.conversations.change(id) as changed:
        changed.columns = columns
        vars(changed).update(fields)
    return id


def _open(turns: TurnRunner, id: str) -> Conversation | None:
    try:
        return turns.conversations.open(id)
    except Problem:  # deleted, here or in another window
        return None

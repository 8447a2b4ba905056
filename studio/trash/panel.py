"""What the page draws of the trash, in the sidebar: folded, with what came in last on top."""

import time

from markupsafe import escape

from studio.core.i18n import Problem, Words
from studio.core.storage.trash import Item
from studio.core.workspace import Workspace
from studio.models.download import amount
from studio.trash import places
from studio.web.live import attribute

SHOWN = 50
KINDS = ("model", "run", "checkpoints", "dataset", "conversation", "prompts")


def draw(words: Words, workspace: Workspace) -> str:
    """Return what is in the trash with the buttons that bring it back or empty it; "" while nothing is in it."""
    try:
        items = places.whole(workspace).list()
    except Problem as problem:
        return f'<p class="problem">{escape(words.tell(problem))}</p>'
    if not items:
        return ""
    rows = "".join(_row(words, item) for item in items[:SHOWN])
    more = f'<li class="hint">{words.html("trash.more", count=len(items) - SHOWN)}</li>' if len(items) > SHOWN else ""
    size = amount(sum(item.bytes for item in items))
    empty = _button(
        words("trash.empty"), "trash_empty", [""], "danger", words("trash.empty_sure", count=len(items), size=size)
    )
    head = f'{words("trash.title")} <span class="num">{len(items)} · {size}</span>'
    return (
        f'<details id="trash" class="trash"><summary>{head}</summary><ul'
        f' class="plain">{rows}{more}</ul>{empty}</details>'
    )


def _row(words: Words, item: Item) -> str:
    kind = words(f"trash.kind_{item.kind if item.kind in KINDS else 'unknown'}")
    facts = " · ".join([kind, amount(item.bytes), *([_day(item.when)] if item.when else [])])
    stood = escape("\n".join(map(str, item.stood)))
    if item.fault:
        back = f'<p class="problem" role="alert">{escape(words.tell(item.fault))}</p>'
    else:
        back = _button(words("trash.restore"), "trash_restore", [item.id])
    gone = _button(
        words("trash.delete"),
        "trash_empty",
        [item.id],
        "quiet-button",
        words("trash.delete_sure", name=item.title[:80]),
    )
    return (
        f'<li><b title="{stood}">{escape(item.title[:80])}</b><span class="num">{escape(facts)}</span>{back}{gone}</li>'
    )


def _button(label: str, endpoint: str, args: list, look: str = "", ask: str = "") -> str:
    question = f' data-ask="{escape(ask)}"' if ask else ""
    return (
        f'<button class="button small {look}" data-call="{endpoint}"'
        f" data-args='{attribute(args)}'{question}>{label}</button>"
    )


def _day(when: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
    except (OverflowError, ValueError, OSError):
        return "–"  # no time of this calendar

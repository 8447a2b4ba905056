"""The runs that wait, in their order, each with what can be done about it; and the runs that a sweep would make."""

from markupsafe import escape

from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.train.execution.queue import Queue
from studio.train.recipe import sweep
from studio.web.live import attribute

LISTED = 12


def draw(words: Words, workspace: Workspace) -> str:
    """Return the list of waiting runs, the next to start first; nothing where none waits."""
    queue = Queue(workspace.saves)
    waiting = [order.run for order in queue.waiting()]
    damage = "".join(f'<p class="warning">{escape(words.tell(fault))}</p>' for fault in queue.faults())
    if not waiting:
        return damage
    rows = "".join(_row(words, run, place) for place, run in enumerate(waiting[:LISTED]))
    rest = (
        f'<p class="hint">{words.html("train.waiting", count=len(waiting) - LISTED)}</p>'
        if len(waiting) > LISTED
        else ""
    )
    return f'<h3>{words("queue.title")}</h3><ol class="waiting">{rows}</ol>{rest}{damage}'


def _row(words: Words, run: str, place: int) -> str:
    name = escape(run.split("/")[-1])
    earlier = _button("↑", words("queue.earlier"), "train_queue_move", [run, place - 1]) if place else ""
    gone = _button("×", words("train.queue_remove"), "train_queue_remove", [run])
    return (
        f'<li><button class="link" data-go="room-train" data-pick="run:{escape(run)}"'
        f' title="{name}">{name}</button>{earlier}{gone}</li>'
    )


def _button(sign: str, label: str, endpoint: str, args: list) -> str:
    return (
        f'<button class="quiet" aria-label="{escape(label)}" title="{escape(label)}" data-call="{endpoint}"'
        f" data-args='{attribute(args)}'>{sign}</button>"
    )


def draw_sweep(words: Words, text: str) -> str:
    """Return how many runs a grid makes and what they differ in, or what is wrong with it."""
    if not text.strip():
        return ""
    try:
        names = [name for _, name in sweep.combinations({}, sweep.read(text))]
    except Problem as fault:
        return f'<p class="problem" role="alert">{escape(words.tell(fault))}</p>'
    shown = "".join(f"<li>{escape(name)}</li>" for name in names[:LISTED]) + (
        "<li>…</li>" if len(names) > LISTED else ""
    )
    return f'<p class="hint">{words.html("queue.sweep_makes", count=len(names))}</p><ol class="hint num">{shown}</ol>'

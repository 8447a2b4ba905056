"""Fields that the studio fills when they are first in sight, choices that it keeps up to date, and drafts of forms.

A form that is filled is out of sight until then, and takes nothing that is handed to it, so that an answer that comes
late never takes the place of what a person chose or typed.
"""

import copy
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import gradio as gr
from gradio.events import Dependency
from gradio.state_holder import SessionState

from studio.core.i18n import Problem
from studio.web.html import ui

FILLS = "fills"  # the class of the column around such a form: see studio.css and studio.js
_FILLED = "<i data-filled></i>"
_DRAFT = "draft-of-"
_SEEN = "first-seen"
_IS_OFFERED = "is_offered"  # marks a box whose choices change while the studio runs
_LARGEST = 2.0**53  # of a number in a browser
# How the fields of a form are asked: at once, without a place in gradio's queue or a mark over the box. What is entered
# while an answer is under way is asked after it; gradio's own way is to drop it. An answer for a number alone is a
# suggestion: it takes the place of none that is typed before it comes (assets/answers.js).
QUIET = {"api_name": False, "queue": False, "show_progress": "hidden", "trigger_mode": "always_last"}
# How a button is asked, with a mark that it works. No button waits in gradio's queue either: the answers come in a
# stream that gradio shuts after each and opens for the next, and a press that meets the shutting is never answered;
# until the page is loaded again the button takes no other.
PRESSED = {"api_name": False, "queue": False}


def first_seen() -> Callable[..., Dependency]:
    """Return the event that the column that is being built is in sight, which happens once (assets/drafts.js).

    Not the opening of the page: whoever reads one tab would wait until six others are filled.
    """
    return gr.Textbox(visible="hidden", elem_classes=_SEEN).input


def fill_on_open(fill: Callable, fields: Sequence[gr.components.Component]) -> None:
    """Fill fields when they are in sight first. Called where the form is built, inside its column of class `FILLS`.

    Args:
        fill: without arguments; returns the updates of the fields. Where it fails the form is shown as it was built.
    """
    mark = gr.HTML(visible="hidden")
    opened = first_seen()(fill, None, list(fields), **QUIET)
    opened.then(lambda: _FILLED, None, mark, **QUIET)


def keep_offered(
    box: gr.Dropdown,
    choices: Callable[..., list],
    given: Sequence[gr.components.Component] = (),
    also: Sequence[Callable] = (),
) -> None:
    """Offer in a box what there is at the moment in which a person goes to it.

    Where nothing is new the box is left alone: new choices are drawn anew, under the hand of who is choosing, and shown
    whole again by the page (assets/choices.js).

    Args:
        box: a dropdown.
        choices: takes the values of `given`; returns the choices as `gr.Dropdown` takes them.
        given: what the choices depend on.
        also: other events at which the choices are looked up, as `first_seen()`.
    """
    offered, mark = gr.State(None), gr.HTML(visible="hidden")
    setattr(box, _IS_OFFERED, True)

    def look_up(before, *values):
        now = choices(*values)
        if now == before:
            return gr.skip(), gr.skip(), gr.skip()
        return gr.update(choices=now), now, str(ui("en").offered(secrets.token_hex(4)))

    gr.on([box.focus, *also], look_up, [offered, *given], [box, offered, mark], **QUIET)


def install_offered_choices(blocks: gr.Blocks) -> None:
    """Let what stands on the page in a box of `keep_offered` be one of its choices.

    The list that gradio keeps for a page can lack it: the answer that came last was asked for before, or what was
    offered is gone. gradio would refuse all that is entered in the form until the page is loaded anew; whoever takes
    the value says what is wrong with it.
    """
    preprocess = blocks.preprocess_data

    async def widened(block_fn, inputs, state, *args, **kwargs):
        state = state or SessionState(blocks)
        for box, said in zip(block_fn.inputs, inputs, strict=False):  # gradio tells where there are too few
            if getattr(box, _IS_OFFERED, False) and (missing := _missing(state[box._id].choices, said)):
                wider = copy.copy(state[box._id])
                wider.choices = [*wider.choices, *missing]
                state[box._id] = wider
        return await preprocess(block_fn, inputs, state, *args, **kwargs)

    blocks.preprocess_data = widened


def _missing(choices: list[tuple[str, object]], said: object) -> list[tuple[str, str]]:
    known = {value for _, value in choices}
    names = said if isinstance(said, list) else [said]
    return [(one, one) for one in names if isinstance(one, str) and one not in known]


def keep_draft(
    name: str,
    fields: Mapping[str, gr.components.Component],
    made: gr.HTML,
    offered: Mapping[str, Callable[[], list]] | None = None,
) -> Dependency:
    """Keep what a person entered in a form in their browser (assets/drafts.js), and put it back when the page is opened
    again, until the form has made something.

    Args:
        name: of the form, unique on the page.
        fields: what is kept, by names of which each form has its own; no secret.
        made: the HTML that is filled once the form has made something (`live.taken`).
        offered: what there is to choose from now, of the fields whose choices change while the studio runs.

    Returns:
        the event after which the fields are as they were.

    Raises:
        ValueError: a field has no name.
    """
    if nameless := [box.label for key, box in fields.items() if not key]:
        raise ValueError(f"what is kept needs a name: {nameless}")  # JSON would call it "null", and never find it again
    boxes = list(fields.values())
    kept = gr.HTML(visible="hidden")
    given = gr.Textbox(visible="hidden", elem_id=f"{_DRAFT}{name}")

    def keep(*values):
        return str(ui("en").draft(name, json.dumps(dict(zip(fields, values, strict=True)))))

    def put_back(text):
        entered = entered_fields(text)
        found = offered or {}
        updates = [
            restored(box, entered[key], found[key]() if key in found else None) if key in entered else gr.skip()
            for key, box in fields.items()
        ]
        return [str(ui("en").draft(name, text)), *updates]  # by which the page sees that they are back

    gr.on([box.input for box in boxes], keep, boxes, kept, **QUIET)
    made.change(lambda text: str(ui("en").draft(name, "")) if text else gr.skip(), made, kept, **QUIET)
    return given.input(put_back, given, [kept, *boxes], **QUIET)


@contextmanager
def told_by_label(fields: Mapping[str, gr.components.Component]) -> Iterator[None]:
    """Let what is wrong with an entry be told by the label that the person reads, not by the name that scripts use.

    Args:
        fields: those of a form, by the names of the options.

    Raises:
        Problem: what the block raises, in those words.
    """
    try:
        yield
    except Problem as problem:
        field = fields.get(str(problem.facts.get("field")))
        if problem.key != "app.field_wrong" or field is None:
            raise
        raise Problem("app.entry_wrong", field=field.label, reason=problem.facts["reason"]) from None


def entered_fields(text: str) -> dict[str, object]:
    """Return what a browser has kept of a form; nothing where that is not what was written there."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def restored(box: gr.components.Component, value: object, choices: list | None = None) -> dict[str, object]:
    """Return the update that puts a kept value back into a field, or none where it does not fit it any more.

    Args:
        choices: what a list offers now, where that may have changed; None for what it was built with.
    """
    if isinstance(box, gr.Checkbox):
        return gr.update(value=value) if isinstance(value, bool) else gr.skip()
    if isinstance(box, gr.Number | gr.Slider):
        return gr.update(value=value) if _is_number(value, box.minimum, box.maximum) else gr.skip()
    if not isinstance(box, gr.Dropdown | gr.Radio | gr.CheckboxGroup):
        return gr.update(value=value) if isinstance(value, str) else gr.skip()
    known = [one if isinstance(one, tuple) else (one, one) for one in (box.choices if choices is None else choices)]
    values = [one for _, one in known]
    if isinstance(box, gr.CheckboxGroup) or getattr(box, "multiselect", False):
        wanted = [one for one in value if one in values] if isinstance(value, list) else []
        return gr.update(choices=known, value=wanted) if wanted else gr.skip()
    fits = value in values or (getattr(box, "allow_custom_value", False) and isinstance(value, str))
    return gr.update(choices=known, value=value) if fits else gr.skip()


def _is_number(value: object, minimum: float | None, maximum: float | None) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    least, most = (-_LARGEST if minimum is None else minimum), (_LARGEST if maximum is None else maximum)
    return least <= value <= most

"""Fields that the studio fills once the page is open, and choices that it keeps up to date.

A form that is filled is out of sight until then, and takes nothing that is handed to it, so that an answer that comes
late never takes the place of what a person chose or typed.
"""

from collections.abc import Callable, Sequence

import gradio as gr

FILLS = "fills"  # the class of the column around such a form: see studio.css and studio.js
_FILLED = "<i data-filled></i>"
_QUIET = {"api_name": False, "queue": False, "show_progress": "hidden"}


def fill_on_open(fill: Callable, fields: Sequence[gr.components.Component]) -> None:
    """Fill fields when the page opens. Called where the form is built, inside its column of class `FILLS`.

    Args:
        fill: without arguments; returns the updates of the fields. Where it fails the form is shown as it was built.
    """
    mark = gr.HTML(visible="hidden")
    opened = gr.context.Context.root_block.load(fill, None, list(fields), **_QUIET)
    opened.then(lambda: _FILLED, None, mark, **_QUIET)


def keep_offered(
    box: gr.Dropdown,
    choices: Callable[..., list],
    given: Sequence[gr.components.Component] = (),
    also: Sequence[Callable] = (),
) -> None:
    """Offer in a box what there is at the moment in which a person goes to it.

    Where nothing is new the box is left alone: new choices are drawn anew, under the hand of who is choosing.

    Args:
        box: a dropdown.
        choices: takes the values of `given`; returns the choices as `gr.Dropdown` takes them.
        given: what the choices depend on.
        also: other events at which the choices are looked up, as `page.load`.
    """
    offered = gr.State(None)

    def look_up(before, *values):
        now = choices(*values)
        return (gr.skip(), gr.skip()) if now == before else (gr.update(choices=now), now)

    gr.on([box.focus, *also], look_up, [offered, *given], [box, offered], **_QUIET)

"""A form that the studio fills once the page is open: its fields are out of sight until then, and take nothing that is
handed to them, so that an answer that comes late never takes the place of what a person chose or typed.
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

"""The Models tab: what is on disk, LLaMA-Factory's catalogue, and getting models; the list on the left, the one in hand
on the right.
"""

import gradio as gr

from studio.core.i18n import Words
from studio.models import get_panel, inside_panel, panel
from studio.models.shelf import Shelf
from studio.web.live import Live, region

# What is drawn of the model in hand, and what each part follows.
INSIDE = (("model", "model"), ("model-fit", "model fit"), ("hello", "model"), ("model-inside", "model"))


def add_regions(live: Live, shelf: Shelf) -> None:
    """Add the live regions of this tab."""
    live.add("models-views", lambda words, _: panel.draw_views(words, shelf))
    live.add("models", lambda words, find: panel.draw_list(words, shelf, find))
    live.add("model", lambda words, name: panel.draw_model(words, shelf, name))
    live.add("model-fit", lambda words, arg: panel.draw_fit(words, shelf, arg))
    live.add("model-inside", lambda words, name: inside_panel.draw_inside(words, shelf, name))
    live.add("catalogue", lambda words, find: get_panel.draw_catalogue(words, shelf, find))
    live.add("entry", lambda words, name: get_panel.draw_entry(words, shelf, name))
    live.add("suggested", lambda words, _: get_panel.draw_suggested(words, shelf))
    live.add("coming", lambda words, _: get_panel.draw_coming(words, shelf))


def build(words: Words) -> None:
    """Build the tab in one language. What the region "hello" shows is the chat's, which can load and ask a model."""
    search = (
        f'<input type="search" class="list-search" data-hand="find" placeholder="{words("models.search")}"'
        f' aria-label="{words("models.search")}">'
    )
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(region("models-views"))
            gr.HTML(search, elem_classes="when-disk when-catalogue")
            gr.HTML(region("models", follows="find", first="model"), elem_classes="when-disk")
            gr.HTML(region("catalogue", follows="find", first="entry"), elem_classes="when-catalogue")
            gr.HTML(region("coming"), elem_classes="when-get")
        with gr.Column(elem_classes="split-main", min_width=0):
            gr.HTML("".join(region(name, follows=follows) for name, follows in INSIDE), elem_classes="when-disk")
            gr.HTML(region("entry", follows="entry"), elem_classes="when-catalogue")
            gr.HTML(get_panel.forms(words) + region("suggested"), elem_classes="when-get")

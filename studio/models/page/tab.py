"""The Models tab: what is on disk, LLaMA-Factory's catalogue, and getting models; the list on the left, the one in hand
on the right.
"""

import gradio as gr

from studio.core.i18n import Words
from studio.models.models_context import ModelsContext
from studio.models.page import machine_sizes, views
from studio.models.page.disk import inside, memory_fit, model_head, model_list
from studio.models.page.hub import catalogue_rows, downloads, suggested
from studio.web.html import render
from studio.web.live import Live, region

SEARCH, FORMS = "models/page/search.html", "models/page/hub/forms.html"
# What is in hand, as an address names it, with what it need not say (assets/address.js).
ADDRESS = {"models": "disk", "model": None, "entry": None}
# What is drawn of the model in hand, and what each part follows. "hello" is the chat's, which can load and ask a model.
PARTS = (("model", "model"), ("model-fit", "model fit"), ("hello", "model"), ("model-inside", "model"))


def add_regions(live: Live, context: ModelsContext) -> None:
    """Add the live regions of this tab."""
    live.add("models-views", (views.TEMPLATE, lambda *_: views.views(context)))
    live.add("models", (model_list.TEMPLATE, lambda _, query: model_list.model_list(context, query)))
    live.add("model", (model_head.TEMPLATE, lambda _, name: model_head.model_head(context, name)))
    live.add("model-fit", (memory_fit.TEMPLATE, lambda words, arg: memory_fit.memory_fit(words, context, arg)))
    live.add("model-inside", (inside.TEMPLATE, lambda _, name: inside.inside(context, name)))
    live.add("catalogue", (catalogue_rows.TEMPLATE, lambda _, query: catalogue_rows.catalogue(context, query)))
    live.add("entry", (catalogue_rows.ENTRY_TEMPLATE, lambda _, name: catalogue_rows.entry(context, name)))
    live.add("suggested", (suggested.TEMPLATE, lambda *_: suggested.suggested(context)))
    live.add("machine-sizes", (machine_sizes.TEMPLATE, lambda *_: machine_sizes.machine_sizes(context)))
    live.add("coming", (downloads.TEMPLATE, lambda words, _: downloads.downloads(words, context)))


def build(words: Words) -> None:
    """Build the tab in one language."""
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(region("models-views"))
            for list_of, hand, first, view in (
                ("models", "find", "model", "disk"),
                ("catalogue", "find-entry", "entry", "catalogue"),
            ):
                shown = f"when-{view}"
                gr.HTML(render(SEARCH, words, hand=hand), elem_classes=shown)
                gr.HTML(region(list_of, follows=hand, first=first), elem_classes=shown)
            gr.HTML(region("coming"), elem_classes="when-get")
        with gr.Column(elem_classes="split-main", min_width=0):
            gr.HTML("".join(region(name, follows=follows) for name, follows in PARTS), elem_classes="when-disk")
            gr.HTML(region("entry", follows="entry"), elem_classes="when-catalogue")
            gr.HTML(render(FORMS, words), elem_classes="when-get")
            # "machine" is the doctor's, of the monitor; a region is known by its name alone.
            gr.HTML(region("machine", follows="models") + region("machine-sizes"), elem_classes="when-machine")

"""Load tests, the prompt recorder and the clients, each a part of the Deploy tab."""

import gradio as gr

from studio.core.i18n import Words
from studio.deploy.page.tools import client_view, load_test_view, recorder_view
from studio.deploy.page.tools.client_view import ProgramCache
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.web.html import ui
from studio.web.live import Live

# What is in hand, as an address names it (assets/address.js).
ADDRESS = {"serving": "engines", "load-test": "", "recorded": ""}
PARTS = "deploy/page/tools/serving_parts.html"


def add_regions(live: Live, context: ToolsContext) -> None:
    """Add the live regions of these parts."""
    cache = ProgramCache()
    live.add("load-test-form", (load_test_view.FORM, lambda *_: load_test_view.load_test_form(context)))
    live.add("load-tests", (load_test_view.LIST, lambda *_: load_test_view.load_test_list(context)))
    live.add("load-test", (load_test_view.VIEW, lambda _, id: load_test_view.load_test_view(context, id)))
    live.add("recorders", (recorder_view.SERVERS, lambda *_: recorder_view.recorder_servers(context)))
    live.add("recorded-list", (recorder_view.LIST, lambda *_: recorder_view.recorded_list(context)))
    live.add("recorded", (recorder_view.VIEW, lambda _, id: recorder_view.recorded_view(context, id)))
    live.add("open-webui", (client_view.WEBUI, lambda *_: client_view.open_webui_view(context)))
    live.add("program-targets", (client_view.CHOOSE, lambda *_: client_view.choices(context)))
    live.add("programs", (client_view.PROGRAMS, lambda _, target: client_view.programs(context, cache, target)))


def build(words: Words) -> None:
    """Build the parts in one language; the page shows the one that is in hand as `serving`."""
    macros = ui(words.language)
    with gr.Row(elem_classes="split serving serving-load"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(macros.region("load-tests"))
        with gr.Column(elem_classes="split-main", min_width=0):
            gr.HTML(macros.region("load-test-form"), elem_classes="when-load-test-new")
            gr.HTML(macros.region("load-test", follows="load-test"))
    with gr.Row(elem_classes="split serving serving-recorder"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(macros.region("recorded-list"))
        with gr.Column(elem_classes="split-main", min_width=0):
            gr.HTML(macros.region("recorders"))
            gr.HTML(macros.region("recorded", follows="recorded"))
    with gr.Column(elem_classes="plain-column serving serving-clients"):
        gr.HTML(macros.region("open-webui"))
        gr.HTML(macros.region("program-targets") + macros.region("programs", follows="program-target"))

"""The Train tab: the list of runs, the form of a new one, and all that is shown of the one in hand."""

import gradio as gr

from studio.core.i18n import Words
from studio.train.execution.training_service import TrainingService
from studio.train.page.form.tab_answers import Answers
from studio.train.page.form.tab_events import connect
from studio.train.page.form.tab_fields import Form
from studio.train.page.runs import cockpit
from studio.web.form_fields import FILLS
from studio.web.html import render
from studio.web.live import region

# What is in hand, as an address names it, with what it need not say (assets/address.js).
ADDRESS = {"run": "", "view": None, "compare": None, "compare-sort": None, "part": "curves"}


def build(training: TrainingService, words: Words) -> None:
    """Build the tab in one language."""
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(render(cockpit.LIST_TEMPLATE, words))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes=["when-new", FILLS]):
                form = Form(training, words)
                connect(form, Answers(training, words, form.keys))
            with gr.Column(elem_classes="when-run"):
                _cockpit(words)
            with gr.Column(elem_classes="when-compare"):
                gr.HTML(render(cockpit.COMPARE_TEMPLATE, words, cockpit.chart_words(words, cockpit.COMPARE_WORDS)))


def _cockpit(words: Words) -> None:
    gr.HTML(region("run", follows="run"))
    # Drawn, not gr.Tabs: the part that is open stays open over a reload, and the page has one row of tabs.
    gr.HTML(render(cockpit.PARTS_TEMPLATE, words, cockpit.Parts()))
    curves = render(cockpit.CURVES_TEMPLATE, words, cockpit.chart_words(words, cockpit.CURVE_WORDS))
    gr.HTML(curves, elem_classes="part part-curves")
    for part in cockpit.REGIONS:
        gr.HTML(region(part, follows="run"), elem_classes=f"part part-{part}")
    # Drawn by Evaluate and Export, which know runs; a region is known by its name alone.
    for part in ("run-evaluations", "run-exports"):
        gr.HTML(region(part, follows="run"), elem_classes="part part-checkpoints")

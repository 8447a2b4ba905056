"""The Evaluate tab: the list of evaluations, the form of a new one, and the report of the one in hand."""

import gradio as gr

from studio.core.i18n import Words
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.listing import evaluation_head, evaluation_list, of_run, own_metric_list, task_list
from studio.evaluate.page.report import row_view, side_view, summary_view
from studio.evaluate.page.tab_form import Form
from studio.web.form_fields import FILLS
from studio.web.html import render, ui
from studio.web.live import Live, region

PARTS = "evaluate/page/report/parts.html"
# What is in hand, as an address names it, with what it need not say (assets/address.js).
ADDRESS = {"evaluation": "", "report": "summary", "answers": None, "metric": None, "beside": None}


def add_regions(live: Live, context: EvaluateContext) -> None:
    """Add the live regions of this tab, and that of the run's own page."""
    regions = {
        "evaluations": (evaluation_list, evaluation_list.evaluation_list),
        "evaluation": (evaluation_head, evaluation_head.evaluation_head),
        "evaluation-summary": (summary_view, summary_view.summary_context),
        "evaluation-rows": (row_view, row_view.rows_context),
        "evaluation-beside": (side_view, side_view.side_context),
        "evaluation-metrics": (own_metric_list, own_metric_list.own_metric_list),
        "evaluation-tasks": (task_list, task_list.task_list),
        "run-evaluations": (of_run, of_run.of_run),
    }
    for name, (view, made) in regions.items():
        live.add(name, (view.TEMPLATE, lambda _words, arg, made=made: made(context, arg)))


def build(context: EvaluateContext, words: Words) -> None:
    """Build the tab in one language."""
    macros = ui(words.language)
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            search = macros.search("evaluation-find", words("evaluating.search"))
            gr.HTML(search + macros.region("evaluations", follows="evaluation-find", first="evaluation"))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes=["when-evaluate-new", FILLS]):
                Form(context, words)
            with gr.Column(elem_classes="when-evaluation"):
                gr.HTML(region("evaluation", follows="evaluation"))
                gr.HTML(render(PARTS, words))
                for part, follows in (("summary", "metric"), ("rows", "answers"), ("beside", "beside")):
                    gr.HTML(
                        region(f"evaluation-{part}", follows=f"evaluation {follows}"), elem_classes=f"report-{part}"
                    )

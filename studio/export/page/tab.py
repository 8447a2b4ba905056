"""The Export tab: the list of exports, the forms by which one is made, and the one in hand."""

from dataclasses import dataclass

import gradio as gr

from studio.core.i18n import Words
from studio.export.page.context import ExportContext
from studio.export.page.exported import card_view, costs_view, form_view, parity_view, push_view, record_view
from studio.export.page.listing import export_head, export_list, exports_of_run
from studio.export.page.tab_costs import CostsForm
from studio.export.page.tab_gguf import GgufForm
from studio.export.page.tab_merge import MergeForm
from studio.export.page.tab_quantize import QuantizeForm
from studio.export.page.tab_template import TemplateForm
from studio.web.form_fields import FILLS
from studio.web.html import render, ui
from studio.web.live import Live, region

ADDRESS = {"export": "", "making": "merge", "exported": "record"}
PARTS = "export/page/parts.html"
# What can be made, by its word and style sheet ("making-merge"): each form builds itself.
MAKING = {"merge": MergeForm, "gguf": GgufForm, "quantize": QuantizeForm, "costs": CostsForm, "template": TemplateForm}
# What is shown of an exported model: see `export_head.PARTS`.
EXPORTED = {
    "record": record_view.record_view,
    "card": card_view.card_view,
    "forms": form_view.form_view,
    "costs": costs_view.costs_view,
}
_VIEWS = {"record": record_view, "card": card_view, "forms": form_view, "costs": costs_view}


@dataclass(frozen=True)
class Making:
    """The forms that there are, in the order of their buttons."""

    parts: tuple[str, ...] = tuple(MAKING)


def add_regions(live: Live, context: ExportContext) -> None:
    """Add the live regions of this tab, and that of the run's own page."""
    regions = {
        "exports": (export_list.TEMPLATE, export_list.export_list),
        "export": (export_head.TEMPLATE, export_head.export_head),
        "export-parity": (parity_view.TEMPLATE, parity_view.parity_of_job),
        "export-same": (parity_view.TEMPLATE, parity_view.parity_of_model),
        "export-push-form": (push_view.FORM_TEMPLATE, push_view.push_form),
        "export-push": (push_view.TEMPLATE, push_view.push_view),
        "run-exports": (exports_of_run.TEMPLATE, exports_of_run.exports_of_run),
        **{f"export-{part}": (_VIEWS[part].TEMPLATE, made) for part, made in EXPORTED.items()},
    }
    for name, (template, made) in regions.items():
        live.add(name, (template, lambda _words, arg, made=made: made(context, arg)))


def build(context: ExportContext, words: Words) -> None:
    """Build the tab in one language."""
    macros = ui(words.language)
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            search = macros.search("export-find", words("export.search"))
            gr.HTML(search + macros.region("exports", follows="export-find"))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes="when-export-new"):
                gr.HTML(render(PARTS, words, Making()))
                for part, form in MAKING.items():
                    with gr.Column(elem_classes=["plain-column", "making", f"making-{part}", FILLS]):
                        form(context, words)
            with gr.Column(elem_classes="when-export"):
                gr.HTML(region("export", follows="export"))
                for part in EXPORTED:
                    gr.HTML(region(f"export-{part}", follows="export"), elem_classes=f"exported-{part}")
                gr.HTML(region("export-same", follows="export"), elem_classes="exported-forms")
                for part in ("export-push-form", "export-push"):
                    gr.HTML(region(part, follows="export"), elem_classes="exported-push")

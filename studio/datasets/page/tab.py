"""The Datasets tab: every dataset on the left; on the right the one in hand, or new data that is being brought in."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import gradio as gr

from studio.core.i18n import Words
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.add_data import new_data
from studio.datasets.page.analysis import check_report, length_histogram, new_sets, row_tokens
from studio.datasets.page.browse import dataset_head, dataset_list, entry_editor, row_list
from studio.datasets.registry.collection import Collection
from studio.web.html import render, ui
from studio.web.live import Live, region, taken

# What is in hand, as an address names it, with what it need not say (assets/address.js).
ADDRESS = {"data": "", "dataset": None, "section": "rows", "page": None, "sight": None}
SECTIONS = ("rows", "check", "tokens", "lengths", "split", "entry")
SECTIONS_TEMPLATE = "datasets/page/browse/sections.html"


@dataclass(frozen=True)
class Sections:
    """The parts of a dataset's page."""

    sections: tuple[str, ...] = SECTIONS


def add_regions(live: Live, analysis: DatasetAnalysis) -> None:
    """Add the live regions of this tab."""
    collection = analysis.collection
    regions = {
        "datasets": (dataset_list, lambda words, query: dataset_list.dataset_list(words, collection, query)),
        "dataset": (dataset_head, lambda words, name: dataset_head.dataset_head(words, collection, name)),
        "rows": (row_list, lambda words, arg: row_list.row_list(collection, arg)),
        "dataset-entry": (entry_editor, lambda words, name: entry_editor.entry_editor(collection, name)),
        "dataset-check": (check_report, lambda words, arg: check_report.check(words, analysis, arg)),
        "dataset-tokens": (row_tokens, lambda words, arg: row_tokens.tokens(analysis, arg)),
        "dataset-lengths": (length_histogram, lambda words, arg: length_histogram.lengths(words, analysis, arg)),
        "dataset-split": (new_sets, lambda words, name: new_sets.new_sets(words, analysis, name)),
        "source": (new_data, lambda words, arg: new_data.new_data(words, collection, arg)),
    }
    for name, (view, context) in regions.items():
        live.add(name, (view.TEMPLATE, context))


def build(collection: Collection, words: Words) -> None:
    """Build the tab in one language."""
    macros = ui(words.language)
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            search = macros.search("dataset-find", words("datasets.search"))
            gr.HTML(search + macros.region("datasets", follows="dataset-find", first="dataset"))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes="when-set"):
                gr.HTML(region("dataset", follows="dataset"))
                gr.HTML(render(SECTIONS_TEMPLATE, words, Sections()))
                follows = {"rows": "dataset page"} | dict.fromkeys(("check", "tokens", "lengths"), "dataset sight")
                for one in SECTIONS:
                    drawn = region("rows" if one == "rows" else f"dataset-{one}", follows=follows.get(one, "dataset"))
                    gr.HTML(drawn, elem_classes=f"section section-{one}")
            with gr.Column(elem_classes="when-add"):
                _add(collection, words)


def _add(collection: Collection, words: Words) -> None:
    gr.HTML(render(new_data.HEAD, words))
    with gr.Row(elem_classes="bring"):
        # Of any type: gradio refuses others without a word of why, where the region below says what can be read.
        dropped = gr.File(label=words("datasets.drop"), elem_id="dataset-drop", height=112)
        gr.HTML(render(new_data.FORMS, words))
    gr.HTML(region("source", follows="source"))
    handed = gr.HTML(visible="hidden")

    def on_drop(file: str) -> tuple[str, None]:
        """Take a file in hand, and leave the place to drop the next one on."""
        return taken("source", urlencode({"path": str(collection.drop(Path(file)))})), None

    dropped.upload(on_drop, dropped, [handed, dropped], api_name=False, queue=False, show_progress="hidden")

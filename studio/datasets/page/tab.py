"""The Datasets tab: every dataset on the left; on the right the one in hand, or new data that is being brought in."""

from pathlib import Path
from urllib.parse import urlencode

import gradio as gr

from studio.core.i18n import Words
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.files import reading
from studio.datasets.files.incoming import packed
from studio.datasets.page import add_panel, entry_panel, panel, study_panel
from studio.datasets.registry.collection import Collection
from studio.web.live import Live, region, taken


def add_regions(live: Live, analysis: DatasetAnalysis) -> None:
    """Add the live regions of this tab."""
    collection = analysis.collection
    live.add("datasets", lambda words, find: panel.draw_list(words, collection, find))
    live.add("dataset", lambda words, name: panel.draw_set(words, collection, name))
    live.add("rows", lambda words, arg: panel.draw_rows(words, collection, arg))
    live.add("dataset-entry", lambda words, name: entry_panel.draw_entry(words, collection, name))
    live.add("dataset-check", lambda words, arg: study_panel.draw_check(words, analysis, arg))
    live.add("dataset-tokens", lambda words, arg: study_panel.draw_tokens(words, analysis, arg))
    live.add("dataset-lengths", lambda words, arg: study_panel.draw_lengths(words, analysis, arg))
    live.add("dataset-split", lambda words, name: study_panel.draw_split(words, analysis, name))
    live.add("source", lambda words, arg: add_panel.draw_source(words, collection, arg))


def build(collection: Collection, words: Words) -> None:
    """Build the tab in one language."""
    search = (
        f'<input type="search" class="list-search" data-hand="dataset-find" placeholder="{words("datasets.search")}" '
        f'aria-label="{words("datasets.search")}">'
    )
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(search + region("datasets", follows="dataset-find", first="dataset"))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes="when-set"):
                gr.HTML(region("dataset", follows="dataset"))
                with gr.Tabs(elem_classes="inner"):
                    with gr.Tab(words("datasets.browse")):
                        gr.HTML(region("rows", follows="dataset page"))
                    for key in ("check", "tokens", "lengths"):
                        with gr.Tab(words(f"datasets.tab_{key}")):
                            gr.HTML(region(f"dataset-{key}", follows="dataset sight"))
                    with gr.Tab(words("datasets.tab_split")):
                        gr.HTML(region("dataset-split", follows="dataset"))
                    with gr.Tab(words("datasets.entry")):
                        gr.HTML(region("dataset-entry", follows="dataset"))
            with gr.Column(elem_classes="when-add"):
                _add(collection, words)


def _add(collection: Collection, words: Words) -> None:
    back = f'<button class="button" data-pick="data:set">{words("datasets.back")}</button>'
    gr.HTML(f'<header class="run-head"><h2>{words("datasets.add_data")}</h2><div class="actions">{back}</div></header>')
    with gr.Row(elem_classes="bring"):
        dropped = gr.File(
            label=words("datasets.drop"),
            file_types=[*reading.ENDINGS, *packed.ENDINGS],
            elem_id="dataset-drop",
            height=112,
        )
        gr.HTML(add_panel.place_form(words))
    gr.HTML(region("source", follows="source"))
    handed = gr.HTML(visible="hidden")

    def on_drop(file: str) -> str:
        return taken("source", urlencode({"path": str(collection.drop(Path(file)))}))

    dropped.upload(on_drop, dropped, handed, api_name=False, queue=False, show_progress="hidden")

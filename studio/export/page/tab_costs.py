"""The form of a comparison: which model's forms, on which rows."""

import gradio as gr

from studio.core.i18n import Problem, Words
from studio.export.page import form_sources
from studio.export.page.context import JOB, ExportContext
from studio.web.form_fields import PRESSED, fill_on_open, keep_offered
from studio.web.html import ui
from studio.web.live import taken


class CostsForm:
    """The form, in one language, with what its fields do."""

    def __init__(self, context: ExportContext, words: Words):
        self.context, self.words = context, words
        with gr.Row(elem_classes="form-head"):
            gr.HTML(str(ui(words.language).hint(words("export.about_costs"))))
            self.start = gr.Button(
                words("export.start_costs"), variant="primary", scale=0, min_width=120, elem_id="costs-start"
            )
        self.problem = gr.HTML(elem_id="costs-problem")
        with gr.Row(elem_classes="fields"):
            self.source = gr.Dropdown(
                [],
                value=None,
                label=words("export.costs_model"),
                info=words("export.costs_model_info"),
                elem_id="costs-model",
            )
            self.rows = gr.Dropdown(
                [(words("export.rows_usual"), "")],
                value="",
                label=words("export.rows"),
                info=words("export.rows_info"),
                elem_id="costs-rows",
            )
        self.made = gr.HTML(visible="hidden")
        self._connect()

    def _connect(self) -> None:
        fields = [self.source, self.rows]
        self.start.click(self._on_start, fields, [self.problem, self.made], **PRESSED)
        fill_on_open(self._on_open, [self.source, self.rows])
        keep_offered(self.source, self._sources)
        keep_offered(self.rows, self._rows)

    def _on_start(self, source, rows):
        try:
            job = self.context.forms.cost([source] if source else [], rows or "")
        except Problem as problem:
            return str(ui(self.words.language).problem(problem)), ""
        return "", taken("export", JOB + job.id)

    def _on_open(self):
        choices = self._sources()
        first = choices[0][1] if choices else None
        return gr.update(choices=choices, value=first), gr.update(choices=self._rows())

    def _sources(self):
        return form_sources.with_forms(self.context)

    def _rows(self):
        return form_sources.rows(self.context, self.words)

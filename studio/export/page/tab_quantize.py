"""The form of quantised weights: of which model, by which method, looking at which rows."""

import gradio as gr

from studio.core.i18n import Problem, Words
from studio.export.page import form_sources, merge_choices
from studio.export.page.context import JOB, ExportContext
from studio.export.quantize import gptq_libraries, methods, quantize_plan
from studio.web.form_fields import PRESSED, QUIET, fill_on_open, keep_draft, keep_offered
from studio.web.html import render, ui
from studio.web.live import taken

LOOK = "export/page/gguf_look.html"
USUAL = "bnb-4bit"


class QuantizeForm:
    """The form, in one language, with what its fields do."""

    def __init__(self, context: ExportContext, words: Words):
        self.context, self.words = context, words
        with gr.Row(elem_classes="form-head"):
            gr.HTML(str(ui(words.language).hint(words("export.about_quantize"))))
            self.start = gr.Button(
                words("export.start_quantize"), variant="primary", scale=0, min_width=120, elem_id="quantize-start"
            )
        self.problem = gr.HTML(elem_id="quantize-problem")
        self.targets = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label=words("export.sources"),
            info=words("export.sources_of_form"),
            elem_id="quantize-sources",
        )
        self.method = gr.Radio(
            form_sources.methods(words), value=USUAL, label=words("export.method"), elem_id="quantize-method"
        )
        gr.HTML(str(ui(words.language).hint(words("quantize.awq"))), elem_classes="greyed")
        with gr.Row(elem_classes="fields"):
            self.calibration = gr.Dropdown(
                [(words("export.data_of_run"), "")],
                value="",
                label=words("export.calibration"),
                info=words("export.calibration_of_gptq"),
                elem_id="quantize-calibration",
            )
            self.name = gr.Textbox(label=words("export.name"), info=words("export.name_info"), elem_id="quantize-name")
        self.look = gr.HTML(elem_id="quantize-look")
        self.made = gr.HTML(visible="hidden")
        self._connect()

    def _connect(self) -> None:
        fields = [self.targets, self.method, self.calibration, self.name]
        told = [self.problem, self.made, self.look]
        self.start.click(self._on_start, fields, told, **PRESSED)
        fill_on_open(self._on_open, [self.targets, self.calibration, self.look])
        keep_offered(self.targets, self._sources, [self.targets])
        keep_offered(self.calibration, self._calibrations)
        changes = [one.input for one in (self.targets, self.method, self.calibration)]
        gr.on([*changes, self.name.blur], self._on_look, fields, self.look, **QUIET)
        kept = {one.elem_id: one for one in fields}
        offered = {self.targets.elem_id: lambda: self._sources([]), self.calibration.elem_id: self._calibrations}
        keep_draft("quantize", kept, self.made, offered).then(self._on_look, fields, self.look, **QUIET)

    def _on_start(self, targets, method, calibration, name):
        try:
            job = self.context.forms.quantize(targets or [], method or "", calibration or "", name or "")
        except Problem as problem:
            return self._told(problem), "", ""  # what the look says of it too stands once
        return "", taken("export", JOB + job.id), gr.skip()

    def _on_open(self):
        chosen = merge_choices.first_source(self.context)
        sources = gr.update(choices=self._sources(chosen), value=chosen)
        return sources, gr.update(choices=self._calibrations()), self._on_look(chosen, USUAL, "", "")

    def _sources(self, chosen):
        return merge_choices.sources(self.context, chosen)

    def _calibrations(self):
        return form_sources.calibrations(self.context, self.words)

    def _on_look(self, targets, method, calibration, name) -> str:
        if not targets:
            return ""
        try:
            plan = quantize_plan.plan(self.context.workspace, targets, method or "", calibration or "", name or "")
            needed = quantize_plan.size(self.context.workspace, plan)
        except Problem as problem:
            return self._told(problem)
        wanted = methods.find(plan.method).own_libraries and not gptq_libraries.is_ready()
        megabytes = gptq_libraries.MEGABYTES if wanted else 0
        return str(render(LOOK, self.words, form_sources.FormLook.of(plan, needed, megabytes)))

    def _told(self, problem: Problem) -> str:
        return str(ui(self.words.language).problem(problem))

"""The form of a comparison: any model with any of LLaMA-Factory's templates, in the forms of the engines."""

import gradio as gr

from studio.core import llamafactory
from studio.core.i18n import Problem, Words
from studio.export.page.context import ExportContext
from studio.export.template_forms.parity_record import FORMS
from studio.inference import target_names
from studio.models.chat_template_match import template_match
from studio.web.form_fields import PRESSED, QUIET, fill_on_open, keep_offered
from studio.web.html import ui
from studio.web.live import region, taken


class TemplateForm:
    """The form, in one language, with the newest comparison below it."""

    def __init__(self, context: ExportContext, words: Words):
        self.context, self.words = context, words
        with gr.Row(elem_classes="form-head"):
            gr.HTML(str(ui(words.language).hint(words("export.about_template"))))
            self.start = gr.Button(
                words("export.start_template"), variant="primary", scale=0, min_width=120, elem_id="parity-start"
            )
        self.problem = gr.HTML(elem_id="parity-problem")
        with gr.Row(elem_classes="fields"):
            self.model = gr.Dropdown(
                [], label=words("export.model"), info=words("export.model_info"), elem_id="parity-model"
            )
            self.template = gr.Dropdown(
                [(words("export.own_choice"), "")],
                value="",
                label=words("export.template"),
                info=words("export.template_info"),
                elem_id="parity-template",
            )
        self.forms = gr.CheckboxGroup([], label=words("export.forms"), elem_id="parity-forms")
        self.missing = gr.HTML(elem_id="parity-missing")
        gr.HTML(region("export-parity", follows="parity"))
        self.made = gr.HTML(visible="hidden")
        self.given = gr.Textbox(visible="hidden", elem_id="parity-given")
        self._connect()

    def _connect(self) -> None:
        fields = [self.model, self.template, self.forms]
        self.start.click(self._on_start, fields, [self.problem, self.made], **PRESSED)
        fill_on_open(self._on_open, [self.model, self.forms, self.missing])
        keep_offered(self.model, self._models, [self.model])
        self.model.input(self._on_model, self.model, [self.forms, self.missing], **QUIET)
        keep_offered(self.template, self._templates)
        self.given.input(self._on_given, self.given, [self.model, self.template, self.forms, self.missing], **QUIET)

    def _on_start(self, model, template, forms):
        try:
            if not model:
                raise Problem("export.no_model")
            if not forms:
                raise Problem("export.no_forms")
            job = self.context.templates.start(model, template or "", forms)
        except Problem as problem:
            return str(ui(self.words.language).problem(problem)), ""
        return "", taken("parity", job.id)

    def _on_open(self):
        found = self._models()
        names = [name for _, name in found]
        first = next((name for name in names if target_names.is_run(name)), next(iter(names), None))
        return gr.update(choices=found, value=first), *self._on_model(first)

    def _on_model(self, model):
        """Return the forms that can be compared of a model, and why others cannot."""
        if not model:
            return gr.update(choices=[], value=[]), ""
        try:
            known = self.context.templates.forms(model)
        except Problem as problem:
            return gr.update(choices=[], value=[]), str(ui(self.words.language).problem(problem))
        fetched = self.context.templates.on_demand()
        choices = [(self.words(f"templates.form_{form}"), form) for form in FORMS if form in (*known, *fetched)]
        hints = [self.words(f"templates.fetches_{form}") for form in fetched]
        return gr.update(choices=choices, value=known), "".join(str(ui(self.words.language).hint(one)) for one in hints)

    def _templates(self):
        llamafactory.load()
        return [(self.words("export.own_choice"), ""), *sorted(template_match.shipped())]

    def _on_given(self, given: str):
        """Take a model from elsewhere on the page."""
        return gr.update(choices=self._models(given), value=given), "", *self._on_model(given)

    def _models(self, chosen: str | None = None) -> list[tuple[str, str]]:
        workspace = self.context.workspace
        return target_names.choices(workspace, [*target_names.names(workspace), *([chosen] if chosen else [])])

"""The form of a merge: what, into which type, called how; what it takes is said before it is started."""

import gradio as gr

from studio.core.i18n import Problem, Words
from studio.export.merge import merge_plan as plans
from studio.export.page import merge_choices
from studio.export.page.context import JOB, ExportContext
from studio.web.form_fields import PRESSED, QUIET, fill_on_open, keep_draft, keep_offered
from studio.web.html import render, ui
from studio.web.live import taken

LOOK = "export/page/merge_look.html"


class MergeForm:
    """The form, in one language, with what its fields do."""

    def __init__(self, context: ExportContext, words: Words):
        self.context, self.words = context, words
        with gr.Row(elem_classes="form-head"):
            gr.HTML(str(ui(words.language).hint(words("export.about_merge"))))
            self.start = gr.Button(
                words("export.start_merge"), variant="primary", scale=0, min_width=120, elem_id="export-start"
            )
        self.problem = gr.HTML(elem_id="export-problem")
        self.targets = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label=words("export.sources"),
            info=words("export.sources_info"),
            elem_id="export-sources",
        )
        with gr.Row(elem_classes="fields"):
            self.name = gr.Textbox(
                label=words("export.name"), info=words("export.name_info"), max_lines=1, elem_id="export-name"
            )
            self.precision = gr.Dropdown(
                merge_choices.precisions(words),
                value="",
                label=words("export.precision"),
                info=words("export.precision_info"),
                elem_id="export-precision",
            )
            self.shard = gr.Number(
                5, label=words("export.shard"), info=words("export.shard_info"), precision=0, elem_id="export-shard"
            )
            self.device = gr.Dropdown(
                [(words(f"export.device_{one}"), one) for one in ("cpu", "auto")],
                value="cpu",
                label=words("export.device"),
                info=words("export.device_info"),
                elem_id="export-device",
            )
        self.look = gr.HTML(elem_id="export-look")
        self.made = gr.HTML(visible="hidden")
        self.given = gr.Textbox(visible="hidden", elem_id="export-given")
        self._connect()

    def _connect(self) -> None:
        fields = [self.targets, self.name, self.precision, self.shard, self.device]
        told = [self.problem, self.made, self.look]
        self.start.click(self._on_start, fields, told, **PRESSED)
        fill_on_open(self._on_open, [self.targets, self.name, self.look])
        keep_offered(self.targets, self._sources, [self.targets])
        gr.on([self.targets.input], self._on_targets, fields, [self.name, self.look], **QUIET)
        changes = [self.name.blur, self.precision.input, self.shard.blur, self.device.input]
        gr.on(changes, self._on_look, fields, self.look, **QUIET)
        kept = {one.elem_id: one for one in fields}
        put_back = keep_draft("merge", kept, self.made, {self.targets.elem_id: lambda: self._sources([])})
        put_back.then(self._on_targets, fields, [self.name, self.look], **QUIET)
        self.given.input(self._on_given, self.given, [self.targets, self.name, self.look, self.problem], **QUIET)

    def _on_start(self, targets, name, precision, shard, device):
        try:
            job = self.context.service.merge(targets or [], name or "", precision, merge_choices.whole(shard), device)
        except Problem as problem:
            return self._told(problem), "", ""  # what the look says of it too stands once
        return "", taken("export", JOB + job.id), gr.skip()

    def _on_open(self):
        return self._filled(merge_choices.first_source(self.context))

    def _sources(self, chosen):
        return merge_choices.sources(self.context, chosen)

    def _on_targets(self, targets, name, precision, shard, device):
        free, look = self._looked(targets or [], "", precision, shard, device)
        if name:
            look = self._looked(targets or [], name, precision, shard, device)[1]
        return gr.update(placeholder=free), look

    def _on_look(self, targets, name, precision, shard, device):
        return self._looked(targets or [], name or "", precision, shard, device)[1]

    def _on_given(self, given: str):
        """Take a run, a checkpoint or a model from elsewhere on the page; the name that was typed was of another."""
        try:
            chosen = [merge_choices.require_known(self.context, given)]
        except Problem as problem:
            return gr.skip(), gr.skip(), gr.skip(), self._told(problem)
        targets, name, look = self._filled(chosen)
        return targets, name | {"value": ""}, look, ""

    def _filled(self, chosen: list[str]):
        """Choose, and show the name that is made where none is typed: in the field's ground, not as its value."""
        choices = merge_choices.sources(self.context, chosen)
        free, look = self._looked(chosen, "", "", 5, "cpu")
        return gr.update(choices=choices, value=chosen), gr.update(placeholder=free), look

    def _looked(self, targets: list[str], name: str, precision, shard, device) -> tuple[str, str]:
        """Return the name of what comes out, and what the merge will be."""
        if not targets:
            return "", ""
        try:
            plan = plans.plan(self.context.workspace, targets, name, precision, merge_choices.whole(shard), device)
            look = merge_choices.merge_look(self.context, plan)
        except Problem as problem:
            return name, self._told(problem)
        return look.name, str(render(LOOK, self.words, look))

    def _told(self, problem: Problem) -> str:
        return str(ui(self.words.language).problem(problem))

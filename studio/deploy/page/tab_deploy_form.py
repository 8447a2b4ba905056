"""The form of a new deployment: what, behind which engine, where, and Start."""

import gradio as gr

from studio.core.i18n import Problem, Words
from studio.deploy import served_source
from studio.deploy.deploy_service import DeployService
from studio.deploy.deploy_settings import LOCAL, DeploySettings
from studio.deploy.page import command_view, engine_choices
from studio.deploy.page.schemas import DeployOptions
from studio.inference import target_names
from studio.train.recipe.recipes import STARTER_MODEL
from studio.web import schema
from studio.web.form_fields import PRESSED, QUIET, first_seen, keep_draft, keep_offered, told_by_label
from studio.web.html import render, ui
from studio.web.live import region, taken

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104
DEFAULT = DeploySettings()
FIRST = "llamafactory"


class Form:
    """The form, in one language, with what its fields do."""

    def __init__(self, service: DeployService, words: Words):
        self.service, self.words = service, words
        self.fields: dict[str, gr.components.Component] = {}
        with gr.Row(elem_classes="form-head"):
            gr.HTML(str(ui(words.language).hint(words("deploying.what"))) + region("pace", "chat"))
            self.start = gr.Button(
                words("deploying.start"), variant="primary", scale=0, min_width=120, elem_id="deploy-start"
            )
        self.problem = gr.HTML(elem_id="deploy-problem")
        self._what()
        self._where()
        self._how()
        with gr.Row(elem_classes="fields"):
            self.show = gr.Button(
                words("deploying.show_command"), size="sm", scale=0, min_width=160, elem_id="deploy-show"
            )
        self.command = gr.HTML(elem_id="deploy-command")
        self.made = gr.HTML(visible="hidden")
        self.given = gr.Textbox(visible="hidden", elem_id="deploy-given")
        self._connect()

    def _what(self) -> None:
        words = self.words
        self.target = gr.Dropdown(
            self._targets(STARTER_MODEL),
            value=STARTER_MODEL,
            label=words("deploying.target"),
            info=words("deploying.target_info"),
            elem_id="deploy-target",
        )
        self.engine = gr.Radio(
            [(one.title, one.name) for one in self.service.engines.values()],
            value=FIRST,
            label=words("deploying.engine"),
            info=words(f"deploying.about_{FIRST.replace('.', '_')}"),
            elem_id="deploy-engine",
        )
        self.choices = gr.HTML(elem_id="deploy-choices")
        gr.HTML(region("deploy-engines"))

    def _where(self) -> None:
        words = self.words
        with gr.Row(elem_classes="fields"):
            self.fields["name"] = self._text("name")
            self.fields["port"] = self._number("port")
            self.fields["host"] = gr.Dropdown(
                [(words("deploying.host_here"), LOCAL), (words("deploying.host_all"), ALL_ADDRESSES)],
                value=LOCAL,
                allow_custom_value=True,
                label=words("deploying.host"),
                info=words("deploying.host_info"),
                elem_id="deploy-host",
            )
            self.fields["key"] = self._text("key", type="password")

    def _how(self) -> None:
        words = self.words
        with gr.Row(elem_classes="fields"):
            self.fields["context"] = self._number("context")
            self.fields["parallel"] = self._number("parallel")
            self.fields["memory_share"] = gr.Slider(
                0.05,
                1.0,
                DEFAULT.memory_share,
                step=0.05,
                label=words("deploying.memory_share"),
                info=words("deploying.memory_share_info"),
                elem_id="deploy-memory-share",
            )
            self.fields["gpu_layers"] = self._number("gpu_layers")
            self.fields["precision"] = gr.Dropdown(
                [
                    (words(f"evaluating.precision_{one or 'any'}"), one)
                    for one in ("", "float32", "bfloat16", "float16")
                ],
                value="",
                label=words("evaluating.precision"),
                elem_id="deploy-precision",
            )
            self.fields["bits"] = gr.Dropdown(
                [(words("chat.bits_none"), 0), (words("chat.bits_4"), 4), (words("chat.bits_8"), 8)],
                value=0,
                label=words("chat.bits"),
                elem_id="deploy-bits",
            )
        self.fields["prompt_of"] = gr.Dropdown(
            self._prompts(),
            value="",
            label=words("deploying.prompt_of"),
            info=words("deploying.prompt_of_info"),
            elem_id="deploy-prompt-of",
        )
        self.fields["adapters"] = gr.Dropdown(
            self._runs(),
            value=[],
            multiselect=True,
            label=words("deploying.adapters"),
            info=words("deploying.adapters_info"),
            elem_id="deploy-adapters",
        )
        with gr.Accordion(words("deploying.more"), open=False):
            with gr.Row(elem_classes="fields"):
                self.fields["devices"] = self._text("devices")
                self.fields["tensor_parallel"] = self._number("tensor_parallel")
                self.fields["pipeline_parallel"] = self._number("pipeline_parallel")
                self.fields["data_parallel"] = self._number("data_parallel")
                self.fields["nodes"] = self._number("nodes")
                self.fields["restarts"] = self._number("restarts")
                self.fields["eager"] = gr.Checkbox(
                    DEFAULT.eager,
                    label=words("deploying.eager"),
                    info=words("deploying.eager_info"),
                    elem_id="deploy-eager",
                )

    def _number(self, name: str) -> gr.Number:
        return gr.Number(
            getattr(DEFAULT, name),
            precision=0,
            label=self.words(f"deploying.{name}"),
            info=self.words(f"deploying.{name}_info"),
            elem_id=f"deploy-{name.replace('_', '-')}",
        )

    def _text(self, name: str, **more: object) -> gr.Textbox:
        return gr.Textbox(
            label=self.words(f"deploying.{name}"),
            info=self.words(f"deploying.{name}_info"),
            elem_id=f"deploy-{name.replace('_', '-')}",
            **more,
        )

    def _targets(self, chosen: str | None = None) -> list[tuple[str, str]]:
        known = [*target_names.names(self.service.workspace), *served_source.gguf_files(self.service.workspace)]
        return target_names.choices(self.service.workspace, [*known, *([chosen] if chosen else [])])

    def _prompts(self) -> list[tuple[str, str]]:
        """Return whose prompt a file can be served with."""
        workspace = self.service.workspace
        return [
            (self.words("deploying.prompt_own"), ""),
            *target_names.choices(workspace, target_names.names(workspace)),
        ]

    def _runs(self) -> list[str]:
        return [one for one in target_names.names(self.service.workspace) if target_names.is_run(one)]

    def _connect(self) -> None:
        entered = [self.target, self.engine, *self.fields.values()]
        self.start.click(self._on_start, entered, [self.problem, self.made], **PRESSED)
        self.show.click(self._on_show, entered, [self.problem, self.command], **PRESSED)
        seen = first_seen()
        keep_offered(self.target, self._targets, [self.target], [seen])
        gr.on(
            [self.target.change, seen],
            self._on_choice,
            [self.target, self.fields["prompt_of"]],
            [self.choices, self.fields["prompt_of"]],
            **QUIET,
        )
        shown = [self.fields[name] for name in self._depending()]
        gr.on([self.engine.change, seen], self._on_engine, self.engine, [self.engine, *shown], **QUIET)
        keep_offered(self.fields["adapters"], self._runs)
        keep_offered(self.fields["prompt_of"], self._prompts)
        kept = {"target": self.target, "engine": self.engine} | self.fields
        del kept["key"]  # a secret
        offered = {"target": self._targets, "adapters": self._runs, "prompt_of": self._prompts}
        keep_draft("deployment", kept, self.made, offered)
        self.given.input(self._on_given, self.given, self.target, **QUIET)

    def _depending(self) -> list[str]:
        """Return the fields that not every engine has."""
        return [name for name in self.fields if any(name in one.fields for one in self.service.engines.values())]

    def _options(self, values) -> DeployOptions:
        """Return what was entered. Raises Problem with the first field that is wrong."""
        entered = dict(zip(self.fields, values, strict=True))
        entered = {name: value for name, value in entered.items() if value is not None}
        entered["devices"] = [one for one in str(entered.get("devices", "")).replace(",", " ").split() if one]
        entered["adapters"] = {target_names.short(one).replace("@", "-"): one for one in entered.get("adapters", [])}
        with told_by_label(self.fields):
            return schema.taken(DeployOptions, entered, "options")

    def _on_start(self, target, engine, *values):
        try:
            options = self._options(values)
            made = self.service.start(engine, target or "", DeploySettings(**_stored(options)), options.key)
        except Problem as problem:
            return str(ui(self.words.language).problem(problem)), ""
        return "", taken("deployment", made.name)

    def _on_show(self, target, engine, *values):
        try:
            options = self._options(values)
            made = self.service.preview(engine, target or "", DeploySettings(**_stored(options)), options.key)
        except Problem as problem:
            return str(ui(self.words.language).problem(problem)), ""
        return "", render(command_view.TEMPLATE, self.words, command_view.command_view(made))

    def _on_choice(self, target, prompt_of):
        is_gguf = (target or "").lower().endswith(served_source.GGUF)
        context = engine_choices.engine_choices(self.service, target or "", prompt_of or "")
        return render(engine_choices.TEMPLATE, self.words, context), gr.update(visible=is_gguf)

    def _on_engine(self, engine):
        fields = self.service.engines[engine].fields
        about = gr.update(info=self.words(f"deploying.about_{engine.replace('.', '_')}"))
        return [about, *(gr.update(visible=name in fields) for name in self._depending())]

    def _on_given(self, target: str):
        """Take what is to be served from elsewhere on the page."""
        return gr.update(choices=self._targets(target), value=target)


def _stored(options: DeployOptions) -> dict[str, object]:
    return {name: value for name, value in options.model_dump().items() if name in DeploySettings.model_fields}

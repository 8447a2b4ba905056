"""The form of a new evaluation: who, on what, how, and Start."""

import gradio as gr

from studio.core.i18n import Problem, Words
from studio.evaluate.page import form_choices
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.settings import BenchmarkSettings, PredictSettings
from studio.inference.target_names import MOST, with_base
from studio.train.recipe.recipes import STARTER_MODEL
from studio.web.form_fields import PRESSED, QUIET, fill_on_open, first_seen, keep_draft, keep_offered, told_by_label
from studio.web.html import ui
from studio.web.live import region, taken

CHECKPOINTS = "checkpoints:"  # begins what the page gives where all checkpoints of a run are wanted
PREDICT, BENCHMARK = PredictSettings(), BenchmarkSettings()


class Form:
    """The form, in one language, with what its fields do."""

    def __init__(self, context: EvaluateContext, words: Words):
        self.context, self.words = context, words
        self.fields: dict[str, gr.components.Component] = {}
        with gr.Row(elem_classes="form-head"):
            gr.HTML(self._heading())
            self.start = gr.Button(
                words("evaluating.start"), variant="primary", scale=0, min_width=120, elem_id="evaluate-start"
            )
        self.problem = gr.HTML(elem_id="evaluate-problem")
        self._what()
        self._predict()
        self._benchmark()
        self._more()
        self.made = gr.HTML(visible="hidden")
        self.given = gr.Textbox(visible="hidden", elem_id="evaluate-given")
        self._connect()

    def _heading(self) -> str:
        return str(ui(self.words.language).hint(self.words("evaluating.what"))) + region("pace", "work")

    def _what(self) -> None:
        words = self.words
        self.kind = gr.Radio(
            [(words(f"evaluating.ask_{kind}"), kind) for kind in form_choices.KINDS],
            value="predict",
            label=words("evaluating.kind"),
            elem_id="evaluate-kind",
        )
        self.targets = gr.Dropdown(
            form_choices.models(self.context, [STARTER_MODEL]),
            value=[STARTER_MODEL],
            multiselect=True,
            max_choices=MOST,
            label=words("evaluating.models"),
            info=words("evaluating.models_info", most=MOST),
            elem_id="evaluate-models",
        )
        self.run = gr.Dropdown(
            form_choices.runs_with_checkpoints(self.context),
            value=None,
            visible=False,
            label=words("evaluating.run"),
            info=words("evaluating.run_info"),
            elem_id="evaluate-run",
        )

    def _predict(self) -> None:
        words = self.words
        with gr.Column(elem_classes="plain-column") as self.of_predict:
            self.datasets = gr.Dropdown(
                form_choices.data(self.context, words),
                value=[],
                multiselect=True,
                label=words("evaluating.data"),
                info=words("evaluating.data_info"),
                elem_id="evaluate-data",
            )
            self.fields["preset"] = gr.Radio(
                [(words(f"evaluating.preset_{one}"), one) for one in ("reproducible", "llamafactory")],
                value="reproducible",
                label=words("evaluating.preset"),
                elem_id="evaluate-preset",
            )
            with gr.Row(elem_classes="fields"):
                self.fields["answers"] = self._tick("answers", PREDICT.answers)
                self.fields["loss"] = self._tick("loss", PREDICT.loss)
                self.fields["max_tokens"] = self._number("max_tokens", PREDICT.max_tokens)
            with gr.Accordion(words("evaluating.metrics"), open=False) as self.of_metrics:
                self.fields["metrics"] = gr.CheckboxGroup(
                    form_choices.metrics(self.context, words),
                    value=[],
                    label=words("evaluating.metrics_info"),
                    elem_id="evaluate-metrics",
                )
                with gr.Row(elem_classes="fields"):
                    self.fields["labels"] = self._text("labels")
                    self.fields["pattern"] = self._text("pattern")
                with gr.Accordion(words("evaluating.own_metrics"), open=False):
                    gr.HTML(region("evaluation-metrics"))
            with gr.Accordion(words("evaluating.judge"), open=False):
                self.fields["judge"] = gr.Dropdown(
                    [(words("evaluating.no_judge"), ""), *form_choices.models(self.context)],
                    value="",
                    label=words("evaluating.judge_target"),
                    info=words("evaluating.judge_info"),
                    elem_id="evaluate-judge",
                )
                self.fields["judge_prompt"] = self._text("judge_prompt", lines=4)

    def _benchmark(self) -> None:
        words = self.words
        with gr.Column(elem_classes="plain-column", visible=False) as self.of_benchmark:
            self.tasks = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                allow_custom_value=True,
                label=words("evaluating.tasks"),
                info=words("evaluating.tasks_info"),
                elem_id="evaluate-tasks",
            )
            with gr.Row(elem_classes="fields"):
                self.fields["shots"] = self._number("shots", BENCHMARK.shots)
                self.fields["language"] = self._choice(
                    "language", {"": "language_any", "en": "language_en", "zh": "language_zh"}
                )
                self.fields["method"] = self._choice(
                    "method", {"llamafactory": "method_llamafactory", "harness": "method_harness"}
                )
            gr.HTML(region("evaluation-tasks"))

    def _more(self) -> None:
        words = self.words
        with gr.Row(elem_classes="fields"):
            self.fields["rows"] = self._number("rows", PREDICT.rows)
            self.fields["choose"] = self._choice("choose", {"first": "choose_first", "drawn": "choose_drawn"})
            self.fields["title"] = self._text("title")
            self.fields["note"] = self._text("note")
        with gr.Accordion(words("evaluating.more"), open=False):
            with gr.Row(elem_classes="fields"):
                self.fields["seed"] = self._number("seed", PREDICT.seed)
                self.fields["batch"] = self._number("batch", PREDICT.batch)
                self.fields["cutoff"] = self._number("cutoff", None)
                self.fields["bits"] = gr.Dropdown(
                    [(words("chat.bits_none"), 0), (words("chat.bits_4"), 4), (words("chat.bits_8"), 8)],
                    value=0,
                    label=words("chat.bits"),
                    elem_id="evaluate-bits",
                )
                self.fields["precision"] = self._choice(
                    "precision",
                    {
                        "": "precision_any",
                        "float32": "precision_float32",
                        "bfloat16": "precision_bfloat16",
                        "float16": "precision_float16",
                    },
                )

    def _number(self, name: str, value: int | None) -> gr.Number:
        return gr.Number(
            value,
            label=self.words(f"evaluating.{name}"),
            info=self.words(f"evaluating.{name}_info"),
            elem_id=f"evaluate-{name.replace('_', '-')}",
        )

    def _text(self, name: str, **more: object) -> gr.Textbox:
        return gr.Textbox(
            label=self.words(f"evaluating.{name}"),
            info=self.words(f"evaluating.{name}_info"),
            elem_id=f"evaluate-{name.replace('_', '-')}",
            **more,
        )

    def _tick(self, name: str, value: bool) -> gr.Checkbox:
        return gr.Checkbox(
            value,
            label=self.words(f"evaluating.{name}"),
            info=self.words(f"evaluating.{name}_info"),
            elem_id=f"evaluate-{name}",
        )

    def _choice(self, name: str, named: dict[str, str]) -> gr.Dropdown:
        words = self.words
        return gr.Dropdown(
            [(words(f"evaluating.{word}"), value) for value, word in named.items()],
            value=next(iter(named)),
            label=words(f"evaluating.{name}"),
            elem_id=f"evaluate-{name}",
        )

    def _connect(self) -> None:
        who = [self.kind, self.targets, self.run, self.datasets, self.tasks]
        self.start.click(self._on_start, [*who, *self.fields.values()], [self.problem, self.made], **PRESSED)
        self.kind.change(
            self._on_kind, self.kind, [self.targets, self.run, self.of_predict, self.of_benchmark], **QUIET
        )
        seen = first_seen()
        fill_on_open(self._on_open, [self.targets, self.datasets])
        keep_offered(self.targets, self._models, [self.targets])
        keep_offered(self.datasets, self._data, [self.datasets])
        keep_offered(self.tasks, self._tasks, [self.tasks], [seen])
        keep_offered(self.run, self._runs, also=[seen])
        keep_offered(self.fields["judge"], self._judges)
        gr.on([self.of_metrics.expand, seen], self._on_metrics, None, self.fields["metrics"], **QUIET)
        keep_draft(
            "evaluation",
            {
                "kind": self.kind,
                "targets": self.targets,
                "run": self.run,
                "datasets": self.datasets,
                "tasks": self.tasks,
            }
            | self.fields,
            self.made,
            {
                "targets": lambda: self._models([]),
                "run": self._runs,
                "datasets": lambda: self._data([]),
                "tasks": lambda: self._tasks([]),
                "judge": self._judges,
                "metrics": lambda: form_choices.metrics(self.context, self.words),
            },
        )
        self.given.input(self._on_given, self.given, [self.kind, self.targets, self.run, self.problem], **QUIET)

    def _on_start(self, kind, targets, run, datasets, tasks, *values):
        fields = dict(zip(self.fields, values, strict=True))
        service = self.context.service
        try:
            with told_by_label(self.fields):
                if kind == "benchmark":
                    made = service.benchmark(targets or [], tasks or [], form_choices.benchmark_options(fields))
                elif kind == "checkpoints":
                    made = service.checkpoints(run or "", datasets or [], form_choices.predict_options(fields))
                else:
                    made = service.predict(targets or [], datasets or [], form_choices.predict_options(fields))
        except Problem as problem:
            return str(ui(self.words.language).problem(problem)), ""
        return "", taken("evaluation", made.id)

    def _on_kind(self, kind):
        is_of_run = kind == "checkpoints"
        shown = (not is_of_run, is_of_run, kind != "benchmark", kind == "benchmark")
        return [gr.update(visible=one) for one in shown]

    def _on_open(self):
        """Offer what is here, the newest run chosen already, and the part that it held out."""
        targets, datasets = form_choices.first_choice(self.context)
        return (
            gr.update(choices=form_choices.models(self.context, targets), value=targets),
            gr.update(choices=form_choices.data(self.context, self.words, datasets), value=datasets),
        )

    def _models(self, chosen):
        return form_choices.models(self.context, chosen)

    def _data(self, chosen):
        return form_choices.data(self.context, self.words, chosen)

    def _tasks(self, chosen):
        return form_choices.benchmarks(self.context, self.words, chosen)

    def _runs(self):
        return form_choices.runs_with_checkpoints(self.context)

    def _on_metrics(self):
        return gr.update(choices=form_choices.metrics(self.context, self.words))

    def _judges(self):
        return [(self.words("evaluating.no_judge"), ""), *form_choices.models(self.context)]

    def _on_given(self, given: str):
        """Take a run, or all of its checkpoints, from elsewhere on the page."""
        run = given.removeprefix(CHECKPOINTS)
        try:
            targets = with_base(self.context.service.workspace, run)
        except Problem as problem:
            return gr.skip(), gr.skip(), gr.skip(), str(ui(self.words.language).problem(problem))
        if given.startswith(CHECKPOINTS):
            choices = form_choices.runs_with_checkpoints(self.context)
            return "checkpoints", gr.skip(), gr.update(choices=choices, value=run), ""
        return "predict", gr.update(choices=form_choices.models(self.context, targets), value=targets), gr.skip(), ""

"""The boxes of the form, from top to bottom of the page."""

from collections.abc import Callable

import gradio as gr

from studio.core.i18n import Words
from studio.train.execution.training_service import TrainingService
from studio.train.loop import samples
from studio.train.page.form import form_recipe
from studio.train.recipe import dataset_choices, recipes, saved_recipes
from studio.train.runs import adapters
from studio.web.form_fields import first_seen
from studio.web.html import render
from studio.web.live import region

HEAD_TEMPLATE = "train/page/form/form_head.html"
RESET_TEMPLATE = "train/page/form/form_reset.html"
GROUP_TEMPLATE = "train/page/form/form_group.html"
SCHEDULERS = ["cosine", "linear", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial"]
OF_RUNS = ("reward_model", "adapter_name_or_path")  # boxes that list what runs have trained
JUDGED_AGAIN_S = 4
OF_LEARNING = ("learning_rate", "lr_scheduler_type", "warmup_steps", "max_grad_norm")
OF_LENGTH = ("num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "cutoff_len")
OF_ADAPTER = ("lora_rank", "lora_alpha", "lora_dropout")
OF_WATCHING = ("val_size", "save_steps", "logging_steps", "seed")
# Numbers whose sizes differ by factors: an arrow key doubles or halves them (assets/form.js). The others go by steps.
BY_FACTORS = (*OF_LENGTH[1:], "learning_rate", "lora_rank", "lora_alpha")
STEPS = {"lora_dropout": 0.05, "val_size": 0.05, "max_grad_norm": 0.1}


class Form:
    """The boxes of the form of a new run. `fields` are those that hold a setting of LLaMA-Factory, by its name."""

    def __init__(self, training: TrainingService, words: Words):
        self.training, self.words, self.workspace = training, words, training.workspace
        self.standard = recipes.defaults()
        self.fields: dict[str, gr.Component] = {}
        gr.HTML(render(HEAD_TEMPLATE, words))
        self._group("what", self._model_and_data)
        self._group("how", self._method_and_learning)
        self._group("length", self._length)
        self._group("adapter", self._adapter)
        self._group("watch", self._watching)
        self._group("where", self._devices)
        self._all_settings()
        self._preview()
        self._recipes()
        self._notices()
        self._many()
        self._unseen()
        self._bar()

    @property
    def keys(self) -> list[str]:
        """The settings that have a box."""
        return list(self.fields)

    @property
    def boxes(self) -> list[gr.Component]:
        """The boxes in the order of `keys`, and that of all other settings, as JSON."""
        return [*self.fields.values(), self.extra]

    @property
    def overrides(self) -> list[gr.Component]:
        """What a recipe is made of: why it was refused, the method, the boxes."""
        return [self.refusal, self.method, *self.boxes]

    @property
    def of_runs(self) -> list[gr.Component]:
        """The boxes that list what runs have trained."""
        return [self.fields[key] for key in OF_RUNS]

    def _group(self, name: str, fill: Callable[[], None]) -> None:
        """Draw a group of the form under its heading."""
        with gr.Column(elem_classes=f"form-group form-group-{name}"):
            gr.HTML(render(GROUP_TEMPLATE, self.words, name=name))
            fill()

    def _model_and_data(self) -> None:
        words, workspace = self.words, self.workspace
        models, datasets = form_recipe.models(workspace), dataset_choices.offered(workspace, "sft")
        model = recipes.STARTER_MODEL if recipes.STARTER_MODEL in models else models[0]
        chosen = [name for _, name in datasets if name == recipes.STARTER_DATASET]
        with gr.Row():
            self.fields["model_name_or_path"] = self._choice("model_name_or_path", models, model)
            self.fields["dataset"] = self._choice("dataset", datasets, chosen, multiselect=True)
            self.fields["stage"] = self._choice(
                "stage", [(words(f"train.stage_{key}"), key) for key in recipes.STAGES], "sft"
            )
        is_asked = form_recipe.asks_identity(workspace, [recipes.STARTER_DATASET])
        with gr.Row(visible=is_asked) as self.identity_row:
            self.name, self.author = (
                gr.Textbox(
                    words(f"train.identity_{one}_default"),
                    label=words(f"train.identity_{one}"),
                    info=words(f"train.identity_{one}_info"),
                    elem_id=f"train-identity-{one}",
                    elem_classes="draft",
                )
                for one in ("name", "author")
            )
        with gr.Column(visible=False) as self.ppo_row:
            gr.HTML(region("environment", "ppo"))
            rewards = adapters.reward_models(workspace, recipes.STARTER_MODEL)
            self.fields["reward_model"] = self._of_checkpoints("reward_model", rewards)

    def _method_and_learning(self) -> None:
        words, standard = self.words, self.standard
        self.method = gr.Radio(
            [(words(f"train.method_{key}"), key) for key in form_recipe.METHODS],
            value="lora",
            label=words("settings.finetuning_type"),
            info=words("settings.finetuning_type_info"),
            elem_id="train-method",
        )
        with gr.Row(elem_classes="fields"):
            for key in OF_LEARNING:
                is_choice = key == "lr_scheduler_type"
                self.fields[key] = (
                    self._choice(key, SCHEDULERS, standard[key]) if is_choice else self._number(key, standard[key])
                )
            self.fields["template"] = self._choice("template", [(words("train.automatic"), "")], "")

    def _length(self) -> None:
        with gr.Row(elem_classes="fields"):
            for key in OF_LENGTH:
                self.fields[key] = self._number(key, self.standard[key])
        self.advice = gr.HTML(elem_id="train-advice")
        with gr.Row(elem_classes="find-batch"):
            self.find_batch = gr.Button(
                self.words("batch.find"), size="sm", scale=0, min_width=210, elem_id="train-find-batch"
            )
            self.batch = gr.HTML(region("batch"))

    def _adapter(self) -> None:
        with gr.Row(elem_classes="fields") as self.lora_row:
            for key in OF_ADAPTER:
                self.fields[key] = self._number(key, self.standard[key])
        begun = adapters.on(self.workspace, recipes.STARTER_MODEL)
        self.fields["adapter_name_or_path"] = self._of_checkpoints("adapter_name_or_path", begun)

    def _watching(self) -> None:
        words, standard = self.words, self.standard
        with gr.Row(elem_classes="fields"):
            for key in OF_WATCHING:
                self.fields[key] = self._number(key, standard.get(key, 0))
        with gr.Row(elem_classes="fields"):
            self._of_saving()
        self.probes = gr.Textbox(
            label=words("train.probes"),
            info=words("train.probes_info", most=samples.MOST),
            lines=2,
            elem_id="train-probes",
            elem_classes="draft",
            value=words("train.probes_default"),
        )

    def _of_saving(self) -> None:
        words = self.words
        self.fields["load_best_model_at_end"] = gr.Checkbox(
            label=words("settings.load_best_model_at_end"),
            elem_id="train-load_best_model_at_end",
            info=words("settings.load_best_model_at_end_info"),
        )
        for key in ("early_stopping_steps", "save_total_limit"):
            self.fields[key] = self._number(key, 0, precision=0)

    def _devices(self) -> None:
        words, executors = self.words, self.training.executors
        with gr.Row(elem_classes="fields"):
            self.executor = gr.Dropdown(
                [(words(f"train.executor_{key.replace('-', '_')}"), key) for key in executors],
                value=executors[0],
                label=words("train.executor"),
                info=words("train.executor_info"),
                elem_id="train-executor",
            )
            self.devices = gr.Textbox(
                label=words("train.devices"),
                info=words("train.devices_info"),
                elem_id="train-devices",
                elem_classes="draft",
            )

    def _bar(self) -> None:
        """Draw what stays in sight below the form: the run's name, what it costs, what is wrong, and Start."""
        words = self.words
        with gr.Column(elem_classes="start-bar", elem_id="train-bar"):
            self.problem = gr.HTML(elem_id="train-problem")
            gr.HTML(region("pace", "run"))
            with gr.Row(elem_classes="start-row"):
                self.run_name = gr.Textbox(
                    label=words("train.run_name"),
                    elem_id="train-run_name",
                    elem_classes="draft",
                    scale=2,
                    min_width=160,
                )
                self.cost = gr.HTML(elem_id="train-cost")
                gr.HTML(render(RESET_TEMPLATE, words))
                self.start = gr.Button(
                    words("train.start"), variant="primary", elem_id="train-start", scale=0, min_width=120
                )

    def _all_settings(self) -> None:
        words = self.words
        with gr.Accordion(words("train.all_settings"), open=False) as self.all_settings:
            self.query = gr.Textbox(
                show_label=False, placeholder=words("train.settings_search"), elem_id="train-search"
            )
            self.settings = gr.HTML()
            self.extra = gr.Textbox("{}", visible="hidden", elem_id="train-extra")

    def _preview(self) -> None:
        words = self.words
        with gr.Accordion(words("train.preview"), open=False) as self.preview:
            self.command = gr.Code(label=words("train.command"), language="shell", interactive=False)
            self.yaml = gr.Code(label=words("train.recipe"), language="yaml", interactive=False)

    def _recipes(self) -> None:
        words = self.words
        with gr.Accordion(words("train.recipes"), open=False):
            with gr.Row(elem_classes="fields"):
                self.saved_recipe = gr.Dropdown(
                    saved_recipes.saved(self.workspace),
                    value=None,
                    label=words("train.kept_recipe"),
                    info=words("train.kept_recipe_info"),
                    elem_id="train-kept_recipe",
                )
                self.recipe_name = gr.Textbox(
                    label=words("train.recipe_name"), info=words("train.recipe_name_info"), elem_id="train-recipe-name"
                )
                self.save_recipe = gr.Button(
                    words("train.save_recipe"), size="sm", scale=0, min_width=110, elem_id="train-save-recipe"
                )
            self.pasted = gr.Textbox(
                label=words("train.import"), info=words("train.import_info"), lines=4, elem_id="train-import"
            )
            self.bring = gr.Button(
                words("train.import_button"), size="sm", scale=0, min_width=110, elem_id="train-import-button"
            )
            self.import_report = gr.HTML(elem_id="train-import-report")

    def _notices(self) -> None:
        with gr.Accordion(self.words("notices.title"), open=False):
            gr.HTML(region("notices"))

    def _many(self) -> None:
        words = self.words
        with gr.Accordion(words("train.many"), open=False):
            self.grid = gr.Textbox(
                label=words("train.sweep"),
                info=words("train.sweep_info"),
                lines=3,
                elem_id="train-grid",
                elem_classes="draft",
                placeholder=words("train.sweep_example"),
            )
            self.sweep_preview = gr.HTML(elem_id="train-sweep-runs")
            self.start_sweep = gr.Button(
                words("train.sweep_button"), size="sm", scale=0, min_width=140, elem_id="train-sweep"
            )
            with gr.Row(elem_classes="fields"):
                self.node_count = gr.Number(
                    2, label=words("train.nodes"), info=words("train.nodes_info"), precision=0, elem_id="train-nodes"
                )
                self.node_address = gr.Textbox(
                    label=words("train.address"), info=words("train.address_info"), elem_id="train-address"
                )
            self.make_commands = gr.Button(
                words("train.nodes_button"), size="sm", scale=0, min_width=140, elem_id="train-nodes-button"
            )
            self.node_commands = gr.Code(
                label=words("train.to_paste"), language="shell", interactive=False, elem_id="train-to-paste"
            )

    def _unseen(self) -> None:
        # A problem may be mended elsewhere (a model downloaded, a set added, a consent given): Start opens by itself.
        self.judge_again = gr.Timer(JUDGED_AGAIN_S, active=False)
        self.started = gr.HTML(visible="hidden")
        # A recipe that comes from elsewhere (a run to start again, with changes) arrives here from the page's script.
        self.given = gr.Textbox(visible="hidden", elem_id="train-given")
        # Takes the adapter out that the run would begin with.
        self.begin_anew = gr.Textbox(visible="hidden", elem_id="train-begin-anew")
        # The form was opened: there may be runs to begin with that were not there before.
        self.opened = gr.Textbox(visible="hidden", elem_id="train-opened")
        self.seen = first_seen()
        # The recipe in the form, which the page keeps until it is started (assets/form.js).
        self.draft = gr.Textbox(visible="hidden", elem_id="train-draft")
        # Why the recipe that was brought last is not in the form, "" if it is: the form still holds an earlier one, and
        # nobody means to start that.
        self.refusal = gr.Textbox("", visible="hidden")

    def _choice(self, key: str, choices: list, value: object, **more) -> gr.Dropdown:
        label, info = self.words(f"settings.{key}"), self.words(f"settings.{key}_info")
        return gr.Dropdown(choices, value=value, label=label, info=info, elem_id=f"train-{key}", **more)

    def _number(self, key: str, value: object, **more) -> gr.Number:
        # Nothing is rounded or held back here: a share would become 0, and half a step is for the judge of the recipe
        # to refuse, who says why at the field.
        label, info = self.words(f"settings.{key}"), self.words(f"settings.{key}_info")
        look = "by-factors" if key in BY_FACTORS else "by-steps"
        return gr.Number(
            value,
            label=label,
            info=info,
            elem_id=f"train-{key}",
            elem_classes=look,
            min_width=120,
            step=STEPS.get(key, 1),
            **more,
        )

    def _of_checkpoints(self, key: str, names: list[str]) -> gr.Dropdown:
        # A folder from elsewhere may be typed too.
        return gr.Dropdown(
            [(self.words("checkpoints.none"), ""), *names],
            value="",
            label=self.words(f"settings.{key}"),
            info=self.words(f"settings.{key}_info"),
            elem_id=f"train-{key}",
            allow_custom_value=True,
        )

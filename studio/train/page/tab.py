"""The Train tab: the list of runs, the form of a new one, and the cockpit of the one in hand."""

import json
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.datasets.registry import identity
from studio.models.library import library
from studio.train.execution.training_service import TrainingService
from studio.train.loop import samples
from studio.train.page.form import form_judgement, import_report, setting_list, sweep_preview
from studio.train.recipe import completion, dataset_choices, saved_recipes, sweep
from studio.train.recipe.importing import form, here, llamafactory_defaults, recipe_reading
from studio.train.recipe.importing.result import Missing
from studio.train.runs import adapters, checkpoints
from studio.web.html import render
from studio.web.live import attribute, region, taken

METHODS = {
    "lora": {},
    "qlora4": {"quantization_bit": 4},
    "qlora8": {"quantization_bit": 8},
    "oft": {},
    "full": {},
    "freeze": {},
}
SCHEDULERS = ["cosine", "linear", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial"]
JUDGED_AGAIN_S = 4
OF_RUNS = ("reward_model", "adapter_name_or_path")  # fields that list what runs have trained
PARTS = {
    "curves": "curves",
    "samples": "samples",
    "checkpoints": "checkpoints",
    "log": "log",
    "recipe": "recipe_and_command",
}
CHART_WORDS = (
    "loss",
    "learning_rate",
    "grad_norm",
    "raw",
    "smoothed",
    "eval_loss",
    "smooth",
    "automatic",
    "log",
    "step",
    "time",
    "reset_zoom",
    "waiting",
    "empty",
    "not_connected",
    "memory",
    "tokens_per_second",
    "utilisation",
    "reward",
    "rewards/margins",
    "rewards/accuracies",
    "rewards",
    "rewards/chosen",
    "rewards/rejected",
    "kl",
    "eval_accuracy",
    "num_input_tokens_seen",
)


def build(trainer: TrainingService, words: Words) -> None:
    """Build the tab in one language."""
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(_search(words) + region("runs", follows="find-run", first="run"))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes="when-new"):
                _form(trainer, words)
            with gr.Column(elem_classes="when-run"):
                _cockpit(words)
            with gr.Column(elem_classes="when-compare"):
                gr.HTML(
                    f"<h2>{words('train.compare_selected')}</h2>"
                    + _compare_chart(words)
                    + region("compare", follows="compare")
                )


def _search(words: Words) -> str:
    told = words("train.search_runs")
    return (
        f'<input type="search" class="list-search" data-hand="find-run" placeholder="{told}" aria-label="{told}"'
        f' title="{words("train.search_info")}">'
    )


def _cockpit(words: Words) -> None:
    texts = attribute({name: words(f"charts.{name}") for name in CHART_WORDS})
    gr.HTML(region("run", follows="run"))
    # Drawn, not gr.Tabs: the part that is open stays open over a reload, and the page has one row of tabs.
    gr.HTML(
        '<nav class="parts">'
        + "".join(f'<button data-pick="part:{part}">{words("train." + key)}</button>' for part, key in PARTS.items())
        + "</nav>"
    )
    gr.HTML(
        f"<div class='charts' data-arg='' data-follows='run' data-words='{texts}'></div>",
        elem_classes="part part-curves",
    )
    for part in ("samples", "checkpoints", "log", "recipe"):
        gr.HTML(region(part, follows="run"), elem_classes=f"part part-{part}")


def _compare_chart(words: Words) -> str:
    texts = attribute({"log": words("charts.log")})
    return f"<div class='compare-chart' data-follows='compare' data-arg='' data-words='{texts}'></div>"


def _form(trainer: TrainingService, words: Words) -> None:
    workspace, standard = trainer.workspace, completion.defaults()
    with gr.Row(elem_classes="form-head"):
        gr.HTML(f"<h2>{words('train.new_run')}</h2>")
        start = gr.Button(words("train.start"), variant="primary", elem_id="train-start", scale=0, min_width=120)
    problem = gr.HTML(elem_id="train-problem")
    with gr.Row():
        models, datasets = _models(workspace), dataset_choices.offered(workspace, "sft")
        model = _choice(
            words,
            "model_name_or_path",
            models,
            completion.STARTER_MODEL if completion.STARTER_MODEL in models else models[0],
        )
        first = [name for _, name in datasets if name == completion.STARTER_DATASET]
        dataset = _choice(words, "dataset", datasets, first, multiselect=True)
    with gr.Row(visible=_asks_identity(workspace, [completion.STARTER_DATASET])) as identity_row:
        name = gr.Textbox(
            words("train.identity_name_default"),
            label=words("train.identity_name"),
            info=words("train.identity_name_info"),
        )
        author = gr.Textbox(
            words("train.identity_author_default"),
            label=words("train.identity_author"),
            info=words("train.identity_author_info"),
        )
    stage = gr.Dropdown(
        [(words(f"train.stage_{key}"), key) for key in completion.STAGES],
        value="sft",
        label=words("train.stage"),
        info=words("train.stage_info"),
        elem_id="train-stage",
    )
    method = gr.Radio(
        [(words(f"train.method_{key}"), key) for key in METHODS],
        value="lora",
        label=words("train.finetuning_type"),
        info=words("train.finetuning_type_info"),
        elem_id="train-method",
    )
    with gr.Column(visible=False) as ppo_row:
        gr.HTML(region("environment", "ppo"))
        reward = _of_checkpoints(words, "reward_model", adapters.reward_models(workspace, completion.STARTER_MODEL))
    fields = {"model_name_or_path": model, "dataset": dataset, "stage": stage, "reward_model": reward}
    with gr.Row(elem_classes="fields"):
        for key in (
            "learning_rate",
            "num_train_epochs",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "cutoff_len",
        ):
            fields[key] = _number(words, key, standard[key])
    with gr.Row(elem_classes="fields") as lora_row:
        for key in ("lora_rank", "lora_alpha", "lora_dropout"):
            fields[key] = _number(words, key, standard[key])
    advised = gr.HTML(elem_id="train-advice")
    with gr.Row(elem_classes="find-batch"):
        largest = gr.Button(words("batch.find"), size="sm", scale=0, min_width=210, elem_id="train-find-batch")
        gr.HTML(region("batch"))
    with gr.Accordion(words("train.more"), open=False) as further:
        with gr.Row(elem_classes="fields"):
            fields["template"] = _choice(words, "template", [(words("train.automatic"), "")], "")
            fields["lr_scheduler_type"] = _choice(words, "lr_scheduler_type", SCHEDULERS, standard["lr_scheduler_type"])
            for key in ("warmup_steps", "max_grad_norm"):
                fields[key] = _number(words, key, standard[key])
        with gr.Row(elem_classes="fields"):
            fields["val_size"] = _number(words, "val_size", 0)
            for key in ("save_steps", "logging_steps", "seed"):
                fields[key] = _number(words, key, standard[key])
        with gr.Row(elem_classes="fields"):
            fields["load_best_model_at_end"] = gr.Checkbox(
                label=words("checkpoints.load_best_model_at_end"),
                elem_id="train-load_best_model_at_end",
                info=words("checkpoints.load_best_model_at_end_info"),
            )
            for key in ("early_stopping_steps", "save_total_limit"):
                fields[key] = gr.Number(
                    0,
                    label=words(f"checkpoints.{key}"),
                    info=words(f"checkpoints.{key}_info"),
                    elem_id=f"train-{key}",
                    min_width=120,
                    precision=0,
                    minimum=0,
                )
            fields["adapter_name_or_path"] = _of_checkpoints(
                words, "adapter_name_or_path", adapters.on(workspace, completion.STARTER_MODEL)
            )
        with gr.Row(elem_classes="fields"):
            executor = gr.Dropdown(
                [(words(f"train.executor_{key.replace('-', '_')}"), key) for key in trainer.executors],
                value=trainer.executors[0],
                label=words("train.executor"),
                info=words("train.executor_info"),
                elem_id="train-executor",
            )
            devices = gr.Textbox(
                label=words("train.devices"), info=words("train.devices_info"), elem_id="train-devices"
            )
        probes = gr.Textbox(
            label=words("train.probes"),
            info=words("train.probes_info", most=samples.MOST),
            lines=3,
            elem_id="train-probes",
            value=words("train.probes_default"),
        )
    with gr.Accordion(words("train.all_settings"), open=False) as all_settings:
        query = gr.Textbox(show_label=False, placeholder=words("train.settings_search"), elem_id="train-search")
        drawn = gr.HTML()
        extra = gr.Textbox("{}", visible="hidden", elem_id="train-extra")
    with gr.Accordion(words("train.preview"), open=False) as preview:
        command = gr.Code(label=words("train.command"), language="shell", interactive=False)
        text = gr.Code(label=words("train.recipe"), language="yaml", interactive=False)
    with gr.Accordion(words("train.recipes"), open=False):
        with gr.Row(elem_classes="fields"):
            kept = _choice(words, "kept_recipe", saved_recipes.saved(workspace), None)
            called = gr.Textbox(
                label=words("train.recipe_name"), info=words("train.recipe_name_info"), elem_id="train-recipe-name"
            )
            keep = gr.Button(words("train.save_recipe"), size="sm", scale=0, min_width=110, elem_id="train-save-recipe")
        pasted = gr.Textbox(
            label=words("train.import"), info=words("train.import_info"), lines=4, elem_id="train-import"
        )
        bring = gr.Button(
            words("train.import_button"), size="sm", scale=0, min_width=110, elem_id="train-import-button"
        )
        report = gr.HTML(elem_id="train-import-report")
    with gr.Accordion(words("notices.title"), open=False):
        gr.HTML(region("notices"))
    with gr.Accordion(words("train.many"), open=False):
        grid = gr.Textbox(
            label=words("train.sweep"),
            info=words("train.sweep_info"),
            lines=3,
            elem_id="train-grid",
            placeholder=words("train.sweep_example"),
        )
        would_be = gr.HTML(elem_id="train-sweep-runs")
        spread = gr.Button(words("train.sweep_button"), size="sm", scale=0, min_width=140, elem_id="train-sweep")
        with gr.Row(elem_classes="fields"):
            count = gr.Number(
                2, label=words("train.nodes"), info=words("train.nodes_info"), precision=0, elem_id="train-nodes"
            )
            address = gr.Textbox(
                label=words("train.address"), info=words("train.address_info"), elem_id="train-address"
            )
        commands = gr.Button(
            words("train.nodes_button"), size="sm", scale=0, min_width=140, elem_id="train-nodes-button"
        )
        to_paste = gr.Code(label=words("train.to_paste"), language="shell", interactive=False, elem_id="train-to-paste")
    keys, boxes = list(fields), [*fields.values(), extra]
    # A problem may be mended elsewhere (a model downloaded, a set added, a consent given): Start opens again by itself.
    again = gr.Timer(JUDGED_AGAIN_S, active=False)
    judged = [command, text, advised, start, again]
    started = gr.HTML(visible="hidden")
    # A recipe that comes from elsewhere (a run to start again, with changes) arrives here from the page's script.
    given = gr.Textbox(visible="hidden", elem_id="train-given")
    # Why the recipe that was brought last is not in the form, "" where it is: the form still holds an earlier one, and
    # nobody means to start that.
    refusal = gr.State("")

    def wish(refused: str, method_now: str, *values) -> dict:
        if refused:
            raise Problem("recipe_import.refused_before", reason=refused)
        *values, more = values
        said = {llamafactory_defaults.SIGN: True} | dict(zip(keys, values, strict=True)) | METHODS[method_now]
        said["dataset"] = ",".join(said["dataset"] or [])
        if said["stage"] != "ppo":
            said.pop("reward_model")
        said["finetuning_type"] = finetuning_type(method_now)
        return {
            key: value
            for key, value in said.items()
            if key not in completion.LORA_SETTINGS or said["finetuning_type"] == "lora"
        } | json.loads(more)

    def filled(said: dict):
        """Return a value for the method and every box: those of `said`, else what it means where it is silent."""
        base = (
            completion.defaults(_parameters(workspace, str(said.get("model_name_or_path") or completion.STARTER_MODEL)))
            | llamafactory_defaults.unstated(said)
            | said
        )
        if "lora_rank" in said and not said.get("lora_alpha"):
            base["lora_alpha"] = 2 * int(said["lora_rank"])  # as LLaMA-Factory trains a recipe without an alpha
        name = form.model(workspace, base)
        base |= {
            "model_name_or_path": name,
            "dataset": form.datasets(workspace, base),
            "template": said.get("template", ""),
        }
        chosen_method = method_of(said)
        rest = {
            key: value
            for key, value in said.items()
            if key not in keys
            and key not in ("finetuning_type", llamafactory_defaults.SIGN)
            and key not in METHODS[chosen_method]
        }
        # A model may have come since the page was opened, and the templates are known only when LLaMA-Factory is
        # loaded.
        choices = {
            "model_name_or_path": {"choices": _models(workspace)},
            "template": {"choices": _templates(words)},
            "dataset": {"choices": dataset_choices.offered(workspace, base["stage"])},
            "lr_scheduler_type": {"choices": SCHEDULERS},
        }
        choices |= {key: {"choices": found} for key, found in zip(OF_RUNS, of_runs_on(name), strict=True)}
        # A choice that the form does not offer (another scheduler, data of a folder that the recipe names) is one for
        # this recipe.
        choices |= {key: {"choices": form.with_value(more["choices"], base.get(key))} for key, more in choices.items()}
        values = [
            gr.update(value=base.get(key, "" if key in ("template", *adapters.NAMED) else 0), **choices.get(key, {}))
            for key in keys
        ]
        return [gr.update(value=chosen_method), *values, json.dumps(rest, ensure_ascii=False)]

    def on_import(text):
        try:
            found = recipe_reading.read(text)
            lacking = here.missing(workspace, found.recipe)
            boxes_now = filled(found.whole)
        except Problem as fault:
            return (
                render(import_report.FAULT_TEMPLATE, words, import_report.import_fault(fault)),
                gr.skip(),
                *refused(fault),
            )
        numbers = found.options.get("devices")
        return (
            render(import_report.TEMPLATE, words, import_report.import_report(found, lacking)),
            ",".join(map(str, numbers)) if numbers else gr.skip(),
            "",
            *boxes_now,
        )

    def refused(fault: Problem):
        """Return the refusal of a recipe, and nothing new for the method and the boxes."""
        return words.tell(fault), *[gr.skip()] * (len(boxes) + 1)

    def brought_in(read: Callable[[str], dict], source: str):
        """Return what is told of a recipe of the studio's own, no refusal, and its values."""
        try:
            said = read(source)
            lacking = here.missing(workspace, said) if llamafactory_defaults.apply_to(said) else []
            return _missing(words, lacking), "", *filled(said)
        except Problem as fault:
            return _told(words, fault), *refused(fault)

    def on_given(text):
        return brought_in(saved_recipes.handed_over, text)

    def on_load(name):
        return brought_in(lambda name: saved_recipes.load(workspace, name) if name else {}, name)

    def on_keep(name, *values):
        try:
            kept_now = {key: value for key, value in wish(*values).items() if value not in (None, "")}
            saved_recipes.save(workspace, name, kept_now)
        except Problem as fault:
            return _told(words, fault), gr.skip()
        return "", gr.update(choices=saved_recipes.saved(workspace), value=name.strip())

    def on_search(text, stage_now, method_now, more):
        fitting = setting_list.setting_list(text, stage_now, finetuning_type(method_now), json.loads(more))
        return render(setting_list.TEMPLATE, words, fitting)

    def on_stage(stage_now, chosen):
        fitting = dataset_choices.offered(workspace, stage_now)
        names = [name for _, name in fitting if not Path(name).is_absolute()]
        staying = [name for name in chosen if name in names or not here.has_dataset(workspace, {}, name)]
        return gr.update(choices=form.with_value(fitting, staying), value=staying or names[:1])

    def on_dataset(stage_now, chosen):
        try:
            names = dataset_choices.taken(workspace, chosen)
        except Problem as fault:
            return _told(words, fault), gr.update(value=[name for name in chosen if not Path(name).is_absolute()])
        offered = form.with_value(dataset_choices.offered(workspace, stage_now), names)
        return "", gr.update(choices=offered, value=names) if names != chosen else gr.skip()

    def on_largest(*values):
        try:
            trainer.find_batch(wish(*values))
        except Problem as fault:
            return _told(words, fault)
        return ""

    def on_sweep(text, name_now, author_now, executor_now, *values):
        try:
            found = trainer.sweep(
                wish(*values), sweep.read(text), {"name": name_now, "author": author_now}, executor_now
            )
        except Problem as fault:
            return _told(words, fault), ""
        return "", taken("run", found[0].name)

    def on_nodes(count_now, address_now, name_now, author_now, *values):
        try:
            _, lines = trainer.nodes(
                wish(*values), {"name": name_now, "author": author_now}, int(count_now or 0), address_now
            )
        except Problem as fault:
            return _told(words, fault), ""
        return "", "\n".join(lines)

    def on_start(name_now, author_now, probes_now, executor_now, devices_now, *values):
        asked = [line.strip() for line in probes_now.splitlines() if line.strip()]
        numbers = [int(part) for part in devices_now.replace(",", " ").split() if part.isdigit()]
        options = {"name": name_now, "author": author_now, "probes": asked} | ({"devices": numbers} if numbers else {})
        try:
            run = trainer.start(wish(*values), options, executor_now)
        except Problem as fault:
            return _told(words, fault), ""
        return "", taken("run", run.name)

    def on_preview(*values):
        try:
            wished = wish(*values)
        except (Problem, ValueError, TypeError) as fault:
            shown = trainer.unjudged({}, fault)
        else:
            shown = trainer.preview(wished)
        # Beside the advice, not where Start tells its faults: a preview that comes late must not wipe those away.
        judgement = form_judgement.judgement(shown["advice"], shown["problems"])
        told = render(form_judgement.TEMPLATE, words, judgement)
        shut = bool(shown["problems"])
        return shown["command"], shown["yaml"], told, gr.update(interactive=not shut), gr.Timer(active=shut)

    def on_open():
        return (
            gr.update(choices=_models(workspace)),
            gr.update(choices=dataset_choices.offered(workspace, "sft")),
            gr.update(choices=_templates(words)),
            *on_runs(completion.STARTER_MODEL),
        )

    def of_runs_on(model_now):
        none = (words("checkpoints.none"), "")
        return [none, *adapters.reward_models(workspace, model_now)], [none, *adapters.on(workspace, model_now)]

    def on_runs(model_now):
        return [gr.update(choices=found) for found in of_runs_on(model_now)]

    def on_measured(wished, share):
        # Both go by rows that are held out.
        return 0.1 if wished and not share else gr.skip()

    wished_for = [refusal, method, *boxes]
    largest.click(on_largest, wished_for, problem, api_name=False)
    spread.click(on_sweep, [grid, name, author, executor, *wished_for], [problem, started], api_name=False)
    grid.input(
        lambda text: _sweep_preview(words, text), grid, would_be, api_name=False, queue=False, show_progress="hidden"
    )
    commands.click(on_nodes, [count, address, name, author, *wished_for], [problem, to_paste], api_name=False)
    start.click(
        on_start,
        [name, author, probes, executor, devices, *wished_for],
        [problem, started],
        api_name=False,
        concurrency_limit=None,
    )
    # Of a choice in the form only: an import says its own rate.
    model.input(
        lambda chosen: completion.learning_rate(_parameters(workspace, chosen)),
        model,
        fields["learning_rate"],
        api_name=False,
        queue=False,
    )
    of_runs = [fields[key] for key in OF_RUNS]
    gr.on(
        [model.change, stage.change, further.expand],
        on_runs,
        model,
        of_runs,
        api_name=False,
        queue=False,
        show_progress="hidden",
    )
    for key in checkpoints.MEASURED:
        fields[key].input(
            on_measured, [fields[key], fields["val_size"]], fields["val_size"], api_name=False, queue=False
        )
    gr.on(
        [all_settings.expand, query.input, stage.change, method.change],
        on_search,
        [query, stage, method, extra],
        drawn,
        api_name=False,
        show_progress="hidden",
        trigger_mode="always_last",
    )
    brought = bring.click(on_import, pasted, [report, devices, *wished_for], api_name=False)
    brought.then(on_search, [query, stage, method, extra], drawn, api_name=False, show_progress="hidden")
    given.input(on_given, given, [problem, *wished_for], api_name=False)
    kept.input(on_load, kept, [problem, *wished_for], api_name=False)
    keep.click(on_keep, [called, *wished_for], [problem, kept], api_name=False)
    # What was refused stands until the person takes the text away, or takes the form in hand.
    pasted.input(
        lambda text, now: ("", "") if now and not text.strip() else (gr.skip(), gr.skip()),
        [pasted, refusal],
        [refusal, report],
        api_name=False,
        queue=False,
        show_progress="hidden",
    )
    gr.on(
        [box.input for box in (method, *boxes)],
        lambda now: ("", "") if now else (gr.skip(), gr.skip()),
        refusal,
        [refusal, problem],
        api_name=False,
        queue=False,
        show_progress="hidden",
    )
    stage.input(on_stage, [stage, dataset], dataset, api_name=False, queue=False)
    # A dataset may have come since the page was opened.
    dataset.focus(
        lambda now, held: gr.update(choices=form.with_value(dataset_choices.offered(workspace, now), held)),
        [stage, dataset],
        dataset,
        api_name=False,
        queue=False,
        show_progress="hidden",
    )
    dataset.input(on_dataset, [stage, dataset], [problem, dataset], api_name=False, queue=False, show_progress="hidden")
    stage.change(lambda chosen: gr.update(visible=chosen == "ppo"), stage, ppo_row, api_name=False, queue=False)
    method.change(
        lambda chosen: gr.update(visible=chosen in ("lora", "qlora4", "qlora8")),
        method,
        lora_row,
        api_name=False,
        queue=False,
    )
    dataset.change(
        lambda chosen: gr.update(visible=_asks_identity(workspace, chosen)),
        dataset,
        identity_row,
        api_name=False,
        queue=False,
    )
    gr.on(
        [preview.expand, *(box.change for box in boxes), method.change, refusal.change],
        on_preview,
        wished_for,
        judged,
        api_name=False,
        show_progress="hidden",
        trigger_mode="always_last",
    )
    again.tick(on_preview, wished_for, judged, api_name=False, show_progress="hidden")
    gr.context.Context.root_block.load(
        on_open, None, [model, dataset, fields["template"], *of_runs], api_name=False, queue=False
    )


def finetuning_type(method: str) -> str:
    """Return LLaMA-Factory's word for a method of the form: QLoRA is LoRA on a quantised model."""
    return "lora" if method.startswith("qlora") else method


def method_of(said: dict) -> str:
    """Return the form's word for a recipe's method: LoRA on 4 or 8 bit is QLoRA."""
    method, bits = said.get("finetuning_type", "lora"), said.get("quantization_bit")
    return f"qlora{bits}" if method == "lora" and bits in (4, 8) else method


def _told(words: Words, fault: Problem) -> str:
    return render(form_judgement.TEMPLATE, words, form_judgement.one_fault(fault))


def _missing(words: Words, missing: list[Missing]) -> str:
    return render(import_report.TEMPLATE, words, import_report.missing_report(missing))


def _sweep_preview(words: Words, text: str) -> str:
    preview = sweep_preview.sweep_preview(text)
    return "" if preview is None else render(sweep_preview.TEMPLATE, words, preview)


def _choice(words: Words, key: str, choices: list, value, **more) -> gr.Dropdown:
    return gr.Dropdown(
        choices,
        value=value,
        label=words(f"train.{key}"),
        info=words(f"train.{key}_info"),
        elem_id=f"train-{key}",
        **more,
    )


def _number(words: Words, key: str, value) -> gr.Number:
    # Nothing is rounded: a share would become 0, and half a step is for the judge of the recipe to refuse.
    return gr.Number(
        value, label=words(f"train.{key}"), info=words(f"train.{key}_info"), elem_id=f"train-{key}", min_width=120
    )


def _of_checkpoints(words: Words, key: str, names: list[str]) -> gr.Dropdown:
    # A folder from elsewhere may be typed too.
    return gr.Dropdown(
        [(words("checkpoints.none"), ""), *names],
        value="",
        label=words(f"checkpoints.{key}"),
        info=words(f"checkpoints.{key}_info"),
        elem_id=f"train-{key}",
        allow_custom_value=True,
    )


def _templates(words: Words) -> list:
    return [(words("train.automatic"), ""), *completion.known_templates()]


def _models(workspace: Workspace) -> list[str]:
    return [model.name for model in library.usable(workspace)] or [completion.STARTER_MODEL]


def _parameters(workspace: Workspace, name: str) -> int | None:
    try:
        return library.find(workspace, name).params
    except Problem:
        return None


def _asks_identity(workspace: Workspace, names: list[str]) -> bool:
    try:
        return identity.has_placeholders(workspace.data, ",".join(names))
    except Problem:
        return False

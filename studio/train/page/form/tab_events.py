"""Which box of the form asks for which answer, and where that goes."""

import gradio as gr

from studio.train.page.form import form_recipe
from studio.train.page.form.tab_answers import Answers
from studio.train.page.form.tab_fields import Form
from studio.train.runs import checkpoints
from studio.web.form_fields import PRESSED, QUIET, fill_on_open, keep_offered


def connect(form: Form, answers: Answers) -> None:
    """Connect the boxes of a form with its answers."""
    _connect_starts(form, answers)
    _connect_choices(form, answers)
    _connect_rows(form)
    _connect_settings(form, answers)
    _connect_recipes(form, answers)
    _connect_refusal(form)
    _connect_preview(form, answers)


def _connect_starts(form: Form, answers: Answers) -> None:
    beside = [form.name, form.author, form.probes, form.devices]
    form.start.click(
        answers.on_start,
        [form.run_name, form.executor, *beside, *form.overrides],
        [form.problem, form.started, form.run_name],
        **PRESSED,
    )
    form.find_batch.click(answers.on_find_batch, form.overrides, form.problem, **PRESSED)
    form.start_sweep.click(
        answers.on_sweep, [form.grid, form.executor, *beside, *form.overrides], [form.problem, form.started], **PRESSED
    )
    form.grid.input(answers.on_grid, form.grid, form.sweep_preview, **QUIET)
    form.make_commands.click(
        answers.on_nodes,
        [form.node_count, form.node_address, *beside, *form.overrides],
        [form.problem, form.node_commands],
        **PRESSED,
    )


def _connect_choices(form: Form, answers: Answers) -> None:
    model, stage, dataset, template = (
        form.fields[key] for key in ("model_name_or_path", "stage", "dataset", "template")
    )
    # Of a choice in the form only: an import says its own rate.
    model.input(answers.on_model, model, form.fields["learning_rate"], **QUIET)
    gr.on([model.change, stage.change, form.opened.input], answers.on_runs, model, form.of_runs, **QUIET)
    adapter = form.fields["adapter_name_or_path"]
    form.begin_anew.input(lambda: "", None, adapter, **QUIET)
    stage.input(answers.on_stage, [stage, dataset], dataset, **QUIET)
    keep_offered(model, answers.models, [model])
    keep_offered(dataset, answers.datasets, [stage, dataset])
    dataset.input(answers.on_dataset, [stage, dataset], [form.problem, dataset], **QUIET)
    keep_offered(template, answers.templates, [template])
    fill_on_open(answers.on_open, [model, dataset, *form.of_runs])


def _connect_rows(form: Form) -> None:
    """Show what a choice asks for, and no more."""
    stage, dataset, held_out = (form.fields[key] for key in ("stage", "dataset", "val_size"))
    for key in checkpoints.MEASURED:
        form.fields[key].input(_held_out, [form.fields[key], held_out], held_out, **QUIET)
    stage.change(lambda chosen: gr.update(visible=chosen == "ppo"), stage, form.ppo_row, **QUIET)
    form.method.change(
        lambda chosen: gr.update(visible=chosen in form_recipe.WITH_LORA_SETTINGS), form.method, form.lora_row, **QUIET
    )
    dataset.change(
        lambda chosen: gr.update(visible=form_recipe.asks_identity(form.workspace, chosen)),
        dataset,
        form.identity_row,
        **QUIET,
    )


def _held_out(is_wanted: object, share: float | None) -> object:
    """Return the share of rows to hold out: the best checkpoint and an early stop go by those."""
    return 0.1 if is_wanted and not share else gr.skip()


def _connect_settings(form: Form, answers: Answers) -> None:
    gr.on(
        [form.all_settings.expand, form.query.input, form.fields["stage"].change, form.method.change],
        answers.on_search,
        [form.query, form.fields["stage"], form.method, form.extra],
        form.settings,
        **QUIET,
    )


def _connect_recipes(form: Form, answers: Answers) -> None:
    searched = [form.query, form.fields["stage"], form.method, form.extra]
    brought = form.bring.click(
        answers.on_import, form.pasted, [form.import_report, form.devices, *form.overrides], **PRESSED
    )
    brought.then(answers.on_search, searched, form.settings, **QUIET)
    form.given.input(answers.on_given, form.given, [form.executor, form.problem, *form.overrides], **QUIET)
    form.saved_recipe.input(answers.on_load, form.saved_recipe, [form.problem, *form.overrides], **QUIET)
    form.save_recipe.click(
        answers.on_save, [form.recipe_name, *form.overrides], [form.problem, form.saved_recipe], **PRESSED
    )


def _connect_refusal(form: Form) -> None:
    """What was refused stands until the person takes the text away, or takes the form in hand."""
    form.pasted.input(
        lambda text, refusal: ("", "") if refusal and not text.strip() else (gr.skip(), gr.skip()),
        [form.pasted, form.refusal],
        [form.refusal, form.import_report],
        **QUIET,
    )
    gr.on(
        [box.input for box in (form.method, *form.boxes)],
        lambda refusal: ("", "") if refusal else (gr.skip(), gr.skip()),
        form.refusal,
        [form.refusal, form.problem],
        **QUIET,
    )


def _connect_preview(form: Form, answers: Answers) -> None:
    judged = [
        form.command,
        form.yaml,
        form.advice,
        form.start,
        form.judge_again,
        form.cost,
        form.run_name,
        form.draft,
        form.batch,
    ]
    boxes = [box.change for box in (form.run_name, form.executor, form.method, *form.boxes)]
    changes = [form.seen, form.preview.expand, *boxes, form.refusal.change, form.judge_again.tick]
    given = [form.run_name, form.executor, *form.overrides]
    gr.on(changes, answers.on_preview, given, judged, **QUIET)

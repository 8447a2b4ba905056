"""What the form answers to a person: updates of its boxes, and what is told beside them."""

import json
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from studio.core import llamafactory
from studio.core.i18n import Problem, Words
from studio.train import runs
from studio.train.execution import recipe_preview
from studio.train.execution.training_service import TrainingService
from studio.train.page.form import (
    batch_result,
    form_judgement,
    form_recipe,
    import_report,
    run_cost,
    setting_list,
    start_options,
    sweep_preview,
)
from studio.train.page.form.tab_fields import OF_RUNS, SCHEDULERS
from studio.train.recipe import dataset_choices, recipes, saved_recipes, sweep
from studio.train.recipe.importing import form, llamafactory_defaults, missing_parts, recipe_reading
from studio.train.recipe.importing.result import Missing
from studio.train.runs import adapters
from studio.web.html import render
from studio.web.live import taken


class Answers:
    """The answers of the form in one language. `keys` are the settings that have a box.

    `overrides` of a method are what the recipe is made of, as `Form.overrides` has it: why a recipe was refused, the
    method, the boxes in the order of `keys`, the other settings as JSON.
    """

    def __init__(self, training: TrainingService, words: Words, keys: list[str]):
        self.training, self.words, self.keys, self.workspace = training, words, keys, training.workspace

    def recipe(self, refusal: str, method: str, *values: object) -> dict[str, object]:
        """Return the recipe in the form. Raises Problem where the one that was brought last was refused."""
        if refusal:
            raise Problem("recipe_import.refused_before", reason=refusal)
        *boxes, further = values
        return form_recipe.recipe_of(method, dict(zip(self.keys, boxes, strict=True)), json.loads(further))

    # Recipes from elsewhere

    def on_import(self, text: str) -> tuple:
        """Return the report, the devices, and the form filled with what a pasted text says."""
        try:
            imported = recipe_reading.read(text)
            missing = missing_parts.missing(self.workspace, imported.recipe)
            filled = self._filled(imported.whole)
        except Problem as fault:
            told = render(import_report.FAULT_TEMPLATE, self.words, import_report.import_fault(fault))
            return told, gr.skip(), *self._refused(fault)
        report = render(import_report.TEMPLATE, self.words, import_report.import_report(imported, missing))
        numbers = imported.options.get("devices")
        return report, ",".join(map(str, numbers)) if numbers else gr.skip(), "", *filled

    def on_given(self, text: str) -> tuple:
        """Return the executor that stands in a draft, what is told of a recipe that a button of the page hands over,
        and the form filled with it.
        """
        executor = saved_recipes.handed_executor(text)
        chosen = executor if executor in self.training.executors else gr.skip()
        return chosen, *self._brought(saved_recipes.handed_over, text)

    def on_load(self, name: str) -> tuple:
        """Return what is told of a saved recipe, and the form filled with it; without a name, the form as it begins."""
        return self._brought(lambda name: saved_recipes.load(self.workspace, name) if name else {}, name)

    def on_save(self, name: str, *overrides: object) -> tuple:
        """Keep the recipe in the form under a name and return what is wrong, and the saved recipes to choose from."""
        try:
            recipe = {key: value for key, value in self.recipe(*overrides).items() if value not in (None, "")}
            saved_recipes.save(self.workspace, name, recipe)
        except Problem as fault:
            return self._fault(fault), gr.skip()
        return "", gr.update(choices=saved_recipes.saved(self.workspace), value=name.strip())

    def _brought(self, read: Callable[[str], dict], source: str) -> tuple:
        """Return what is told of a recipe of the studio's own, no refusal, and its values."""
        try:
            recipe = read(source)
            is_whole = llamafactory_defaults.apply_to(recipe)
            return (
                self._missing(missing_parts.missing(self.workspace, recipe) if is_whole else []),
                "",
                *self._filled(recipe),
            )
        except Problem as fault:
            return self._fault(fault), *self._refused(fault)

    def _refused(self, fault: Problem) -> tuple:
        """Return the refusal of a recipe, and nothing new for the method, the boxes and the other settings."""
        return self.words.tell(fault), *[gr.skip()] * (len(self.keys) + 2)

    def _filled(self, recipe: dict[str, object]) -> list:
        """Return what the method, the boxes and the other settings hold for a recipe."""
        values = form_recipe.values_of(self.workspace, recipe, self.keys)
        choices = self._choices(values)
        boxes = [
            gr.update(value=values.boxes.get(key, "" if key in ("template", *adapters.NAMED) else 0), **choices(key))
            for key in self.keys
        ]
        return [gr.update(value=values.method), *boxes, json.dumps(values.further, ensure_ascii=False)]

    def _choices(self, values: form_recipe.FormValues) -> Callable[[str], dict]:
        # A model may have come since the page was opened, and the templates are known only when LLaMA-Factory is
        # loaded.
        offered = {
            "model_name_or_path": form_recipe.models(self.workspace),
            "template": self._templates(),
            "dataset": dataset_choices.offered(self.workspace, values.boxes["stage"]),
            "lr_scheduler_type": SCHEDULERS,
        } | dict(zip(OF_RUNS, self._of_runs_on(values.boxes["model_name_or_path"] or ""), strict=True))
        # A choice that the form does not offer (another scheduler, data of a folder that the recipe names) is one for
        # this recipe.
        return lambda key: {"choices": form.with_value(offered[key], values.boxes.get(key))} if key in offered else {}

    # Choices

    def on_stage(self, stage: str, chosen: list[str]) -> dict[str, object]:
        """Return the datasets that fit a stage; of those chosen stay those that fit, and those that are not here."""
        fitting = dataset_choices.offered(self.workspace, stage)
        names = [name for _, name in fitting if not Path(name).is_absolute()]
        staying = [name for name in chosen if name in names or not missing_parts.has_dataset(self.workspace, {}, name)]
        return gr.update(choices=form.with_value(fitting, staying), value=staying or names[:1])

    def on_dataset(self, stage: str, chosen: list[str]) -> tuple:
        """Return what is wrong with the chosen datasets, and their names; one of an added folder is linked first."""
        try:
            names = dataset_choices.taken(self.workspace, chosen)
        except Problem as fault:
            return self._fault(fault), gr.update(value=[name for name in chosen if not Path(name).is_absolute()])
        offered = form.with_value(dataset_choices.offered(self.workspace, stage), names)
        return "", gr.update(choices=offered, value=names) if names != chosen else gr.skip()

    def datasets(self, stage: str, chosen: list[str]) -> list[tuple[str, str]]:
        """Return the datasets to choose from: one may have come since the page was opened."""
        return form.with_value(dataset_choices.offered(self.workspace, stage), chosen)

    def models(self, chosen: str) -> list:
        """Return the models to choose from: one may have come since the page was opened."""
        return form.with_value(form_recipe.models(self.workspace), chosen)

    def on_model(self, model: str) -> float:
        """Return the learning rate that the studio advises for a model."""
        return recipes.learning_rate(form_recipe.parameters(self.workspace, model))

    def on_runs(self, model: str) -> list[dict[str, object]]:
        """Return the runs that the boxes of OF_RUNS list for a model."""
        return [gr.update(choices=found) for found in self._of_runs_on(model)]

    def templates(self, chosen: str) -> list:
        """Return the templates to choose from; waits until LLaMA-Factory is loaded, which knows them."""
        llamafactory.load()
        return form.with_value(self._templates(), chosen)

    def on_open(self) -> tuple:
        """Return what there is to choose from when the form is opened: models, datasets, runs."""
        return (
            gr.update(choices=form_recipe.models(self.workspace)),
            gr.update(choices=dataset_choices.offered(self.workspace, "sft")),
            *self.on_runs(recipes.STARTER_MODEL),
        )

    def _of_runs_on(self, model: str) -> tuple[list, list]:
        none = (self.words("checkpoints.none"), "")
        rewards, begun = adapters.reward_models(self.workspace, model), adapters.on(self.workspace, model)
        return [none, *rewards], [none, *begun]

    def _templates(self) -> list:
        return [(self.words("train.automatic"), ""), *recipes.known_templates()]

    # Starts

    def on_start(
        self, run_name: str, executor: str, name: str, author: str, probes: str, devices: str, *overrides: object
    ) -> tuple:
        """Start a run and return what is wrong, what takes the run and its curves in hand, and no name for the next."""
        try:
            options = start_options.start_options(name, author, probes, devices)
            run = self.training.start(self.recipe(*overrides), options | {"run_name": run_name}, executor)
        except Problem as fault:
            return self._fault(fault), "", gr.skip()
        return "", taken("run", run.name) + taken("part", "curves"), ""

    def on_sweep(
        self, grid: str, executor: str, name: str, author: str, probes: str, devices: str, *overrides: object
    ) -> tuple:
        """Start a run for each combination of a grid and return what is wrong, and what takes the first in hand."""
        try:
            options = start_options.start_options(name, author, probes, devices)
            runs = self.training.sweep(self.recipe(*overrides), sweep.read(grid), options, executor)
        except Problem as fault:
            return self._fault(fault), ""
        return "", taken("run", runs[0].name)

    def on_nodes(
        self, count: float | None, address: str, name: str, author: str, probes: str, devices: str, *overrides: object
    ) -> tuple:
        """Make a run for several machines and return what is wrong, and the command for each, a line each."""
        try:
            options = start_options.start_options(name, author, probes, devices)
            _, commands = self.training.nodes(self.recipe(*overrides), options, int(count or 0), address)
        except Problem as fault:
            return self._fault(fault), ""
        return "", "\n".join(commands)

    def on_find_batch(self, *overrides: object) -> str:
        """Begin to look for the largest batch and return what is wrong."""
        try:
            self.training.find_batch(self.recipe(*overrides))
        except Problem as fault:
            return self._fault(fault)
        return ""

    # What is told

    def on_preview(self, run_name: str, executor: str, *overrides: object) -> tuple:
        """Return the command, the recipe as YAML, what is told of it, whether Start is open (while it is shut, the
        recipe is judged again and again), what the run costs, what it would be called, the draft to be kept,
        and the search for a batch that was made with it.
        """
        recipe: dict[str, object] = {}
        try:
            recipe = self.recipe(*overrides)
        except (Problem, ValueError, TypeError) as fault:
            preview = recipe_preview.unjudged({}, fault)
        else:
            preview = self.training.preview(recipe)
        problems = [*preview.problems, *self._of_name(run_name, preview)]
        # Beside the advice, not where Start tells its faults: a preview that comes late must not wipe those away.
        told = render(form_judgement.TEMPLATE, self.words, form_judgement.judgement(preview.advice, problems))
        cost = render(run_cost.TEMPLATE, self.words, run_cost.run_cost(self.workspace, recipe, preview, problems))
        start, again = gr.update(interactive=not problems), gr.Timer(active=bool(problems))
        next_name = gr.update(placeholder=preview.next_name)
        kept = {key: value for key, value in recipe.items() if value is not None}
        draft = json.dumps(kept | {saved_recipes.EXECUTOR: executor} if kept else {}, ensure_ascii=False)
        batch = batch_result.region_of(recipe) if recipe else gr.skip()
        return preview.command, preview.yaml, told, start, again, cost, next_name, draft, batch

    def _of_name(self, run_name: str, preview: recipe_preview.RecipePreview) -> list[Problem]:
        """Return what is wrong with the name of the person's own, [] where the run gets one by itself."""
        if not run_name.strip() or not preview.place:
            return []
        try:
            runs.require_free(self.workspace, *preview.place, run_name.strip())
        except Problem as problem:
            return [problem]
        return []

    def on_search(self, query: str, stage: str, method: str, further: str) -> str:
        """Return the settings that fit a search; `further` is what the person has set, as JSON."""
        kind = form_recipe.finetuning_type(method)
        found = setting_list.setting_list(query, stage, kind, json.loads(further))
        return render(setting_list.TEMPLATE, self.words, found)

    def on_grid(self, grid: str) -> str:
        """Return what a grid comes to."""
        preview = sweep_preview.sweep_preview(grid)
        return "" if preview is None else render(sweep_preview.TEMPLATE, self.words, preview)

    def _fault(self, fault: Problem) -> str:
        return render(form_judgement.TEMPLATE, self.words, form_judgement.one_fault(fault))

    def _missing(self, missing: list[Missing]) -> str:
        return render(import_report.TEMPLATE, self.words, import_report.missing_report(missing))

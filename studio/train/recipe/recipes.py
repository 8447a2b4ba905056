"""Recipes: LLaMA-Factory's own arguments, filled up with defaults by which a plain Start gives a tuned model."""

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.core.workspace import Workspace, plain_part, write_whole
from studio.datasets.registry import identity
from studio.models.chat_template_match import template_match
from studio.models.library import library
from studio.models.weights import completeness
from studio.train import runs
from studio.train.recipe import code_consent, validation
from studio.train.recipe.arguments import judged
from studio.train.recipe.importing import llamafactory_defaults, purpose
from studio.train.recipe.validation import numbers, parser, precision, sources
from studio.train.runs import checkpoints

STARTER_MODEL = "SmolLM2-135M-Instruct"
STARTER_DATASET = "identity_en"
SMALL_MODEL = 1_000_000_000
# Which data the form offers for a stage, by the stage of the dataset; PPO trains in an environment of its own.
STAGES = {"sft": ("sft",), "pt": ("pt",), "dpo": ("dpo",), "rm": ("dpo",), "kto": ("kto",), "ppo": ("sft",)}
LORA_SETTINGS = ("lora_rank", "lora_alpha", "lora_dropout", "lora_target")


def learning_rate(parameters: int | None) -> float:
    """Return the learning rate to begin with for a model of so many parameters.

    A small model takes a larger one: 1e-3 lets a model of 135 M learn a name in a minute; 1e-4 is what the LoRA papers
    and LLaMA-Factory's examples use from about 1 B on.
    """
    return 1.0e-3 if (parameters or 0) < SMALL_MODEL else 1.0e-4


def defaults(parameters: int | None = None) -> dict[str, object]:
    """Return the recipe that stands where a person says nothing, for a model of so many parameters."""
    return {
        "model_name_or_path": STARTER_MODEL,
        "trust_remote_code": False,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "lora_target": "all",
        "dataset": STARTER_DATASET,
        "cutoff_len": 1024,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": learning_rate(parameters),
        "num_train_epochs": 4.0,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "max_grad_norm": 1.0,
        "seed": 42,
        "logging_steps": 1,
        "save_steps": 0.25,
        "plot_loss": True,
        "include_num_input_tokens_seen": True,
        "overwrite_output_dir": True,
        "report_to": "none",
    }


@dataclass(frozen=True)
class Machine:
    """What the training device can do: `kind` is "cuda" or "cpu", `bf16` whether it computes in bfloat16 natively."""

    kind: str
    bf16: bool

    def compute_type(self) -> dict[str, object]:
        """Return the arguments that set the compute type.

        On a CPU, bf16 with `use_cpu` is the setting in which every method runs (freeze fails on mixed dtypes
        otherwise).
        """
        if self.kind == "cpu":
            return {"use_cpu": True, "bf16": True}
        return {"bf16": True} if self.bf16 else {"fp16": True}


def this_machine() -> Machine:
    """Return what the machine at hand can do. Imports torch: not for the time in which the window is built."""
    llamafactory.load()
    import torch

    if torch.cuda.is_available():
        return Machine("cuda", torch.cuda.is_bf16_supported(including_emulation=False))
    return Machine("cpu", True)


def draft(
    workspace: Workspace, overrides: dict[str, object], machine: Machine
) -> tuple[dict[str, object], list[Problem]]:
    """Return `overrides` filled up to a whole recipe, but for its output folder, and all that is wrong with it.

    What it does not say is the studio's default, or LLaMA-Factory's own (see `llamafactory_defaults`). A model's name
    becomes its path, the template is chosen where none is named, and settings that only another method
    reads are left out. Values that are None or "" count as not said.

    Raises:
        Problem: it cannot be filled up: a setting or its value is none, there is no such model, or no template is known
            for it.
    """
    stated = judged({key: value for key, value in overrides.items() if value is not None and value != ""})
    purpose.require_training(stated)
    llamafactory_defaults.require_named(stated)
    model = _model(workspace, str(stated.get("model_name_or_path", STARTER_MODEL)))
    recipe = defaults(model.params) | llamafactory_defaults.unstated(stated) | _of_machine(machine, stated) | stated
    if "lora_rank" in stated and "lora_alpha" not in stated:
        recipe["lora_alpha"] = 2 * recipe["lora_rank"]  # LLaMA-Factory's own, which a rank without an alpha asks for
    if recipe.get("tokenized_path") and not stated.get("dataset"):
        recipe.pop("dataset")  # the data is what was tokenized before: the studio's own must not stand in for it
    recipe["model_name_or_path"] = str(model.path)
    recipe = code_consent.settled(recipe | {"trust_remote_code": stated.get("trust_remote_code")})
    if "template" not in recipe:
        recipe["template"] = template_for(model)
    recipe["dataset_dir"] = sources.folder(workspace, stated.get("dataset_dir"))
    recipe |= {field: ",".join(sources.names(recipe[field])) for field in sources.FIELDS if field in recipe}
    if recipe.get("streaming"):
        recipe.setdefault("dataloader_num_workers", 1)  # with LLaMA-Factory's 0 a stream of a file has no part
    if recipe["finetuning_type"] != "lora":
        for key in LORA_SETTINGS:
            if key not in stated:
                recipe.pop(key)
    return _settled(workspace, recipe)


def _model(workspace: Workspace, name: str) -> library.Model:
    """Return the whole model of a name. Raises Problem, with the field that names it."""
    try:
        model = library.find(workspace, name)
        completeness.require_whole(model)
    except Problem as problem:
        raise Problem(problem.key, **{"field": "model_name_or_path", **problem.facts}) from problem
    return model


def _settled(workspace: Workspace, recipe: dict[str, object]) -> tuple[dict[str, object], list[Problem]]:
    """Return a recipe with what its settings for checkpoints need, and all that is wrong with it."""
    found = []
    if not numbers.impossible(recipe):
        try:
            recipe = checkpoints.settled(recipe)
        except Problem as problem:
            found.append(problem)
    if recipe["stage"] == "ppo" and 0 < float(recipe.get("warmup_steps") or 0) < 1:
        # The older transformers of PPO's environment take a share of the steps by this name only.
        recipe["warmup_ratio"] = recipe.pop("warmup_steps")
    return recipe, found + validation.problems(workspace, recipe)


def _of_machine(machine: Machine, stated: dict[str, object]) -> dict[str, object]:
    """Return the arguments that the machine adds; where the recipe says in which numbers to compute, none about
    that.
    """
    return {
        key: value
        for key, value in machine.compute_type().items()
        if key not in precision.STATED or not precision.is_stated(stated)
    }


def complete(workspace: Workspace, overrides: dict[str, object], machine: Machine) -> dict[str, object]:
    """Return `overrides` filled up to a recipe that LLaMA-Factory can run from anywhere, but for its output folder (see
    `draft`).

    Raises:
        Problem: the first of what is wrong with it.
    """
    recipe, problems = draft(workspace, overrides, machine)
    if problems:
        raise problems[0]
    return recipe


def template_for(model: library.Model) -> str:
    """Return the template that belongs to a model (see `template_match.choose`). Imports LLaMA-Factory.

    Raises:
        Problem: nothing says which one it was made with; the person must name one.
    """
    choice = template_match.of(model.path, model.name, model.model_type)
    if choice.reason == "unknown":
        raise Problem("train.no_template", model=model.name)
    return choice.template


def known_templates() -> list[str]:
    """Return the names of LLaMA-Factory's templates; none until its library is loaded, which takes seconds."""
    return sorted(template_match.shipped()) if llamafactory.ready() else []


def check(recipe: dict[str, object]) -> None:
    """Let LLaMA-Factory's own parser judge a complete recipe (see `validation.parser`).

    Raises:
        Problem: with the parser's own words, or for a package that is not there.
    """
    for problem in parser.refusals(recipe):
        raise problem


def require_startable(workspace: Workspace, recipe: dict[str, object]) -> None:
    """Check a complete recipe of an earlier run as it would be started now.

    Raises:
        Problem: the parser refuses it, or its model or its data is gone.
    """
    check(recipe)
    if recipe.get("stage") not in STAGES or not recipe.get("dataset"):
        raise Problem("train.refused", message=f"stage: {recipe.get('stage')}, dataset: {recipe.get('dataset')}")
    model = Path(str(recipe["model_name_or_path"]))
    if model.is_absolute() and not folders.is_folder(model):
        raise Problem("models.missing", name=library.title(model), folder=model.parent)
    if model.is_absolute():
        completeness.require_whole(library.scan(model, library.title(model)))
    for problem in sources.problems(workspace, recipe) if recipe.get("dataset_dir") else ():
        raise problem


def prepare(
    workspace: Workspace, overrides: dict[str, object], options: dict[str, object], machine: Machine
) -> runs.Run:
    """Make the folder of a new run with its complete recipe in it, ready for an executor.

    Datasets with `{{name}}` and `{{author}}` are filled in a copy inside the run, so that the recipe alone reproduces
    it.

    Raises:
        Problem: anything in the recipe that cannot be trained; then no folder is left behind.
    """
    recipe = complete(workspace, overrides, machine)
    library.require_loadable(Path(recipe["model_name_or_path"]))
    name = str(options.get("run_name") or "").strip()
    run = (
        runs.make_named(workspace, *place(recipe), name)
        if name
        else runs.make(workspace, *place(recipe), _title(recipe, options))
    )
    try:
        _fill_identity(workspace, run, recipe, options)
        recipe["output_dir"] = str(run.folder)
        write_recipe(run, recipe)
    except (Problem, OSError):
        shutil.rmtree(run.folder)
        raise
    return run


def place(recipe: dict[str, object]) -> tuple[str, str]:
    """Return the folders in `saves/` below which a complete recipe's run is put: those of its model and its method. A
    model may be called what no folder of a run can be.
    """
    return plain_part(library.title(Path(recipe["model_name_or_path"]))), str(recipe["finetuning_type"])


def _title(recipe: dict[str, object], options: dict[str, object]) -> str:
    """Return what a run is called before its number: its title, else the names of its data."""
    return plain_part(options.get("title") or re.sub(r"[^\w.+-]+|_", "-", str(recipe["dataset"])))


def next_name(workspace: Workspace, recipe: dict[str, object]) -> str:
    """Return the name that the next run of a complete recipe gets where the person gives none."""
    return runs.free_name(workspace, *place(recipe), _title(recipe, {}))


def _fill_identity(workspace: Workspace, run: runs.Run, recipe: dict[str, object], options: dict[str, object]) -> None:
    """Put filled copies of the sets that say `{{name}}` into the run, beside all other sets that the recipe names. A
    name and an author that are both empty leave the rows as they stand.
    """
    name, author = options.get("name", "Xiaoju"), options.get("author", "the studio")
    if not f"{name}{author}".strip():
        return
    home, named = (
        recipe["dataset_dir"],
        ",".join(sources.names([*sources.names(recipe.get("dataset")), *sources.names(recipe.get("eval_dataset"))])),
    )
    if sources.on_hubs(home) or not identity.has_placeholders(Path(home), named, sources.trusted(workspace)):
        return
    folder = run.folder / "dataset"
    identity.fill(Path(home), named, name, author, folder, sources.trusted(workspace))
    recipe.setdefault("media_dir", home)  # pictures are still beside the data that they belong to
    recipe["dataset_dir"] = str(folder)


def starts_over(recipe: dict[str, object]) -> bool:
    """Tell whether a recipe's trainer cannot go on from a checkpoint: PPO's, and that of a reward model whose own
    weights change.
    """
    return (
        recipe.get("stage") == "ppo"
        or recipe.get("stage") == "rm"
        and recipe.get("finetuning_type") in ("full", "freeze")
    )


def is_resumable(run: runs.Run) -> bool:
    """Tell whether the stage and method of a run can go on from a checkpoint."""
    settings = run.recipe_if_any()
    return bool(settings) and not starts_over(settings)


def resumable_step(run: runs.Run) -> int | None:
    """Return the step at which a run can go on, None where it has no checkpoint or cannot go on from one."""
    return run.resumable_step() if is_resumable(run) else None


def write_recipe(run: runs.Run, recipe: dict[str, object]) -> None:
    """Write `recipe.yaml`. Raises Problem where the disk refuses."""
    write_whole(run.recipe_file, to_yaml(recipe))


def to_yaml(recipe: dict[str, object]) -> str:
    """Return a recipe as the YAML that `llamafactory-cli train` reads."""
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)


def command(recipe_file: Path, python: Path | None = None) -> str:
    """Return the command that trains a recipe without the studio: by the `llamafactory-cli` beside `python`, where one
    is named.
    """
    return shlex.join(
        [str(python.with_name("llamafactory-cli")) if python else "llamafactory-cli", "train", str(recipe_file)]
    )

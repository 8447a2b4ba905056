"""Recipes: LLaMA-Factory's own arguments, filled up with defaults by which a plain Start gives a tuned model."""

import functools
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from studio import engine
from studio.datasets import identity, registry
from studio.interface.language import Problem
from studio.models import library, templates
from studio.train import checkpoints, consent, runs
from studio.train.arguments import judged
from studio.workspace import Workspace, write_whole

STARTER_MODEL = "SmolLM2-135M-Instruct"
STARTER_DATASET = "identity_en"
SMALL_MODEL = 1_000_000_000
# Which data a stage learns from, by the stage of the dataset; PPO trains in an environment of its own.
STAGES = {"sft": ("sft",), "pt": ("pt",), "dpo": ("dpo",), "rm": ("dpo",), "kto": ("kto",), "ppo": ("sft",)}
# Arguments that set up the whole process while they are parsed; whoever trains the recipe parses them.
SETTING_UP = ("deepspeed", "fsdp", "fsdp_config", "tf32")
LORA_SETTINGS = ("lora_rank", "lora_alpha", "lora_dropout", "lora_target")


def learning_rate(parameters: int | None) -> float:
    """Return the learning rate to begin with for a model of so many parameters.

    A small model takes a larger one: 1e-3 lets a model of 135 M learn a name in a minute; 1e-4 is what the LoRA papers and
    LLaMA-Factory's examples use from about 1 B on.
    """
    return 1.0e-3 if (parameters or 0) < SMALL_MODEL else 1.0e-4


def defaults(parameters: int | None = None) -> dict:
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

    def compute_type(self) -> dict:
        """Return the arguments that set the compute type.

        On a CPU, bf16 with `use_cpu` is the setting in which every method runs (freeze fails on mixed dtypes otherwise).
        """
        if self.kind == "cpu":
            return {"use_cpu": True, "bf16": True}
        return {"bf16": True} if self.bf16 else {"fp16": True}


def this_machine() -> Machine:
    """Return what the machine at hand can do. Imports torch: not for the time in which the window is built."""
    engine.load()
    import torch

    if torch.cuda.is_available():
        return Machine("cuda", torch.cuda.is_bf16_supported(including_emulation=False))
    return Machine("cpu", True)


def complete(workspace: Workspace, wish: dict, machine: Machine) -> dict:
    """Return `wish` filled up to a recipe that LLaMA-Factory can run from anywhere, but for its output folder.

    A model's name becomes its path, the template is chosen where none is named, and settings that only another method reads are
    left out. Values that are None or "" count as not said.

    Raises:
        Problem: there is no such model or dataset, or no template is known for the model.
    """
    said = judged({key: value for key, value in wish.items() if value is not None and value != ""})
    model = library.find(workspace, str(said.get("model_name_or_path", STARTER_MODEL)))
    library.require_plausible(model.path)
    recipe = defaults(model.params) | machine.compute_type() | said
    recipe["model_name_or_path"] = str(model.path)
    recipe = consent.settled(recipe | {"trust_remote_code": said.get("trust_remote_code")})
    if "template" not in recipe:
        recipe["template"] = template_for(model)
    for name in str(recipe["dataset"]).split(","):
        dataset = registry.dataset(workspace.data, name.strip())
        if dataset.problem:
            raise dataset.problem
        wanted = STAGES.get(str(recipe["stage"]))
        if wanted and dataset.stage not in wanted:
            raise Problem("train.dataset_stage", dataset=dataset.name, has=dataset.stage, wanted=recipe["stage"])
    recipe.setdefault("dataset_dir", str(workspace.data))
    recipe = checkpoints.settled(recipe)
    if recipe["stage"] == "ppo" and 0 < float(recipe.get("warmup_steps") or 0) < 1:
        # The older transformers of PPO's environment take a share of the steps by this name only.
        recipe["warmup_ratio"] = recipe.pop("warmup_steps")
    if recipe["finetuning_type"] != "lora":
        for key in LORA_SETTINGS:
            if key not in said:
                recipe.pop(key)
    return recipe


def template_for(model: library.Model) -> str:
    """Return the template that belongs to a model (see `templates.choose`). Imports LLaMA-Factory.

    Raises:
        Problem: nothing says which one it was made with; the person must name one.
    """
    choice = templates.of(model.path, model.name, model.model_type)
    if choice.reason == "unknown":
        raise Problem("train.no_template", model=model.name)
    return choice.template


def known_templates() -> list[str]:
    """Return the names of LLaMA-Factory's templates; none until its library is loaded, which takes seconds."""
    return sorted(templates.shipped()) if engine.ready() else []


def check(recipe: dict) -> None:
    """Let LLaMA-Factory's own parser judge a complete recipe.

    Nothing in this process is touched, where another run may be training: seeds stay as they are, and no device is set up.

    Raises:
        Problem: with the parser's own words.
    """
    engine.load()
    from llamafactory.hparams import parser

    said = {key: value for key, value in recipe.items() if key not in SETTING_UP}
    try:
        model, data, training, finetuning, _ = _judging_parser().parse_dict(said)
        parser._verify_model_args(model, data, finetuning)
        parser._check_extra_dependencies(model, finetuning, training)
    except (ValueError, TypeError, KeyError, AssertionError, ImportError) as error:
        raise Problem("train.refused", message=" ".join(str(error).split())[:400]) from error


def require_startable(recipe: dict) -> None:
    """Check a complete recipe of an earlier run as it would be started now.

    Raises:
        Problem: the parser refuses it, or its model or its data is gone.
    """
    check(recipe)
    if recipe.get("stage") not in STAGES or not recipe.get("dataset"):
        raise Problem("train.refused", message=f"stage: {recipe.get('stage')}, dataset: {recipe.get('dataset')}")
    model = Path(str(recipe["model_name_or_path"]))
    if model.is_absolute() and not model.is_dir():
        raise Problem("models.missing", name=library.title(model), folder=model.parent)
    for name in str(recipe["dataset"]).split(",") if recipe.get("dataset_dir") else ():
        dataset = registry.dataset(Path(str(recipe["dataset_dir"])), name.strip())
        if dataset.problem:
            raise dataset.problem


@functools.cache
def _judging_parser():
    """Return LLaMA-Factory's parser of all arguments, less the setting up of devices that comes with transformers' arguments.

    It would reset the state that accelerate keeps for the whole process, and a run that trains there would fail.
    """
    engine.load()
    import torch
    from llamafactory.hparams import parser
    from transformers import HfArgumentParser

    still = {"_setup_devices": torch.device("cpu"), "_n_gpu": 1, "distributed_state": None}
    judged = type("TrainingArguments", (parser.TrainingArguments,), still)
    return HfArgumentParser([judged if kind is parser.TrainingArguments else kind for kind in parser._TRAIN_ARGS])


def prepare(workspace: Workspace, wish: dict, options: dict, machine: Machine) -> runs.Run:
    """Make the folder of a new run with its complete recipe in it, ready for an executor.

    Datasets with `{{name}}` and `{{author}}` are filled in a copy inside the run, so that the recipe alone reproduces it.

    Raises:
        Problem: anything in the recipe that cannot be trained; then no folder is left behind.
    """
    recipe = complete(workspace, wish, machine)
    library.require_loadable(Path(recipe["model_name_or_path"]))
    check({**recipe, "output_dir": str(workspace.saves / "checked")})
    title = options.get("title") or re.sub(r"[^\w.+-]+", "-", str(recipe["dataset"])).strip("-").replace("_", "-")
    run = runs.make(workspace, library.title(Path(recipe["model_name_or_path"])), recipe["finetuning_type"], title)
    try:
        _fill_identity(workspace, run, recipe, options)
        recipe["output_dir"] = str(run.folder)
        write_recipe(run, recipe)
    except (Problem, OSError):
        shutil.rmtree(run.folder)
        raise
    return run


def _fill_identity(workspace: Workspace, run: runs.Run, recipe: dict, options: dict) -> None:
    dataset = str(recipe["dataset"])
    if recipe["dataset_dir"] == str(workspace.data) and identity.has_placeholders(workspace.data, dataset):
        folder = run.folder / "dataset"
        identity.fill(workspace.data, dataset, options.get("name", "Xiaoju"), options.get("author", "the studio"), folder)
        recipe["dataset_dir"] = str(folder)


def starts_over(recipe: dict) -> bool:
    """Tell whether a recipe's trainer cannot go on from a checkpoint: PPO's, and that of a reward model whose own weights change."""
    return recipe.get("stage") == "ppo" or recipe.get("stage") == "rm" and recipe.get("finetuning_type") in ("full", "freeze")


def write_recipe(run: runs.Run, recipe: dict) -> None:
    """Write `recipe.yaml`. Raises Problem where the disk refuses."""
    write_whole(run.recipe_file, to_yaml(recipe))


def to_yaml(recipe: dict) -> str:
    """Return a recipe as the YAML that `llamafactory-cli train` reads."""
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)


def command(recipe_file: Path, python: Path | None = None) -> str:
    """Return the command that trains a recipe without the studio: by the `llamafactory-cli` beside `python`, where one is named."""
    return shlex.join([str(python.with_name("llamafactory-cli")) if python else "llamafactory-cli", "train", str(recipe_file)])

"""The recipe of a run that left none, as the command line leaves its runs: put together from the files that the
libraries write.

`training_args.bin` holds the trainer's arguments, `adapter_config.json` the adapter's, `README.md` the model and the
datasets, the log of the trainer shows the stage. What stands nowhere is not guessed here: `unknown` names it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from studio.core.i18n import Problem
from studio.core.storage import files, records, yaml_file
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Record
from studio.train.runs.stored import pickled_arguments
from studio.train.runs.stored.listing import checkpoint_folders

ADAPTER, CARD, STATE, BOARD = "adapter_config.json", "README.md", "trainer_state.json", "llamaboard_config.yaml"
VALUE_HEADS = ("value_head.safetensors", "value_head.bin")
METHODS = ("lora", "oft", "freeze", "full")
NEEDED = ("model_name_or_path", "dataset", "template", "stage", "finetuning_type", "cutoff_len")
CARD_BYTES, STATE_BYTES = 64 * 2**10, 64 * 2**20
# What is always said, since the studio's own defaults are others than the libraries'.
ALWAYS = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "num_train_epochs",
    "lr_scheduler_type",
    "warmup_steps",
    "max_grad_norm",
    "seed",
    "logging_steps",
    "save_steps",
    "include_num_input_tokens_seen",
)
# The arguments of transformers' trainer that are part of a recipe, with its own defaults: those are left out.
DEFAULTS = {
    "max_steps": -1,
    "lr_scheduler_kwargs": None,
    "optim": "adamw_torch_fused",
    "optim_args": None,
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-08,
    "optim_target_modules": None,
    "label_smoothing_factor": 0.0,
    "bf16": False,
    "fp16": False,
    "tf32": None,
    "torch_compile": False,
    "neftune_noise_alpha": None,
    "auto_find_batch_size": False,
    "logging_strategy": "steps",
    "logging_first_step": False,
    "eval_strategy": "no",
    "eval_steps": None,
    "eval_delay": 0,
    "per_device_eval_batch_size": 8,
    "eval_on_start": False,
    "eval_accumulation_steps": None,
    "save_only_model": False,
    "save_strategy": "steps",
    "save_total_limit": None,
    "load_best_model_at_end": False,
    "metric_for_best_model": None,
    "greater_is_better": None,
    "full_determinism": False,
    "data_seed": None,
    "use_cpu": False,
    "dataloader_drop_last": False,
    "dataloader_num_workers": 0,
    "train_sampling_strategy": "random",
    "ddp_timeout": 1800,
    "deepspeed": None,
    "fsdp": None,
    "fp8": False,
    "fp8_backend": "auto",
    "predict_with_generate": False,
}
OLDER_NAMES = {
    "evaluation_strategy": "eval_strategy",
    "no_cuda": "use_cpu",
}  # as releases before 4.46 and 5.0 write them


class Adapter(Record):
    """What peft writes of an adapter, as far as a recipe has it too."""

    base_model_name_or_path: str | None = None
    peft_type: str = ""
    r: Annotated[int, Field(ge=0, le=2**20)] = 0
    lora_alpha: Annotated[float, Field(allow_inf_nan=False)] | None = None
    lora_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0
    target_modules: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    use_rslora: bool = False
    use_dora: bool = False
    oft_block_size: int = 0
    module_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0


class State(Record):
    """What transformers' trainer writes of itself."""

    log_history: list[dict[str, object]] = []


@dataclass
class Reconstructed:
    """`recipe`: the settings that the files say. `faults`: of files that are there and cannot be read. `unknown`:
    needed, and said nowhere.
    """

    recipe: dict[str, object] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=list)

    @property
    def unknown(self) -> list[str]:
        """The settings that a recipe must have and that no file says."""
        return [name for name in NEEDED if name not in self.recipe]


_recipes: FileCache[Reconstructed] = FileCache()


def read(folder: Path) -> Reconstructed:
    """Return what the files of a run's folder and its newest checkpoint say of its recipe. They are read again only
    when they changed.
    """
    places = [folder, *checkpoint_folders(folder)[-1:]]
    looked_at = [
        place / name for name in (pickled_arguments.FILE, ADAPTER, CARD, STATE, BOARD, *VALUE_HEADS) for place in places
    ]
    found = _recipes.get(folder, looked_at, lambda: _read(folder, places))
    return Reconstructed(dict(found.recipe), list(found.faults))


def _read(folder: Path, places: list[Path]) -> Reconstructed:
    found = Reconstructed()
    card = _card(_first(places, CARD))
    for part in (_arguments, _adapter):
        if path := _first(places, pickled_arguments.FILE if part is _arguments else ADAPTER):
            try:
                found.recipe |= part(path)
            except Problem as fault:
                found.faults.append(fault)
    found.recipe |= {name: value for name, value in card.items() if name not in found.recipe}
    if "finetuning_type" not in found.recipe and found.recipe and folder.parent.name in METHODS:
        found.recipe["finetuning_type"] = (
            folder.parent.name
        )  # as LlamaBoard, the studio and LLaMA-Factory's examples name folders
    if stage := _stage(places):
        found.recipe["stage"] = stage
    found.recipe |= {name: value for name, value in _board(folder / BOARD).items() if name not in found.recipe}
    return found


def _first(places: list[Path], name: str) -> Path | None:
    return next((place / name for place in places if files.is_file(place / name)), None)


def _arguments(path: Path) -> dict[str, object]:
    settings = pickled_arguments.read(path, (*ALWAYS, *DEFAULTS, *OLDER_NAMES, "warmup_ratio"))
    for old, new in OLDER_NAMES.items():
        if old in settings:
            settings.setdefault(new, settings.pop(old))
    ratio = settings.pop("warmup_ratio", 0)
    if ratio and not settings.get("warmup_steps"):
        settings["warmup_steps"] = ratio  # newer releases take a share of the steps by this name
    for name in ("fsdp", "optim_target_modules"):
        if isinstance(settings.get(name), list):
            settings[name] = (
                " ".join(map(str, settings[name])) if name == "fsdp" else ",".join(map(str, settings[name]))
            )
    return {
        name: value
        for name, value in settings.items()
        if name in ALWAYS or name in DEFAULTS and value != DEFAULTS[name]
    }


def _adapter(path: Path) -> dict[str, object]:
    adapter = records.load(path, Adapter)
    settings: dict[str, object] = (
        {"model_name_or_path": adapter.base_model_name_or_path} if adapter.base_model_name_or_path else {}
    )
    targets = adapter.target_modules
    target = ",".join(sorted(targets)) if isinstance(targets, list) else targets
    kind = adapter.peft_type.lower()
    if kind == "lora":
        settings |= {"finetuning_type": "lora", "lora_rank": adapter.r, "lora_dropout": adapter.lora_dropout}
        if adapter.lora_alpha is not None:
            settings["lora_alpha"] = (
                int(adapter.lora_alpha) if adapter.lora_alpha == int(adapter.lora_alpha) else adapter.lora_alpha
            )
        settings |= {name: True for name in ("use_rslora", "use_dora") if getattr(adapter, name)}
        settings |= {"lora_target": target} if target else {}
    elif kind == "oft":
        settings |= {
            "finetuning_type": "oft",
            "oft_rank": adapter.r,
            "oft_block_size": adapter.oft_block_size,
            "module_dropout": adapter.module_dropout,
        }
        settings |= {"oft_target": target} if target else {}
    if adapter.modules_to_save:
        settings["additional_target"] = ",".join(adapter.modules_to_save)
    return settings


def _card(path: Path | None) -> dict[str, object]:
    """Return what the model card says that LLaMA-Factory lets transformers write: base model, method, datasets."""
    if path is None:
        return {}
    try:
        with files.open_file(path) as file:
            text = file.read(CARD_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return {}
    settings: dict[str, object] = {}
    _, _, rest = text.partition("---\n")
    try:
        head = yaml_file.parse(rest.partition("\n---")[0]) if text.startswith("---") else None
    except ValueError:
        head = None
    if isinstance(head, dict):
        base, tags = head.get("base_model"), head.get("tags")
        base = base[0] if isinstance(base, list) and base else base
        settings |= {"model_name_or_path": base} if isinstance(base, str) and base else {}
        if (
            isinstance(tags, list)
            and "llama-factory" in tags
            and (method := next((one for one in METHODS if one in tags), None))
        ):
            settings["finetuning_type"] = method
    if match := re.search(
        r"^This model is a fine-tuned version of .{1,600}? on (the .{1,2000}?) datasets?\.$", text, re.MULTILINE
    ):
        settings["dataset"] = ",".join(
            name for part in re.split(r", the | and the |^the ", match[1]) if (name := part.strip())
        )
    return settings


def _stage(places: list[Path]) -> str | None:
    """Return the stage that shows in what the trainer measured and saved, None where it does not."""
    measured: set[str] = set()
    for path in (place / STATE for place in places):
        try:
            if 0 < files.stamp(path)[0] <= STATE_BYTES:
                measured |= {name for entry in records.load(path, State).log_history for name in entry}
        except (Problem, ValidationError):
            continue  # the log is told as unreadable where it is drawn
    if "rewards/chosen" in measured or "rewards/rejected" in measured:
        return "kto" if "kl" in measured else "dpo"
    return "rm" if any(files.is_file(place / name) for name in VALUE_HEADS for place in places) else None


BOARD_NAMES = {
    "top.model_path": "model_name_or_path",
    "top.template": "template",
    "top.finetuning_type": "finetuning_type",
    "train.dataset": "dataset",
    "train.cutoff_len": "cutoff_len",
    "train.training_stage": "stage",
}
BOARD_STAGES = {
    "Supervised Fine-Tuning": "sft",
    "Reward Modeling": "rm",
    "PPO": "ppo",
    "DPO": "dpo",
    "KTO": "kto",
    "Pre-Training": "pt",
}


def _board(path: Path) -> dict[str, object]:
    """Return what LlamaBoard's own record of its form says, where it left that and no arguments."""
    try:
        form = yaml_file.read(path) if files.is_file(path) else {}
    except Problem:
        return {}
    settings = {}
    for theirs, ours in BOARD_NAMES.items():
        value = form.get(theirs) if isinstance(form, dict) else None
        if ours == "stage":
            value = BOARD_STAGES.get(value) if isinstance(value, str) else None
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if isinstance(value, int) if ours == "cutoff_len" else isinstance(value, str) and value:
            settings[ours] = value
    return settings

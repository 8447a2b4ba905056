"""Recipes to keep and to bring in: saved ones, LLaMA-Factory's YAML, LlamaBoard's configuration, a command line; and out again."""

import contextlib
import shlex
from pathlib import Path

import yaml

from studio.core import files, folders, records, yaml_file
from studio.interface.language import Problem
from studio.train import arguments
from studio.workspace import Workspace, is_safe, write_whole

# Where LlamaBoard's names differ from the arguments' (its own webui/runner.py says what each becomes).
BOARD_NAMES = {
    "model_path": "model_name_or_path", "training_stage": "stage", "batch_size": "per_device_train_batch_size",
    "neftune_alpha": "neftune_noise_alpha", "use_pissa": "pissa_init",
}
BOARD_STAGES = {"Supervised Fine-Tuning": "sft", "Reward Modeling": "rm", "PPO": "ppo", "DPO": "dpo", "KTO": "kto", "Pre-Training": "pt"}
BOARD_BOOSTERS = {"flashattn2": {"flash_attn": "fa2"}, "unsloth": {"use_unsloth": True}, "liger_kernel": {"enable_liger_kernel": True}}


def folder(workspace: Workspace) -> Path:
    """Return where saved recipes are kept."""
    return workspace.saves / ".recipes"


def saved(workspace: Workspace) -> list[str]:
    """Return the names of the saved recipes."""
    return [path.stem for path in folders.matching(folder(workspace), "*.yaml") if files.is_file(path) and is_safe(path.name)]


def save(workspace: Workspace, name: str, recipe: dict) -> None:
    """Keep a recipe under a name, in place of the one that had it. Raises Problem for a bad name, a secret or a full disk."""
    kept = arguments.judged(recipe)
    path = workspace.inside(folder(workspace), f"{name.strip()}.yaml")
    write_whole(path, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def load(workspace: Workspace, name: str) -> dict:
    """Return a saved recipe. Raises Problem where there is none."""
    path = workspace.inside(folder(workspace), f"{name}.yaml")
    if not files.exists(path):
        raise Problem("train.no_recipe", name=name)
    try:
        return read(files.read_text(path, yaml_file.LARGEST_BYTES))
    except OSError as error:
        raise files.unreadable(path, error) from error


def read(text: str) -> dict:
    """Return the recipe that a text stands for: a recipe as YAML or JSON, LlamaBoard's configuration, or a command line.

    What the studio sets itself (the output folder) is left out; a value that is not of its setting's kind, and a setting that is not
    known, are told.

    Raises:
        Problem: the text is none of these, or a setting in it is wrong.
    """
    stripped = text.strip()
    if not stripped:
        raise Problem("train.import_empty")
    found = _of_command(stripped) if _is_command(stripped) else _of_yaml(stripped)
    kept = {name: value for name, value in found.items() if name not in arguments.HELD_BACK - arguments.SECRET - arguments.NEVER and value not in (None, "")}
    return arguments.judged(kept)


def _is_command(text: str) -> bool:
    first = text.splitlines()[0].strip()
    return " --" in text and not first.endswith(":") and (": " not in first or "train" in first.split("--")[0])


def _of_command(text: str) -> dict:
    """Read `[VAR=...] llamafactory-cli train --name value --flag ...`, over several lines joined by backslashes."""
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError as error:
        raise Problem("train.import_unreadable", reason=error) from error
    found, name = {}, None
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found[name] = _value(value) if value else True
            name = None if value else name
        elif name:
            found[name] = f"{found[name]},{word}" if found[name] is not True else _value(word)
    return found


def _value(text: str) -> object:
    """Return what a word of a command line means; numbers are tried first, because YAML reads 1e-4 as text."""
    for number in (int, float):
        with contextlib.suppress(ValueError):  # not a number of this kind: the next is tried
            return number(text)
    return {"true": True, "false": False, "null": None}.get(text.lower(), text)


def _of_yaml(text: str) -> dict:
    try:
        found = records.parse(text) if text.startswith("{") else yaml_file.parse(text)
    except ValueError as error:
        raise Problem("train.import_unreadable", reason=" ".join(str(error).split())[:200]) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise Problem("train.import_unreadable", reason="not a mapping of settings")
    return _of_board(found) if any(str(name).startswith(("top.", "train.")) for name in found) else found


def _of_board(found: dict) -> dict:
    """Read LlamaBoard's saved configuration, whose keys are `tab.name` and whose data sets are lists."""
    known, said, recipe = arguments.arguments(), {str(key).split(".", 1)[-1]: value for key, value in found.items()}, {}
    for name, value in said.items():
        name = BOARD_NAMES.get(name, name)
        if name in known and name != "output_dir" and value not in (None, "", [], 0, False, "none"):
            recipe[name] = ",".join(map(str, value)) if isinstance(value, list) else value
    if "stage" in recipe:
        recipe["stage"] = BOARD_STAGES.get(str(recipe["stage"]), recipe["stage"])
    recipe.setdefault("model_name_or_path", said.get("model_name"))
    recipe |= BOARD_BOOSTERS.get(str(said.get("booster")), {})
    if said.get("compute_type") in ("bf16", "fp16", "pure_bf16"):
        recipe[said["compute_type"]] = True
    try:
        more = records.parse(said.get("extra_args") or "{}")
    except (ValueError, TypeError) as error:
        raise Problem("train.import_unreadable", reason=f"extra_args: {str(error)[:200]}") from error
    if not isinstance(more, dict):
        raise Problem("train.import_unreadable", reason="extra_args: not a mapping of settings")
    return recipe | more


def to_shell(recipe: dict) -> str:
    """Return a recipe as one command, each setting on a line of its own."""
    lines = [f"    --{name} {shlex.quote(str(value).lower() if isinstance(value, bool) else str(value))}" for name, value in recipe.items()]
    return " \\\n".join(["llamafactory-cli train", *lines])

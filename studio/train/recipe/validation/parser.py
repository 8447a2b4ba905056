"""LLaMA-Factory's own `get_train_args` as the judge of a recipe, without what it does to the process in which it
runs.
"""

import contextlib
import functools
import importlib.util
import json
import re
import threading
import types
from pathlib import Path

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.core.storage import files

# Arguments that set up the whole process while they are parsed; whoever trains the recipe parses them.
SETTING_UP = ("deepspeed", "fsdp", "fsdp_config", "tf32")
# What LLaMA-Factory asks for only when it loads the model, by the setting and the value that ask for it.
LATER_PACKAGES = {
    ("quantization_method", "hqq"): "hqq",
    ("quantization_method", "eetq"): "eetq",
    ("quantization_method", "bnb"): "bitsandbytes",
}
_judging = threading.Lock()


def refusals(recipe: dict[str, object]) -> list[Problem]:
    """Return what LLaMA-Factory's parser says against a complete recipe, and each package that it asks for and does not
    find.

    Seeds, devices, log levels and environment variables of this process stay as they are: another run may be training
    in it.
    """
    llamafactory.load()
    judged_settings = {key: value for key, value in recipe.items() if key not in SETTING_UP}
    missing: list[str] = []
    found: list[Problem] = []
    try:
        with _judging:
            _get_train_args(missing)({"output_dir": "unused", **judged_settings, "overwrite_output_dir": True})
    except Exception as error:  # whatever a dataclass, an enum or a check of a library makes of a value
        found.append(_refusal(error, recipe))
    return (
        found
        + [
            Problem("train.package_missing", package=package, field=field)
            for package, field in _packages(recipe, missing)
        ]
        + _of_devices(recipe)
    )


def _get_train_args(missing: list[str]) -> types.FunctionType:
    """Return LLaMA-Factory's function over other globals: in them, what would touch the process does nothing.

    Args:
        missing: takes the requirements that are not there, which are then no reason to end.
    """
    llamafactory.load()
    from llamafactory.hparams import parser

    def check_version(requirement: str, mandatory: bool = False) -> None:
        try:
            parser.check_version(requirement, mandatory)
        except (ImportError, AttributeError):  # AttributeError: a package without a version
            missing.append(requirement)

    names = dict(vars(parser)) | {
        "_set_transformers_logging": _nothing,
        "_set_env_vars": _nothing,
        "logger": _Quiet(),
        "check_version": check_version,
        "transformers": types.SimpleNamespace(set_seed=_nothing),
        "is_env_enabled": lambda *_: False,
        "_parse_train_args": lambda said: _parser().parse_dict(said),
    }
    for name in ("_check_extra_dependencies", "get_train_args"):
        function = getattr(parser, name)
        names[name] = types.FunctionType(function.__code__, names, name, function.__defaults__, function.__closure__)
    return names["get_train_args"]


@functools.cache
def _parser():
    """Return the parser of all arguments, less the setting up of devices that comes with transformers' arguments.

    It would reset the state that accelerate keeps for the whole process, and a run that trains there would fail.
    """
    llamafactory.load()
    import torch
    from llamafactory.hparams import parser
    from transformers import HfArgumentParser

    still = {"_setup_devices": torch.device("cpu"), "_n_gpu": 1, "distributed_state": None, "should_log": False}
    judged = type("TrainingArguments", (parser.TrainingArguments,), still)
    return HfArgumentParser([judged if kind is parser.TrainingArguments else kind for kind in parser._TRAIN_ARGS])


class _Quiet:
    """A logger that says nothing: a recipe is judged at every look, and only a run has something to log."""

    def __getattr__(self, name: str):
        return _nothing


def _nothing(*args: object, **kwargs: object) -> None:
    pass


def _refusal(error: Exception, recipe: dict[str, object]) -> Problem:
    words = " ".join(str(error).split())[:400] or type(error).__name__
    if not isinstance(error, ValueError | AssertionError | ImportError | KeyError):
        words = f"{type(error).__name__}: {words}"
    named = re.findall(r"[`'\"]?(?:--)?\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+|fp16|bf16|packing|streaming)\b", words)
    field = next((name for name in named if name in recipe), None)
    if field is None and "specify dataset" in words:
        field = "dataset"
    if field is None:  # an enum names the value only
        field = next(
            (
                name
                for name, value in recipe.items()
                if isinstance(value, str) and value and words.startswith((value, f"'{value}'"))
            ),
            None,
        )
    if field is None:
        return Problem("train.refused", message=words)
    return Problem("train.refused_at", field=field, message=words)


def _packages(recipe: dict[str, object], missing: list[str]) -> list[tuple[str, str]]:
    """Return (package, the setting that asks for it) for each that is not installed."""
    found = {re.split(r"[<>=!~ ]", requirement)[0]: None for requirement in missing}
    if recipe.get("deepspeed") and not importlib.util.find_spec("deepspeed"):
        found["deepspeed"] = "deepspeed"
    if recipe.get("quantization_bit"):
        package = LATER_PACKAGES.get(("quantization_method", str(recipe.get("quantization_method") or "bnb")))
        if package and not importlib.util.find_spec(package):
            found[package] = "quantization_bit"
    for reporter in _reporters(recipe):
        if not _can_report(reporter):
            found[reporter] = "report_to"
    return [(package, field or _asking(recipe, package)) for package, field in found.items()]


def _reporters(recipe: dict[str, object]) -> list[str]:
    stated = recipe.get("report_to") or []
    listed = stated if isinstance(stated, list) else [stated]
    return [str(one) for one in listed if one not in ("none", "all")]


def _can_report(name: str) -> bool:
    llamafactory.load()
    from transformers import integrations

    if name not in integrations.integration_utils.INTEGRATION_TO_CALLBACK:
        return True  # no package is missing: there is no such reporter, which the trainer itself tells
    with contextlib.suppress(Exception):  # a package that is there and broken is none that can be reported to
        return name in integrations.get_available_reporting_integrations()
    return False


def _asking(recipe: dict[str, object], package: str) -> str:
    """Return the setting of a recipe that asks for a package: the one whose name has most of its letters."""
    beginning = re.split(r"[-_]", package)[0].lower()
    return next(
        (name for name, value in recipe.items() if value and beginning in name),
        "plot_loss" if package == "matplotlib" else package,
    )


def _of_devices(recipe: dict[str, object]) -> list[Problem]:
    """Return what is wrong with the settings that set up devices, which are not parsed here."""
    llamafactory.load()
    from transformers.utils import is_torch_tf32_available

    found = []
    if recipe.get("tf32") is True and not is_torch_tf32_available():
        found.append(Problem("train.not_on_this_machine", field="tf32"))
    for field in ("deepspeed", "fsdp_config"):
        file = recipe.get(field)
        if isinstance(file, str) and file and not file.startswith("{"):
            try:
                json.loads(files.read_text(Path(file)))
            except (OSError, ValueError) as error:
                found.append(Problem("train.no_settings_file", field=field, file=file, reason=reasons.of(error)))
    return found

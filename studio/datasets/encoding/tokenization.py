"""A model's tokenizer with a template, and LLaMA-Factory's data arguments: what encoding a row needs."""

import threading
from dataclasses import dataclass, fields
from pathlib import Path

from studio.core import llamafactory, reasons, trust
from studio.core.i18n import Problem
from studio.core.storage.file_cache import FileCache
from studio.datasets.encoding.template_copy import own_template
from studio.models.library import library, tokenizer_files


@dataclass
class Tokenization:
    """What takes long to load, shared by all encoders with the same settings.

    tokenizer: transformers' tokenizer of the model.
    processor: its image and audio processor, None for a model of text.
    template: LLaMA-Factory's `Template`, a copy of its own.
    collator: gives the labels of pre-training.
    lock: to be held while encoding, because a tokenizer serves one thread at a time.
    """

    tokenizer: object
    processor: object
    template: object
    collator: object
    lock: threading.Lock


def data_arguments(data_folder: Path, stage: str, settings: dict):
    """Return LLaMA-Factory's `DataArguments` of a stage, as a run with these settings has them.

    Args:
        data_folder: where the paths of images begin.
        stage: LLaMA-Factory's: "pt", "sft", "rm", "ppo" or "kto".
        settings: a recipe or a part of one; what is no data argument is left aside.

    Raises:
        Problem: the settings contradict each other.
    """
    llamafactory.load()
    from llamafactory.hparams import DataArguments

    known = {field.name for field in fields(DataArguments)} - {
        "dataset",
        "eval_dataset",
        "val_size",
        "interleave_probs",
        "mix_strategy",
    }
    options = {key: value for key, value in settings.items() if key in known and value is not None} | {
        "dataset_dir": str(data_folder)
    }
    try:
        arguments = DataArguments(**options)
    except (ValueError, TypeError) as error:
        raise Problem("tokens.settings", reason=reasons.of(error)) from error
    if arguments.packing is None:
        # As get_train_args does, after the cutoff was made one less for packing that is asked for.
        arguments.packing = stage == "pt"
    return arguments


def load_tokenization(model: Path, settings: dict) -> Tokenization:
    """Return a model's tokenizer with the template that the settings name, loaded once for all who ask for the same.

    Args:
        model: folder of the model, as `library.find` gives it.
        settings: LLaMA-Factory's arguments; those that concern neither the tokenizer nor the template are left aside.

    Raises:
        Problem: the tokenizer cannot be read, or there is no such template.
    """
    options = _tokenizer_settings(settings) | {"trust_remote_code": _may_run_code(model, settings)}
    key = (model, tuple(sorted(options.items())))
    return _tokenizations.get(key, tokenizer_files.files_of(model), lambda: _load(model, options))


def _tokenizer_settings(settings: dict) -> dict:
    """Return those of the settings that tokenizer and template depend on."""
    llamafactory.load()
    from llamafactory.hparams import ModelArguments

    template = {"template", "train_on_prompt", "tool_format", "default_system", "enable_thinking", "preserve_thinking"}
    model = {field.name for field in fields(ModelArguments) if field.init} - {
        "model_name_or_path",
        "adapter_name_or_path",
    }
    return {
        key: value
        for key, value in settings.items()
        if key in template | model and isinstance(value, str | int | float | bool)
    }


def _may_run_code(model: Path, settings: dict) -> bool:
    """Tell whether the tokenizer's own code may run: where the settings do not forbid it and the person consented to
    it.
    """
    return settings.get("trust_remote_code") is not False and trust.allows(model)


_tokenizations: FileCache[Tokenization] = FileCache(4)


def _load(model: Path, settings: dict) -> Tokenization:
    library.require_loadable(model)
    llamafactory.load()
    from llamafactory.hparams import DataArguments, ModelArguments
    from llamafactory.model import load_tokenizer
    from transformers import DataCollatorForLanguageModeling

    names_of_data = {field.name for field in fields(DataArguments)}
    try:
        loaded = load_tokenizer(
            ModelArguments(str(model), **{key: value for key, value in settings.items() if key not in names_of_data})
        )
    except (ValueError, OSError, TypeError) as error:
        raise Problem("tokens.no_tokenizer", model=model.name, reason=reasons.of(error)) from error
    tokenizer = loaded["tokenizer"]
    try:
        of_data = {key: value for key, value in settings.items() if key in names_of_data}
        template = own_template(tokenizer, DataArguments(**of_data))
    except ValueError as error:
        raise Problem("tokens.settings", reason=reasons.of(error)) from error
    collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm=False)
    return Tokenization(tokenizer, loaded["processor"], template, collator, threading.Lock())

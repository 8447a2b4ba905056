"""The settings of LLaMA-Factory, read from its own argument dataclasses: name, kind, choices, default, help, and where
they belong.
"""

import types
import typing
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from functools import cache

from studio.core import llamafactory
from studio.core.i18n import Problem, Reason

STAGES = ("pt", "sft", "rm", "dpo", "kto", "ppo")

# The first topic whose beginnings fit a name is the setting's topic; the last takes the rest.
TOPICS = {
    "lora": ("lora", "use_rslora", "use_dora", "pissa", "create_new_adapter", "additional_target", "adapter_name"),
    "oft": ("oft_", "module_dropout"),
    "freeze": ("freeze_trainable", "freeze_extra", "use_llama_pro"),
    "preference": ("pref_", "dpo_", "simpo_", "ref_model", "ld_alpha"),
    "kto": ("kto_",),
    "ppo": ("ppo_", "reward_model"),
    "quantisation": ("quantization", "double_quantization", "upcast_"),
    "optimiser": (
        "learning_rate",
        "lr_",
        "warmup",
        "optim",
        "weight_decay",
        "adam_",
        "max_grad_norm",
        "use_galore",
        "galore",
        "use_apollo",
        "apollo",
        "use_badam",
        "badam",
        "use_adam_mini",
        "use_muon",
    ),
    "loss": (
        "neftune",
        "label_smoothing",
        "use_dft",
        "use_asft",
        "asft",
        "use_eaft",
        "eaft",
        "moe_aux",
        "average_tokens",
    ),
    "data": (
        "dataset",
        "eval_dataset",
        "cutoff_len",
        "template",
        "packing",
        "neat_packing",
        "train_on_prompt",
        "mask_history",
        "max_samples",
        "mix_strategy",
        "interleave",
        "streaming",
        "buffer_size",
        "preprocessing",
        "tool_format",
        "default_system",
        "enable_thinking",
        "preserve_thinking",
        "media_dir",
        "tokenized_path",
        "val_size",
        "overwrite_cache",
        "disable_shuffling",
        "ignore_pad",
    ),
    "images": (
        "image_",
        "video_",
        "audio_",
        "use_audio",
        "crop_to",
        "freeze_vision",
        "freeze_multi",
        "freeze_language",
    ),
    "speed": (
        "flash_attn",
        "use_unsloth",
        "enable_liger",
        "use_liger",
        "liger",
        "shift_attn",
        "rope_scaling",
        "disable_gradient",
        "gradient_",
        "use_reentrant",
        "torch_",
        "bf16",
        "fp16",
        "fp8",
        "tf32",
        "pure_bf16",
        "deepspeed",
        "fsdp",
        "ddp_",
        "dataloader",
        "use_cpu",
        "per_device",
        "low_cpu",
    ),
    "saving": (
        "save_",
        "eval_",
        "load_best",
        "metric_for",
        "greater_is",
        "early_stopping",
        "logging_",
        "compute_accuracy",
        "do_eval",
        "num_train",
        "max_steps",
        "seed",
        "data_seed",
        "plot_loss",
        "include_",
    ),
    "reports": ("report_to", "run_name", "project", "swanlab", "use_swanlab", "trackio"),
    "other": ("",),
}
ONLY_METHOD = {"lora": "lora", "oft": "oft", "freeze": "freeze"}
ONLY_STAGES = {"preference": ("dpo", "rm"), "kto": ("kto",), "ppo": ("ppo",)}
SECRET = {
    "hf_hub_token",
    "ms_hub_token",
    "om_hub_token",
    "hub_token",
    "swanlab_api_key",
    "swanlab_lark_secret",
    "swanlab_lark_webhook_url",
}
# What a recipe cannot set, wherever it came from: Ray would install and run what this names, on every machine of a
# cluster.
NEVER = {"ray_init_kwargs"}
# Where LLaMA-Factory takes `a,b`, it takes a list too (its hparams split the text); these are kept as the text.
LISTS = {
    "dataset",
    "eval_dataset",
    "interleave_probs",
    "freeze_trainable_modules",
    "freeze_extra_modules",
    "lora_target",
    "oft_target",
    "additional_target",
    "galore_target",
    "apollo_target",
    "adapter_name_or_path",
    "ref_model_adapters",
    "reward_model_adapters",
    "add_tokens",
    "add_special_tokens",
}
YES, NO = (
    ("true", "yes", "t", "y", "1"),
    ("false", "no", "f", "n", "0"),
)  # as LLaMA-Factory's parser of commands reads them
# Set by the studio itself, or without meaning for training.
HELD_BACK = (
    SECRET
    | NEVER
    | {"output_dir", "do_train", "resume_from_checkpoint", "overwrite_output_dir", "local_rank", "disable_tqdm"}
)


# What a setting takes, by its kind.
KINDS = {
    "bool": Reason("reasons.kind_bool"),
    "int": Reason("reasons.kind_int"),
    "float": Reason("reasons.kind_float"),
    "text": Reason("reasons.kind_text"),
}


@dataclass(frozen=True)
class Argument:
    """One setting. `kind` is "bool", "int", "float", "choice" or "text"; `choices` the values of a choice; `help` in
    English.
    """

    name: str
    kind: str
    choices: tuple[str, ...]
    default: object
    help: str
    topic: str

    def fits(self, stage: str, method: str) -> bool:
        """Tell whether the setting has a meaning for a stage and a method."""
        return ONLY_METHOD.get(self.topic, method) == method and stage in ONLY_STAGES.get(self.topic, STAGES)

    def take(self, value: object) -> object:
        """Return `value` as the setting's kind. Raises Problem, naming the field, where it cannot be one."""
        try:
            return self._converted(value)
        except (ValueError, TypeError, OverflowError) as error:
            expected = ", ".join(self.choices) if self.kind == "choice" else KINDS[self.kind]
            raise Problem("train.bad_value", field=self.name, value=value, wanted=expected) from error

    def _converted(self, value: object) -> object:
        if value is not None and self.name in LISTS:
            return _joined(value)
        if value is None or self.kind == "text":
            return value
        if self.kind == "bool":
            if str(value).lower() not in (*YES, *NO):
                raise ValueError(value)
            return str(value).lower() in YES
        if self.kind == "choice":
            if str(value) not in self.choices:
                raise ValueError(value)
            return value
        number = float(value)
        if self.kind == "float" and number == number:
            return number
        if number != int(number):
            raise ValueError(value)
        return int(number)


def _joined(value: object) -> object:
    """Return a list of plain values as the text `a,b`. Raises ValueError where one of them is none."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(one, str | int | float) for one in value):
        raise ValueError(value)
    return ",".join(str(one).strip() for one in value)


@cache
def arguments() -> dict[str, Argument]:
    """Return every setting by name. Imports LLaMA-Factory: not for the time in which the window is built."""
    llamafactory.load()
    from llamafactory.hparams import (
        DataArguments,
        FinetuningArguments,
        GeneratingArguments,
        ModelArguments,
        TrainingArguments,
    )

    found = {}
    for group in (ModelArguments, DataArguments, FinetuningArguments, GeneratingArguments, TrainingArguments):
        hints = typing.get_type_hints(group)
        for field in fields(group):
            if field.init:
                found[field.name] = _argument(field, hints[field.name])
    return found


def are_known() -> bool:
    """Tell whether `arguments` answers at once, LLaMA-Factory being there already."""
    return llamafactory.ready()


def _argument(field, hint) -> Argument:
    kind, choices = _kind(hint)
    if kind == "text" and field.metadata.get("choices"):
        kind, choices = "choice", tuple(map(str, field.metadata["choices"]))
    default = (
        field.default
        if field.default is not MISSING
        else field.default_factory()
        if field.default_factory is not MISSING
        else None
    )
    default = default.value if isinstance(default, Enum) else default
    return Argument(
        field.name, kind, choices, default, " ".join((field.metadata.get("help") or "").split()), _topic(field.name)
    )


def _topic(name: str) -> str:
    return next(topic for topic, beginnings in TOPICS.items() if name.startswith(beginnings))


def _kind(hint) -> tuple[str, tuple[str, ...]]:
    """Return the kind that a type hint stands for. A number that may also be text (a ratio, a list) is text; None is no
    kind.
    """
    inner = [part for part in (typing.get_args(hint) if _is_union(hint) else (hint,)) if part is not type(None)]
    literals = [
        choice for part in inner if typing.get_origin(part) is typing.Literal for choice in typing.get_args(part)
    ]
    if literals and len(inner) == 1:
        return "choice", tuple(str(choice) for choice in literals)
    enums = [part for part in inner if isinstance(part, type) and issubclass(part, Enum)]
    if len(enums) == 1 and set(inner) <= {*enums, str}:
        return "choice", tuple(str(member.value) for member in enums[0])
    if set(inner) == {int, float}:
        return "float", ()
    names = {bool: "bool", int: "int", float: "float"}
    return (names.get(inner[0], "text"), ()) if len(inner) == 1 else ("text", ())


def _is_union(hint) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def search(query: str, stage: str, method: str) -> list[Argument]:
    """Return the settings of a stage and method in which every word of `query` occurs, by topic; with a query, all
    stages' and methods'.
    """
    words = query.lower().split()
    order = {topic: place for place, topic in enumerate(TOPICS)}
    shown = [
        argument
        for argument in arguments().values()
        if argument.name not in HELD_BACK
        and (
            all(
                word in f"{argument.name} {argument.name.replace('_', ' ')} {argument.help} {argument.topic}".lower()
                for word in words
            )
            if words
            else argument.fits(stage, method)
        )
    ]
    return sorted(shown, key=lambda argument: order[argument.topic])


def judged(recipe: dict[str, object]) -> dict[str, object]:
    """Return a recipe with every value as its setting's kind.

    Raises:
        Problem: a setting LLaMA-Factory does not know, a value that is not of its kind, or a key or password, which has
            no place
            in a file that is kept.
    """
    known = arguments()
    for name in recipe:
        if name not in known:
            raise Problem("train.unknown_setting", field=name)
        if name in NEVER and recipe[name]:
            raise Problem("train.never", field=name)
        if name in SECRET and recipe[name]:
            raise Problem("train.secret", field=name)
    return {name: known[name].take(value) for name, value in recipe.items()}

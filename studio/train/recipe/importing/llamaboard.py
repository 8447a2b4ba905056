"""LlamaBoard's saved configuration, as its own Start reads it (`_parse_train_args` in its webui/runner.py)."""

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import records
from studio.train.recipe import arguments
from studio.train.recipe.importing.result import LeftOut

STAGES = {
    "Supervised Fine-Tuning": "sft",
    "Reward Modeling": "rm",
    "PPO": "ppo",
    "DPO": "dpo",
    "KTO": "kto",
    "Pre-Training": "pt",
}
BOOSTERS = {
    "flashattn2": {"flash_attn": "fa2"},
    "unsloth": {"use_unsloth": True},
    "liger_kernel": {"enable_liger_kernel": True},
}
# What the board's names are in LLaMA-Factory, where they differ; the rest have the same name in both.
NAMES = {
    "batch_size": "per_device_train_batch_size",
    "neftune_alpha": "neftune_noise_alpha",
    "use_pissa": "pissa_init",
    "training_stage": "stage",
}
ALWAYS = (
    "training_stage",
    "dataset_dir",
    "cutoff_len",
    "learning_rate",
    "num_train_epochs",
    "max_samples",
    "batch_size",
    "gradient_accumulation_steps",
    "lr_scheduler_type",
    "max_grad_norm",
    "logging_steps",
    "save_steps",
    "warmup_steps",
    "neftune_alpha",
    "packing",
    "neat_packing",
    "train_on_prompt",
    "mask_history",
    "resize_vocab",
    "use_llama_pro",
    "enable_thinking",
    "report_to",
    "use_galore",
    "use_apollo",
    "use_badam",
    "use_swanlab",
    "shift_attn",
)
NONE_IF_ZERO = ("neftune_alpha", "loraplus_lr_ratio", "freeze_extra_modules", "additional_target")
FREEZE = ("freeze_trainable_layers", "freeze_trainable_modules", "freeze_extra_modules")
LORA = (
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "loraplus_lr_ratio",
    "create_new_adapter",
    "use_rslora",
    "use_dora",
    "use_pissa",
    "lora_target",
    "additional_target",
)
PREFERENCE = ("pref_beta", "pref_ftx", "pref_loss")
PIXELS = ("image_max_pixels", "image_min_pixels", "video_max_pixels", "video_min_pixels")
IMAGES = ("freeze_vision_tower", "freeze_multi_modal_projector", "freeze_language_model", *PIXELS)
OF_OPTIMISER = {
    "use_galore": ("galore_rank", "galore_update_interval", "galore_scale", "galore_target"),
    "use_apollo": ("apollo_rank", "apollo_update_interval", "apollo_scale", "apollo_target"),
    "use_badam": ("badam_mode", "badam_switch_mode", "badam_switch_interval", "badam_update_ratio"),
    "use_swanlab": ("swanlab_project", "swanlab_run_name", "swanlab_workspace", "swanlab_api_key", "swanlab_mode"),
}
# What the board keeps for itself, and what the settings above take in without a name of their own.
OWN = {
    "lang",
    "hub_name",
    "model_name",
    "model_path",
    "checkpoint_path",
    "booster",
    "compute_type",
    "extra_args",
    "dataset",
    "ds_stage",
    "ds_offload",
    "quantization_bit",
    "quantization_method",
    "rope_scaling",
    "template",
    "finetuning_type",
    "val_size",
    "reward_model",
    "ppo_score_norm",
    "ppo_whiten_rewards",
    "swanlab_link",
    "config_path",
    "current_time",
    "device_count",
    "initial_dir",
    "shift_attn",
}
# What a configuration is for that says nothing of training, by the board's tab that its first setting is of.
KIND_OF_TAB = {"export": "merge", "infer": "chat"}


def is_board(found: dict[str, object]) -> bool:
    """Tell whether a mapping is a configuration of LlamaBoard."""
    return any(str(name).startswith(("top.", "train.", "eval.", "infer.", "export.")) for name in found)


def read(found: dict[str, object]) -> tuple[dict[str, object], list[LeftOut]]:
    """Return the settings that the board's own Start would give, and what of the configuration is none of them.

    Raises:
        Problem: a value that the board itself could not read.
    """
    config = {
        str(name).split(".", 1)[-1]: value for name, value in found.items() if str(name).startswith(("top.", "train."))
    }
    others = [str(name) for name in found if not str(name).startswith(("top.", "train."))]
    if others and not any(str(name).startswith("train.") for name in found):
        raise Problem(f"recipe_import.kind_{KIND_OF_TAB.get(others[0].partition('.')[0], 'predict')}")
    method = config.get("finetuning_type", "lora")
    recipe = _of_model(config, method) | _named(config, ALWAYS)
    recipe["dataset"] = (
        ",".join(map(str, config["dataset"])) if isinstance(config.get("dataset"), list) else config.get("dataset")
    )
    if recipe.get("neat_packing"):
        recipe["packing"] = True
    recipe |= _of_compute_type(config) | _of_extra(config)
    recipe |= _named(config, LORA) if method == "lora" else _named(config, FREEZE) if method == "freeze" else {}
    if method == "lora":
        recipe["lora_target"] = recipe.get("lora_target") or "all"
        recipe |= {"pissa_convert": recipe["pissa_init"]} if "pissa_init" in recipe else {}
        recipe |= _named(config, FREEZE[:1]) if recipe.get("use_llama_pro") else {}
    recipe |= _of_stage(config, recipe.get("stage"), method)
    if _is_multimodal(str(config.get("model_name", ""))):
        recipe |= {
            name: _pixels(name, value) if name in PIXELS else value for name, value in _named(config, IMAGES).items()
        }
    for switch, names in OF_OPTIMISER.items():
        recipe |= _named(config, names) if recipe.get(switch) else {}
    recipe |= _held_out(config, recipe)
    left_out = [LeftOut(name, "board_tab") for name in others]
    if str(config.get("ds_stage", "none")) != "none":
        recipe["deepspeed"] = f"ds_z{config['ds_stage']}_{'offload_' if config.get('ds_offload') else ''}config.json"
    known = arguments.arguments()
    read_here = {
        *OWN,
        *ALWAYS,
        *FREEZE,
        *LORA,
        *PREFERENCE,
        *IMAGES,
        *(name for names in OF_OPTIMISER.values() for name in names),
    }
    left_out += [
        LeftOut(f"{name}: {value}", "unknown")
        for name, value in config.items()
        if name not in read_here and name != "output_dir" and value not in (None, "", [])
    ]
    return {
        name: value
        for name, value in recipe.items()
        if value is not None and value != "" and (name in known or name in config)
    }, left_out


def _named(config: dict[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """Return the settings under LLaMA-Factory's names; false, 0 and "" are values, but for those of which the board
    makes nothing.
    """
    found = {
        NAMES.get(name, name): (config[name] or None) if name in NONE_IF_ZERO else config[name]
        for name in names
        if name in config
    }
    if "stage" in found:
        found["stage"] = STAGES.get(str(found["stage"]), found["stage"])
    return found


def _of_model(config: dict[str, object], method: str) -> dict[str, object]:
    recipe = {
        "model_name_or_path": config.get("model_path") or config.get("model_name"),
        "finetuning_type": method,
        "template": config.get("template"),
    }
    if str(config.get("rope_scaling", "none")) != "none":
        recipe["rope_scaling"] = config["rope_scaling"]
    recipe |= BOOSTERS.get(str(config.get("booster")), {})
    checkpoints = config.get("checkpoint_path")
    if checkpoints and method in ("lora", "oft"):
        recipe["adapter_name_or_path"] = _of_saves(config, method, checkpoints)
    elif checkpoints:
        recipe["model_name_or_path"] = _of_saves(config, method, checkpoints)
    if str(config.get("quantization_bit", "none")).lower() not in ("none", ""):
        recipe |= {"quantization_bit": config["quantization_bit"], "double_quantization": True}
        recipe |= {"quantization_method": config["quantization_method"]} if config.get("quantization_method") else {}
    return recipe


def _of_saves(config: dict[str, object], method: str, names: object) -> str:
    """Return where the board's own runs lie: saves/<model>/<method>/<name>; a name with a slash is a path already."""
    found = [str(name) for name in (names if isinstance(names, list) else [names])]
    return ",".join(
        name if "/" in name or "\\" in name else f"{config.get('model_name')}/{method}/{name}".replace(" ", "")
        for name in found
    )


def _of_compute_type(config: dict[str, object]) -> dict[str, object]:
    compute_type = config.get("compute_type")
    return {name: name == compute_type for name in ("fp16", "bf16", "pure_bf16")} if compute_type else {}


def _of_extra(config: dict[str, object]) -> dict[str, object]:
    try:
        more = records.parse(config.get("extra_args") or "{}")
    except (ValueError, TypeError) as error:
        raise Problem(
            "train.import_unreadable", reason=Reason("reasons.of_field", field="extra_args", reason=reasons.of(error))
        ) from error
    if not isinstance(more, dict):
        reason = Reason("reasons.of_field", field="extra_args", reason=Reason("reasons.field_object"))
        raise Problem("train.import_unreadable", reason=reason)
    return more


def _of_stage(config: dict[str, object], stage: object, method: str) -> dict[str, object]:
    if stage == "ppo":
        reward = (
            {"reward_model": _of_saves(config, method, config["reward_model"])} if config.get("reward_model") else {}
        )
        return (
            reward
            | {"reward_model_type": "lora" if method == "lora" else "full", "top_k": 0, "top_p": 0.9}
            | _named(config, ("ppo_score_norm", "ppo_whiten_rewards"))
        )
    return _named(config, PREFERENCE) if stage in ("dpo", "kto") else {}


def _held_out(config: dict[str, object], recipe: dict[str, object]) -> dict[str, object]:
    try:
        share = float(config.get("val_size") or 0)
    except (TypeError, ValueError) as error:
        raise Problem(
            "train.bad_value", field="val_size", value=config["val_size"], wanted=arguments.KINDS["float"]
        ) from error
    if share <= 1e-6 or recipe.get("stage") == "ppo":
        return {}
    more = {
        "eval_steps": recipe.get("save_steps"),
        "per_device_eval_batch_size": recipe.get("per_device_train_batch_size"),
    }
    return {"val_size": config["val_size"], "eval_strategy": "steps"} | {
        name: value for name, value in more.items() if value is not None
    }


def _pixels(name: str, value: object) -> int:
    """Return a number of pixels, which the board keeps as a product: 768*768."""
    try:
        parts = [int(part) for part in str(value).split("*")]
    except ValueError as error:
        raise Problem("train.bad_value", field=name, value=value, wanted=arguments.KINDS["int"]) from error
    return parts[0] * (parts[1] if len(parts) > 1 else 1)


def _is_multimodal(model: str) -> bool:
    llamafactory.load()
    from llamafactory.extras.constants import MULTIMODAL_SUPPORTED_MODELS

    return model in MULTIMODAL_SUPPORTED_MODELS

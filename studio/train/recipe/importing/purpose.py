"""What a mapping of settings is for: a training, or one of the other things that are written in the same kind of
file.
"""

from studio.core.i18n import Problem

# The first kind of which a file has a key is what the file is. (LLaMA-Factory's v1 names its model `model`, which no
# recipe of 0.9 does.)
BY_KEY = {
    "accelerate": ("compute_environment", "distributed_type", "main_training_function"),
    "deepspeed": ("zero_optimization", "train_micro_batch_size_per_gpu"),
    "v1": ("train_dataset", "peft_config", "dist_config", "kernel_config", "micro_batch_size", "batching_strategy"),
    "megatron": (
        "tensor_model_parallel_size",
        "pipeline_model_parallel_size",
        "expert_model_parallel_size",
        "context_parallel_size",
    ),
    "axolotl": ("base_model", "micro_batch_size"),
    "adapter": ("peft_type",),
    "model": ("architectures",),
    "run_state": ("log_history", "global_step"),
    "benchmark": ("n_shot", "task_dir"),
}
INFERENCE = ("infer_backend", "infer_dtype", "vllm_", "sglang_")
# Settings that only somebody who trains writes down.
OF_TRAINING = (
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "lr_scheduler_type",
    "warmup_ratio",
    "warmup_steps",
    "save_steps",
    "save_strategy",
    "tokenized_path",
    "val_size",
)


def of_file(found: dict[str, object]) -> str | None:
    """Return what kind of file a mapping is that is no recipe of LLaMA-Factory, None where nothing says so."""
    if found and all(str(name).startswith("<") and str(name).endswith(">") for name in found):
        return "tokens"
    if found and all(
        isinstance(value, dict)
        and value.keys() & {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
        for value in found.values()
    ):
        return "datasets"
    if "base_model" in found and "model_name_or_path" not in found:
        return "axolotl"
    if (
        "model_name_or_path" not in found
        and "stage" not in found
        and ("model" in found and not {"architectures", "model_type"} & found.keys())
    ):
        return "v1"
    return next((kind for kind, keys in BY_KEY.items() if any(key in found for key in keys)), None)


def of(recipe: dict[str, object]) -> str:
    """Return what a recipe of LLaMA-Factory is for: "training", "merge", "predict", "evaluate", "chat", "benchmark" or
    "nothing".

    What names its data or says how to train is for training where `do_train` is not said, as a short recipe in the
    studio may leave it out.
    """
    if _is(recipe, "do_train"):
        return "training"
    if recipe.get("export_dir"):
        return "merge"
    if recipe.get("task") and "n_shot" in recipe:
        return "benchmark"
    trains = bool(recipe.get("dataset")) and any(name in recipe for name in OF_TRAINING)
    if not trains:
        for name, kind in (("do_predict", "predict"), ("predict_with_generate", "predict"), ("do_eval", "evaluate")):
            if _is(recipe, name):
                return kind
    if (
        "dataset" not in recipe
        and "stage" not in recipe
        and any(name.startswith(INFERENCE) for name in recipe if recipe[name] is not None)
    ):
        return "chat"
    return "nothing" if "do_train" in recipe and recipe["do_train"] is not None else "training"


def _is(recipe: dict[str, object], name: str) -> bool:
    return str(recipe.get(name)).lower() in ("true", "1", "yes")


def require_training(recipe: dict[str, object]) -> None:
    """Raise Problem, which says what a recipe does and where that is done, where it does not train."""
    kind = of(recipe)
    if kind != "training":
        raise Problem(f"recipe_import.kind_{kind}")

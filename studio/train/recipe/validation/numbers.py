"""The limits of each number in a recipe: what is outside of them cannot train, whatever else is said."""

import math
from dataclasses import dataclass

from studio.core.i18n import Problem

SEEDS = 2**32 - 1


@dataclass(frozen=True)
class Limit:
    """The least and the most that a number may be; `above` and `below` say that the bound itself is no such value."""

    least: float
    most: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Tell whether a value is inside."""
        low = value > self.least if self.above else value >= self.least
        return low and (value < self.most if self.below else value <= self.most) and math.isfinite(value)

    def key(self) -> str:
        """Return the key of the sentence that tells the limit."""
        if math.isfinite(self.most):
            return "train.number_below" if self.below else "train.number_between"
        return "train.number_above" if self.above else "train.number_least"


COUNT, NOT_NEGATIVE, POSITIVE = Limit(1), Limit(0), Limit(0, above=True)
SHARE, LESS_THAN_WHOLE = Limit(0, 1), Limit(0, 1, below=True)

LIMITS = {
    **dict.fromkeys(
        (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
            "cutoff_len",
            "max_samples",
            "buffer_size",
            "preprocessing_num_workers",
            "torch_empty_cache_steps",
            "image_max_pixels",
            "video_max_pixels",
            "video_maxlen",
            "eval_num_beams",
            "dataloader_prefetch_factor",
        ),
        COUNT,
    ),
    **dict.fromkeys(
        (
            "learning_rate",
            "adam_epsilon",
            "warmup_steps",
            "val_size",
            "save_steps",
            "eval_steps",
            "dataloader_num_workers",
            "early_stopping_steps",
            "neftune_noise_alpha",
            "image_min_pixels",
            "video_min_pixels",
        ),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(("logging_steps", "num_train_epochs"), POSITIVE),
    **dict.fromkeys(("warmup_ratio", "label_smoothing_factor"), SHARE),
    **dict.fromkeys(("adam_beta1", "adam_beta2"), LESS_THAN_WHOLE),
    **dict.fromkeys(("seed", "data_seed"), Limit(0, SEEDS)),
}
OF_METHOD = {
    "lora": {
        "lora_rank": COUNT,
        "lora_dropout": LESS_THAN_WHOLE,
        "loraplus_lr_ratio": POSITIVE,
        "pissa_iter": Limit(-1),
    },
    "oft": {"oft_rank": NOT_NEGATIVE, "oft_block_size": NOT_NEGATIVE, "module_dropout": LESS_THAN_WHOLE},
    "freeze": {},
    "full": {},
}
OF_STAGE = {
    "dpo": {"pref_beta": NOT_NEGATIVE, "dpo_label_smoothing": SHARE},
    "kto": {"pref_beta": NOT_NEGATIVE, "kto_chosen_weight": NOT_NEGATIVE, "kto_rejected_weight": NOT_NEGATIVE},
    "ppo": {"ppo_epochs": COUNT, "ppo_buffer_size": COUNT},
}


def impossible(recipe: dict[str, object]) -> list[Problem]:
    """Return a problem, naming its field, for each number of a recipe with which nothing can train."""
    stage, method = str(recipe.get("stage", "sft")), str(recipe.get("finetuning_type", "lora"))
    limits = LIMITS | OF_METHOD.get(method, {}) | OF_STAGE.get(stage, {})
    steps = recipe.get("max_steps")
    if _is_number(steps) and steps > 0:
        limits.pop("num_train_epochs")  # which nobody reads then
    if recipe.get("logging_strategy") in ("no", "epoch"):
        limits.pop("logging_steps")
    found = [problem for name, limit in limits.items() if (problem := _outside(name, recipe.get(name), limit))]
    if _is_number(steps) and steps == 0:
        found.append(Problem("train.no_steps", field="max_steps"))
    return found


def _outside(name: str, value: object, limit: Limit) -> Problem | None:
    if not _is_number(value) or limit.holds(value):
        return None
    return Problem(
        limit.key(),
        field=name,
        value=f"{value:g}" if isinstance(value, float) else value,
        least=f"{limit.least:g}",
        most=f"{limit.most:.10g}",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

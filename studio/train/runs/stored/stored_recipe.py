"""The recipe of a run, as it was started: LLaMA-Factory's own arguments, of which the studio looks at a few."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import yaml_file
from studio.core.storage.file_cache import FileCache


class LookedAt(BaseModel):
    """The arguments that the studio itself looks at; LLaMA-Factory judges all the others."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    model_name_or_path: str | None = None
    adapter_name_or_path: str | list[str] | None = None
    stage: str | None = None
    finetuning_type: str | None = None
    dataset: str | list[str] | None = None
    template: str | None = None
    default_system: str | None = None
    enable_thinking: bool | None = None
    trust_remote_code: bool | None = None
    quantization_bit: int | None = None
    cutoff_len: int | None = None
    per_device_train_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    metric_for_best_model: str | None = None
    use_cpu: bool | None = None


_recipes: FileCache[dict | Problem] = FileCache()


def read(path: Path) -> dict[str, object]:
    """Return a recipe, the caller's own copy. It is read again only when it changed. Raises Problem where the file is
    missing or not a recipe.
    """
    recipe = _recipes.get(path, [path], lambda: _read(path))
    if isinstance(recipe, Problem):
        raise Problem(recipe.key, **recipe.facts)
    return dict(recipe)


def _read(path: Path) -> dict[str, object] | Problem:
    try:
        found = yaml_file.read(path)
        if not isinstance(found, dict):
            return _fault(path, Reason("reasons.field_object"))
        if other_keys := [name for name in found if not isinstance(name, str)]:
            return _fault(path, Reason("reasons.no_name", name=other_keys[0]))
        LookedAt.model_validate(found)
    except Problem as fault:
        return _fault(path, fault.facts["reason"])
    except ValidationError as error:
        return _fault(path, reasons.of(error))
    return found


def _fault(path: Path, reason: object) -> Problem:
    return Problem("train.recipe_unreadable", path=path, reason=reason)

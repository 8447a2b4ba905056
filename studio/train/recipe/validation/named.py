"""What a recipe names beside its model and its data: a template, adapters, files. What is not here stops the run."""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.models.chat_template_match import template_match
from studio.train.recipe.importing import missing_parts
from studio.train.runs import lineage

ADAPTERS = ("adapter_name_or_path", "ref_model_adapters", "reward_model_adapters")
WEIGHTS = "adapter_config.json"


def problems(recipe: dict[str, object]) -> list[Problem]:
    """Return what a complete recipe names that is not on this machine, each with its field."""
    found = []
    template = str(recipe.get("template") or "")
    if template and template not in template_match.shipped():
        found.append(Problem("train.no_such_template", field="template", template=template))
    for field in ADAPTERS:
        found += [
            Problem("recipe_import.missing_run", field=field, value=name)
            for name in lineage.names_in(recipe.get(field))
            if not _is_adapter(recipe, name)
        ]
    return found + [
        Problem("recipe_import.missing_file", field=field, value=value)
        for field, value in missing_parts.lacking_files(recipe)
    ]


def _is_adapter(recipe: dict[str, object], name: str) -> bool:
    """Tell whether a name leads to weights to go on from; one on a hub (`owner/name`) is LLaMA-Factory's to get."""
    path = Path(name)
    if not path.is_absolute():
        return bool(missing_parts.HUB_NAME.fullmatch(name))
    if str(recipe.get("finetuning_type", "lora")) in ("lora", "oft"):
        return files.is_file(path / WEIGHTS)
    return files.exists(path)

"""Which folders hold a model: the children of a place, and those in the caches of the hubs' own clients."""

import os
from pathlib import Path

from studio.core.storage import folders
from studio.models.library import hub_caches
from studio.models.weights import health


def folders_in(place: Path, deep: bool = True) -> list[Path]:
    """Return the model folders in a place, by name: itself, its children, and where `deep` those of the hubs' caches
    too.

    Raises OSError where it cannot be read.
    """
    if deep:
        return hub_caches.models_below(place, is_model)
    children = sorted((place / name for name in os.listdir(place)), key=lambda path: path.name.lower())
    return [
        child for child in children if not child.name.startswith(".") and folders.is_folder(child) and is_model(child)
    ]


def is_model(folder: Path) -> bool:
    """Tell whether a folder is a model by the names of its files: a config, weights or a GGUF, and no adapter."""
    try:
        names = set(os.listdir(folder))
    except (OSError, ValueError):
        return False
    if "adapter_config.json" in names and "config.json" not in names:
        return False
    return "config.json" in names or bool(health.weight_files(names)) or any(name.endswith(".gguf") for name in names)

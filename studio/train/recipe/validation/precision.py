"""In which numbers a run computes: what the recipe says, else what the machine does best."""

from studio.core import llamafactory
from studio.core.i18n import Problem

STATED = ("bf16", "fp16", "pure_bf16", "fp8")


def is_stated(recipe: dict[str, object]) -> bool:
    """Tell whether a recipe says in which numbers to compute; then the machine's own choice stays out of it."""
    return any(recipe.get(name) is not None for name in STATED)


def problems(recipe: dict[str, object]) -> list[Problem]:
    """Return a problem for each precision that a recipe asks for and that this machine cannot do."""
    llamafactory.load()
    import torch

    found = []
    if recipe.get("fp8") is True and (not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 9)):
        found.append(Problem("train.not_on_this_machine", field="fp8"))
    return found

"""Whether a model is whole: every tensor that its config asks for is in its files. Asked before anything is trained or
loaded.

`library.look` reads names, sizes and headers, at once. What is asked here builds the architecture without its numbers,
in a child process (`tensor_check`), and is remembered until a file changes.
"""

import time
from dataclasses import replace

from studio.core import reasons, trust
from studio.core.i18n import Problem
from studio.core.processes import limited
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.models.library import library, tokenizer_files
from studio.models.library.library import Model
from studio.models.weights import plausible

SECONDS, MIB = 60, 8192
ALL_S = 60.0  # a list is given without what is not known by then


def checked(models: list[Model], wait: float | None = ALL_S) -> list[Model]:
    """Return the models with what is missing in them as one more fault.

    Args:
        models: as `library` gives them; those that have faults already stay as they are.
        wait: seconds for all together; what is not known by then is worked out on, and known later.
    """
    until = None if wait is None else time.monotonic() + wait
    found = []
    for model in models:
        fault = fault_of(model, None if until is None else max(0.0, until - time.monotonic()))
        found.append(replace(model, faults=(fault,)) if isinstance(fault, Problem) else model)
    return found


def find(workspace: Workspace, name: str, wait: float | None = None) -> Model:
    """Return the model of a name with what is missing in it as one more fault (see `checked`): the one look by which a
    use of a model is offered, refused and told. Raises Problem where there is no such model.
    """
    return checked([library.find(workspace, name)], wait)[0]


def fault_of(model: Model, wait: float | None = None) -> Problem | None | object:
    """Return what a model without other faults lacks, None where it lacks nothing or that cannot be known.

    `limited.PENDING` where it is not known after `wait` seconds (None: as long as it takes).
    """
    if model.faults or trust.allows(model.path):
        return None  # what code of its own builds is not known without running it
    names = library.weight_names(model.path)
    stamp = (
        str(model.path),
        files.stamp(model.path / "config.json"),
        *((name, *files.stamp(model.path / name)) for name in names),
    )
    try:
        found = limited.call(
            "studio.models.weights.tensor_check:missing",
            str(model.path),
            names,
            stamp=stamp,
            wait=wait,
            limits=limited.Limits(file="config.json", of=model.name, seconds=SECONDS, mib=MIB, heavy=True),
        )
    except Problem as problem:
        return None if problem.key in limited.PASSING else problem
    if found is limited.PENDING:
        return found
    if found["missing"]:
        return Problem("models.missing_tensor", tensor=found["missing"][0], missing=found["count"])
    if misfit := found["misfit"]:
        return Problem(
            "models.other_shape", tensor=misfit["tensor"], has=_shape(misfit["has"]), wanted=_shape(misfit["wanted"])
        )
    return None


def _shape(sides: list[int]) -> str:
    return " × ".join(map(str, sides)) or "1"


def require_whole(model: Model) -> None:
    """Raise the first fault of a model, and what it lacks; waits for the answer."""
    grave = sorted(model.faults, key=lambda fault: fault.key not in plausible.KEYS)
    if grave:
        raise grave[0]
    if (fault := fault_of(model)) is not None:
        raise fault
    tokenizer_files.require_loadable(model.path)
    if not trust.asks(model.path) and (reason := tokenizer_files.refusal(model.path)):
        raise Problem("models.tokenizer_refused", folder=model.path, reason=reasons.original(reason))

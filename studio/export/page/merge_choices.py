"""What the forms of the tab offer, and what the one of a merge says before it is started."""

from dataclasses import dataclass

from studio.core.i18n import Problem, Words
from studio.export.merge import merge_plan as plans
from studio.export.page.context import ExportContext
from studio.inference import target_names
from studio.models.library import library
from studio.train import runs

Choice = tuple[str, str]
PRECISIONS = ("", "bfloat16", "float16", "float32")


@dataclass(frozen=True)
class MergeLook:
    """What a merge will be. needed, free: bytes on the disk; is_room: whether it fits. adapters: how many there are."""

    name: str
    base: str
    template: str
    adapters: int
    needed: int
    free: int
    is_room: bool
    from_quantized: bool


def sources(context: ExportContext, chosen: list[str] | None = None) -> list[Choice]:
    """Return what can be merged: runs, newest first, each followed by its checkpoints, then whole models."""
    names = target_names.names(context.workspace)
    known = [*filter(target_names.is_run, names), *(name for name in names if not target_names.is_run(name))]
    return target_names.choices(context.workspace, [*known, *(chosen or [])])


def first_source(context: ExportContext) -> list[str]:
    """Return the newest run with weights, nothing where there is none."""
    return [name for _, name in sources(context) if target_names.is_run(name)][:1]


def merge_look(context: ExportContext, plan: plans.Plan) -> MergeLook:
    """Return what a merge will be. Raises Problem where the folder of models cannot be looked at."""
    room = plans.size(context.workspace, plan)
    return MergeLook(
        name=str(plan.name),
        base=library.title(plan.model),
        template=str(plan.template),
        adapters=len(plan.adapters),
        needed=room.needed,
        free=room.free,
        is_room=room.needed <= room.free,
        from_quantized=plan.from_quantized,
    )


def precisions(words: Words) -> list[Choice]:
    """Return the types in which weights can be stored."""
    return [(words(f"export.precision_{one or 'own'}"), one) for one in PRECISIONS]


def whole(value: object) -> int:
    """Return the size of a file in GB as a whole number. Raises Problem where a merge takes no such size."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 1 <= value <= plans.LARGEST_SHARD_GB or value != int(value):
        raise Problem("export.bad_shard", most=plans.LARGEST_SHARD_GB)
    return int(value)


def require_known(context: ExportContext, name: str) -> str:
    """Return the name of a run (or checkpoint) or a model. Raises Problem where it is gone."""
    if target_names.is_run(name):
        runs.find(context.workspace, name.partition("@")[0])
        return name
    return library.find(context.workspace, name).name

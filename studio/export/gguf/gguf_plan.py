"""Which GGUF files are to be made of which model; looked at before anything is loaded."""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage.records import Record, Text
from studio.core.workspace import Workspace, safe_name
from studio.export import model_forms, source_model
from studio.export.gguf.types import LORA, TYPES
from studio.export.merge import merge_plan
from studio.export.merge.merge_plan import SPARE_BYTES
from studio.export.source_model import Source
from studio.inference import target_names
from studio.models.library import library, model_config, model_names
from studio.train.runs.lineage import with_below

BLOCK, SUPER_BLOCK = 32, 256  # how many weights of a row are stored together, at the least and in K- and I-quants
_UNFIT_BITS = 8.5  # what tensors take whose rows are no multiple of SUPER_BLOCK, about


class GgufPlan(Record):
    """GGUF files, as they are stored beside their job.

    name: of the folder that comes out. types: as `types` names them, and "lora". importance: whether quants are made
    with an importance matrix; those that need one always are. calibration: the dataset whose rows it is measured on.
    adapter: the folder of the adapter for "lora".
    """

    name: Text
    source: Source
    types: list[str]
    importance: bool = False
    calibration: Text = ""
    adapter: Path | None = None

    @property
    def of_model(self) -> list[str]:
        """The types that are made of the whole model."""
        return [one for one in self.types if one != LORA]

    @property
    def measures(self) -> bool:
        """Whether an importance matrix is needed."""
        chosen = [TYPES[one] for one in self.of_model]
        return any(one.needs_importance or self.importance and not one.plain for one in chosen)


def plan(
    workspace: Workspace,
    targets: list[str],
    types: list[str],
    importance: bool = False,
    calibration: str = "",
    name: str = "",
) -> GgufPlan:
    """Return the plan of what was chosen.

    Args:
        targets: one model, or runs and checkpoints of one base in the order in which they are merged.
        calibration: a dataset; "" is the first on which the runs were trained.
        name: of the folder; "" makes one of the model's.

    Raises:
        Problem: no or an unknown type, a type that this model cannot have, nothing to calibrate on, a name that is
            taken, or what `source_model.of` raises.
    """
    chosen = list(dict.fromkeys(one.strip().lower() for one in types if one.strip()))
    if not chosen:
        raise Problem("gguf_files.no_types")
    if unknown := [one for one in chosen if one != LORA and one not in TYPES]:
        raise Problem("gguf_files.unknown_type", type=unknown[0], known=", ".join([*TYPES, LORA]))
    source = source_model.of(workspace, targets)
    made = GgufPlan(
        name=name.strip() or f"{source.name}-GGUF",
        source=source,
        types=chosen,
        importance=importance,
        calibration=calibration or (str(source.data[0]) if source.data else ""),
        adapter=_adapter(workspace, targets, source) if LORA in chosen else None,
    )
    _require_fitting(workspace, made)
    if made.measures and not made.calibration:
        raise Problem("gguf_files.no_calibration", types=", ".join(made.of_model))
    require_place(workspace, made)
    return made


def require_place(workspace: Workspace, made: GgufPlan) -> Path:
    """Return the folder of the files to be. Raises Problem where something else has that name."""
    folder = workspace.inside(workspace.models, safe_name(str(made.name)))
    if model_names.is_taken(folder):
        there = model_forms.of_folder(folder) if folder.is_dir() else None
        source = library.current_name(workspace, str(made.source.name))
        if there is None or library.current_name(workspace, str(there.source)) != source:
            raise Problem("models.name_taken", name=made.name)
    return folder


def require_room(workspace: Workspace, made: GgufPlan) -> None:
    """Raise Problem where the disk has no room for what comes out and what is needed on the way."""
    merge_plan.require_bytes(workspace, size(workspace, made))


def size(workspace: Workspace, made: GgufPlan) -> int:
    """Return about how many bytes come out, with the file of 16 bit that quants are made of."""
    weights = source_model.bytes_in_16_bit(workspace, made.source)
    fits = _hidden(workspace, made) % SUPER_BLOCK == 0
    chosen = [TYPES[one] for one in made.of_model]
    bits = [one.bits if fits or one.plain else max(one.bits, _UNFIT_BITS) for one in chosen]
    between = [] if any(one.plain for one in chosen) else [16]
    merged = weights if made.source.merge else 0
    return int(sum(bits + between) / 16 * weights) + merged + SPARE_BYTES


def file_name(made: GgufPlan, type_: str) -> str:
    """Return the name of a file, as the hubs know it."""
    return f"{made.source.name}-LoRA-F16.gguf" if type_ == LORA else f"{made.source.name}-{type_.upper()}.gguf"


def _hidden(workspace: Workspace, made: GgufPlan) -> int:
    """Return the width of the model, 0 where its config does not say."""
    folder = made.source.merge.model if made.source.merge else made.source.folder(workspace)
    config = model_config.read(folder)[0]
    inner = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    width = config.get("hidden_size") or inner.get("hidden_size")
    return width if isinstance(width, int) and width > 0 else 0


def _require_fitting(workspace: Workspace, made: GgufPlan) -> None:
    width = _hidden(workspace, made)
    quants = [one for one in made.of_model if not TYPES[one].plain]
    if quants and width % BLOCK:
        raise Problem("gguf_files.width", width=width, block=BLOCK, types=", ".join(quants))


def _adapter(workspace: Workspace, targets: list[str], source: Source) -> Path:
    if len(source.targets) != 1 or len(set(targets)) != 1:
        raise Problem("gguf_files.lora_of_one")
    target = target_names.resolve(workspace, [str(source.targets[0])])[0]
    if target.adapter is None:
        raise Problem("gguf_files.lora_of_one")
    if len(with_below(target.adapter)) > 1:
        raise Problem("gguf_files.lora_on_lora")
    return target.adapter

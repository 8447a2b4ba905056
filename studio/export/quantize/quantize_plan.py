"""Which model is to be quantised how; looked at before anything is loaded."""

from studio.core.i18n import Problem
from studio.core.storage.records import Record, Text
from studio.core.workspace import Workspace
from studio.export import source_model
from studio.export.merge import merge_plan
from studio.export.merge.merge_plan import SPARE_BYTES
from studio.export.quantize import methods
from studio.export.source_model import Source
from studio.models.library import model_names


class QuantizePlan(Record):
    """A quantisation, as it is stored beside its job. name: of the model that comes out. method: as `methods` names it.
    calibration: the dataset that GPTQ looks at, "" for methods that look at none.
    """

    name: Text
    source: Source
    method: str
    calibration: Text = ""


def plan(workspace: Workspace, targets: list[str], method: str, calibration: str = "", name: str = "") -> QuantizePlan:
    """Return the plan of what was chosen.

    Args:
        targets: one model, or runs and checkpoints of one base in the order in which they are merged.
        calibration: a dataset; "" is the first on which the runs were trained.
        name: of the model that comes out; "" makes one.

    Raises:
        Problem: there is no such method, or not here; nothing to calibrate on; a name that is taken; or what
            `source_model.of` raises.
    """
    kind = methods.find(method)
    source = source_model.of(workspace, targets)
    data = (calibration or (str(source.data[0]) if source.data else "")) if kind.calibrates else ""
    if kind.calibrates and not data:
        raise Problem("quantize.no_calibration")
    made = QuantizePlan(
        name=name.strip() or f"{source.name}-{kind.suffix}", source=source, method=method, calibration=data
    )
    model_names.require_free(workspace, str(made.name))
    return made


def require_room(workspace: Workspace, made: QuantizePlan) -> None:
    """Raise Problem where the disk has no room for what comes out."""
    merge_plan.require_bytes(workspace, size(workspace, made))


def size(workspace: Workspace, made: QuantizePlan) -> int:
    """Return how many bytes are needed at the most: some layers stay in 16 bit."""
    weights = source_model.bytes_in_16_bit(workspace, made.source)
    return weights * (2 if made.source.merge else 1) + SPARE_BYTES

"""What the forms of GGUF files, quantised weights and their costs offer to choose from."""

from dataclasses import dataclass

from studio.core.i18n import Problem, Words
from studio.evaluate.predict.row_sources import HELD_OUT
from studio.export import model_forms
from studio.export.gguf.gguf_plan import GgufPlan
from studio.export.gguf.types import LORA, TYPES
from studio.export.page.context import ExportContext
from studio.export.quantize.methods import METHODS
from studio.export.quantize.quantize_plan import QuantizePlan
from studio.inference import target_names
from studio.models.library import library
from studio.train import runs

Choice = tuple[str, str]
RUNS_LISTED = 200


@dataclass(frozen=True)
class FormLook:
    """What will be made: a folder or a model `name` of a model `source`, which is merged first where `merges`.
    calibration: the dataset that is looked at, "" where none is. megabytes: fetched before. needed: bytes on the disk.
    """

    name: str
    source: str
    merges: bool
    calibration: str
    megabytes: int
    needed: int

    @classmethod
    def of(cls, plan: GgufPlan | QuantizePlan, needed: int, megabytes: int) -> "FormLook":
        """Return what a plan will make."""
        looked_at = isinstance(plan, QuantizePlan) or plan.measures
        return cls(
            name=str(plan.name),
            source=str(plan.source.name),
            merges=plan.source.merge is not None and (isinstance(plan, QuantizePlan) or bool(plan.of_model)),
            calibration=str(plan.calibration) if looked_at else "",
            megabytes=megabytes,
            needed=needed,
        )


def types(words: Words) -> list[Choice]:
    """Return the types of GGUF, the largest first, and the adapter by itself."""
    found = [(words("export.gguf_type", type=name.upper(), bits=one.bits), name) for name, one in TYPES.items()]
    return [*found, (words("export.gguf_lora"), LORA)]


def methods(words: Words) -> list[Choice]:
    """Return the ways to quantise weights that can run here."""
    return [(words(f"export.method_{name.replace('-', '_')}"), name) for name in METHODS]


def calibrations(context: ExportContext, words: Words) -> list[Choice]:
    """Return the datasets whose rows can be looked at; the first choice is the one of the run."""
    return [(words("export.data_of_run"), ""), *((name, name) for name in context.forms.collection.instruction_sets())]


def rows(context: ExportContext, words: Words) -> list[Choice]:
    """Return the data on which forms can be compared: the usual ones, held-out parts of runs, and datasets."""
    found = [
        (words("evaluating.held_out", run=target_names.title(context.workspace, run.name)), HELD_OUT + run.name)
        for run in runs.all_runs(context.workspace)[:RUNS_LISTED]
        if run.recipe_if_any().get("val_size")
    ]
    named = [(name, name) for name in context.forms.collection.instruction_sets()]
    return [(words("export.rows_usual"), ""), *found, *named]


def with_forms(context: ExportContext) -> list[Choice]:
    """Return the models that have other forms, by name."""
    every = [forms for _, forms in model_forms.folders(context.workspace) if not isinstance(forms, Problem)]
    found = {library.current_name(context.workspace, str(forms.source)) for forms in every}
    return [(name, name) for name in sorted(found)]

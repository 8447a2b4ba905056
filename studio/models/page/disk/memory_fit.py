"""What each way to use a model takes, against this machine's memory, and what to change where it does not fit."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from studio.core.i18n import Problem, Words
from studio.core.storage import folders
from studio.core.storage.file_cache import FileCache
from studio.models.library import library
from studio.models.library.library import Model
from studio.models.memory import fit
from studio.models.models_context import ModelsContext
from studio.models.weights import completeness

TEMPLATE = "models/page/disk/memory_fit.html"
# What a person may set for the estimate, and the most that is sensible.
LARGEST = {"batch": 4096, "seq": 1_048_576, "rank": 1024}


@dataclass(frozen=True)
class Setting:
    """A field of the estimate: its name in `fit.Plan`, what stands in it, and the most that it takes."""

    name: str
    value: str
    most: int


@dataclass(frozen=True)
class Part:
    """A part of a bar: `share` of the widest, 0 to 1."""

    name: str
    bytes: int
    share: float


@dataclass(frozen=True)
class FitRow:
    """A way to use the model (a key of `models.method_...`); `advice` what to change where it does not fit."""

    method: str
    bytes: int
    fits: bool
    parts: list[Part]
    advice: fit.Advice | None


@dataclass(frozen=True)
class FitContext:
    """`limit` is where the machine's memory ends, as a share of the widest bar, None where no bar goes beyond.

    `base` are the settings that were made, as the query of the region's argument; `problem` is one that is none.
    `unknown` is the architecture where it has no formulas of its own, and is counted as a Llama of the same sizes.
    """

    device: str
    memory: int
    settings: list[Setting]
    base: str
    problem: Problem | None
    rows: list[FitRow]
    parts: list[str]
    limit: float | None
    unknown: str | None


def memory_fit(words: Words, context: ModelsContext, argument: str) -> FitContext | None:
    """Return the bars of a model, None where it cannot be loaded at all.

    Args:
        words: those in which a wrong setting is named.
        context: what the tab works with.
        argument: the model's name, and on a second line the settings that a person chose ("batch=4&rank=16").
    """
    name, _, query = argument.partition("\n")
    if not name or completeness.find(context.workspace, name, wait=0).faults:
        return None
    device, memory = context.memory()
    chosen = dict(parse_qsl(query))
    settings = [Setting(one, chosen.get(one) or str(getattr(fit.Plan(), one)), most) for one, most in LARGEST.items()]
    rows, problem, unknown = [], None, None
    try:
        plan = fit.Plan(device=device, **{one: _number(words, one, chosen[one]) for one in LARGEST if one in chosen})
    except Problem as fault:
        problem = fault
    else:
        rows, unknown = _estimates(library.find(context.workspace, name), memory, plan)
    widest = max(memory, *(row.bytes for row in rows), 1)
    return FitContext(
        device,
        memory,
        settings,
        urlencode(chosen),
        problem,
        [_row(row, widest) for row in rows],
        list(rows[0].parts) if rows else [],
        memory / widest if memory < widest else None,
        unknown,
    )


def _number(words: Words, name: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= LARGEST[name]:
        raise Problem("fit.bad_number", setting=words("fit.setting_" + name), value=value, most=f"{LARGEST[name]:,}")
    return int(value)


_known_estimates: FileCache[tuple[list[fit.MemoryUse], str | None]] = FileCache(64)


def _estimates(model: Model, memory: int, plan: fit.Plan) -> tuple[list[fit.MemoryUse], str | None]:
    """Return what each way takes, and the architecture where the estimate knows only its sizes."""

    def made() -> tuple[list[fit.MemoryUse], str | None]:
        rows = fit.table(model.path, memory, plan)
        return rows, None if fit.read_shape(model.path).known else model.architecture

    return _known_estimates.get((model.path, memory, plan), folders.entries(model.path), made)


def _row(row: fit.MemoryUse, widest: int) -> FitRow:
    return FitRow(
        method_key(row),
        row.bytes,
        row.fits,
        [Part(part, size, size / widest) for part, size in row.parts.items() if size],
        row.advice,
    )


def method_key(row: fit.MemoryUse) -> str:
    """Return the name of a row of the table as words know it: lora with 4 bits is qlora4."""
    return f"q{row.method}{row.bits}" if row.bits else row.method

"""All forms of a model in one table and one chart: what each is, and what it costs against the 16-bit model."""

import math
from dataclasses import dataclass

from studio.core.formatting import finite, size
from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.evaluate import part_names
from studio.evaluate.part_names import Name
from studio.export import model_forms, record
from studio.export.model_forms import Cost, Form
from studio.export.page.context import ExportContext, model_in_hand
from studio.models.library import library

TEMPLATE = "export/page/exported/costs_view.html"
WIDTH, HEIGHT, EDGE = 640, 220, 48
ANSWER = 160  # characters of an answer that are shown


@dataclass(frozen=True)
class FormRow:
    """A form in the table. folder: the model of its folder. cost: None where it was not measured. whole: it is the
    16-bit model itself. same, compared: prompts that llama.cpp makes as training does, None where none were compared.
    fault: why the newest comparison has no figures of it.
    """

    type: str
    folder: str
    file: str
    size: int
    cost: Cost | None
    whole: bool = False
    answer: str = ""
    importance: str = ""
    fallbacks: int = 0
    same: int | None = None
    seams: int = 0
    compared: int = 0
    differs: str = ""
    fault: Sentence | None = None


@dataclass(frozen=True)
class Point:
    """A form in the chart: where it stands, where its name, and at which end of it."""

    name: str
    x: float
    y: float
    label: float
    anchor: str


@dataclass(frozen=True)
class Chart:
    """Size from left to right, the root of the divergence upwards, which tells small ones apart. low, high: the ends
    of the sizes; most: the largest divergence.
    """

    points: tuple[Point, ...]
    low: str
    high: str
    most: str
    width: int = WIDTH
    height: int = HEIGHT
    edge: int = EDGE


@dataclass(frozen=True)
class CostsView:
    """The forms of `source`. rows_from, rows, positions, threads: of the newest figures."""

    source: str
    forms: tuple[FormRow, ...]
    chart: Chart | None = None
    rows_from: Name = ""
    rows: int = 0
    positions: int = 0
    threads: int = 0


def costs_view(context: ExportContext, hand: str) -> CostsView | None:
    """Return the forms of the model in hand, or of the one whose forms are in hand; None where there are none."""
    name = model_in_hand(context, hand)
    if not name:
        return None
    try:
        model = library.find(context.workspace, name)
        forms = model_forms.of_folder(model.path)
        if forms is None and record.of_model(model.path) is None:
            return None
    except Problem:
        return None  # told by the head
    source = library.current_name(context.workspace, str(forms.source) if forms else model.name)
    newest, found = model_forms.of_one_comparison(model_forms.of_source(context.workspace, source))
    if not found:
        return None
    rows = sorted((_row(folder.name, form) for folder, form in found), key=lambda row: -row.size)
    if newest is None:
        return CostsView(source, tuple(rows))
    whole = FormRow("16-bit", source, "", newest.reference_size, newest.reference, whole=True)
    about = newest.reference
    facts = (
        part_names.in_workspace(context.workspace, str(about.rows_from)),
        about.rows,
        about.positions,
        about.threads,
    )
    return CostsView(source, (whole, *rows), _chart([whole, *rows]), *facts)


def _row(folder: str, form: Form) -> FormRow:
    parity = form.parity
    return FormRow(
        type=str(form.type),
        folder=folder,
        file=str(form.file),
        size=form.size,
        cost=form.cost,
        answer=str(form.answer)[:ANSWER],
        importance=str(form.calibration) if form.importance else "",
        fallbacks=form.fallbacks,
        same=parity.same if parity else None,
        seams=len(parity.seams) if parity else 0,
        compared=parity.compared if parity else 0,
        differs=", ".join(map(str, parity.differs)) if parity else "",
        fault=form.fault,
    )


def _chart(rows: list[FormRow]) -> Chart | None:
    """Return the chart of those that were measured, None where they are less than two."""
    known = [row for row in rows if row.cost and finite(row.cost.kl) is not None and row.size > 0]
    if len(known) < 2:
        return None
    sizes = [math.log2(row.size) for row in known]
    low, high = min(sizes), max(sizes)
    most = max(row.cost.kl for row in known) or 1.0
    points = []
    for row in known:
        x = EDGE + (WIDTH - 2 * EDGE) * (math.log2(row.size) - low) / ((high - low) or 1.0)
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * math.sqrt(row.cost.kl / most)
        label, anchor = (x - 9, "end") if x > WIDTH - 2 * EDGE else (x + 9, "start")
        points.append(Point(row.type, round(x, 1), round(y, 1), round(label, 1), anchor))
    return Chart(tuple(points), size(2**low), size(2**high), f"{most:.3f}")

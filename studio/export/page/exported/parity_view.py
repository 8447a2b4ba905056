"""Forms of a template beside training: a matrix of conversations and forms, and each first difference in its place."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from studio.core.jobs import Job
from studio.core.storage import records
from studio.export.page.context import ExportContext, model_in_hand
from studio.export.page.listing.export_head import JobState, job_state
from studio.export.template_forms.parity_record import FORMS, ParityRecord
from studio.export.template_forms.template_service import KIND
from studio.export.templates.cases import CASES
from studio.export.templates.form_files import FILES
from studio.export.templates.parity import Comparison, Difference

TEMPLATE = "export/page/exported/parity_view.html"


@dataclass(frozen=True)
class Cell:
    """A conversation in one form. verdict: "same", "seam", "different" or "cannot"."""

    verdict: str
    comparison: Comparison


@dataclass(frozen=True)
class Column:
    """A form with what became of all conversations in it. missing, added: stop words against training."""

    form: str
    same: int
    seam: int
    cannot: int
    different: int
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A conversation in all forms."""

    case: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Shown:
    """A first difference in its place, with the comparison that tells what it does. also: further cases in which this
    form has a difference of this kind.
    """

    comparison: Comparison
    difference: Difference
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Text:
    """A form as its engine takes it."""

    form: str
    file: str
    text: str


@dataclass(frozen=True)
class ParityView:
    """A comparison: on its way (job), or done. offered: the model for which one can be begun here. all_forms: what can
    be compared once more engines were fetched, none where all are here.
    """

    offered: str = ""
    job: JobState | None = None
    model: str = ""
    template: str = ""
    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = ()
    shown: tuple[Shown, ...] = ()
    texts: tuple[Text, ...] = ()
    all_forms: tuple[str, ...] = ()


def parity_of_job(context: ExportContext, id: str) -> ParityView | None:
    """Return a comparison by its job, None where none is in hand, or it was taken off the list. Raises Problem where
    it cannot be read.
    """
    job = next((one for one in context.jobs.all(KIND) if one.id == id), None)
    return None if job is None else _view(context, job, "", with_texts=True)


def parity_of_model(context: ExportContext, hand: str) -> ParityView | None:
    """Return the newest comparison of the model in hand, and the way to a new one. Raises Problem as above."""
    name = model_in_hand(context, hand)
    if not name:
        return None
    job = next((one for one in context.jobs.all(KIND) if one.facts.get("model") == name), None)
    found = ParityView(name) if job is None else _view(context, job, name, with_texts=False)
    if not (fetched := context.templates.on_demand()):
        return found
    known = context.templates.forms(name)
    return replace(found, all_forms=tuple(form for form in FORMS if form in (*known, *fetched)))


def _view(context: ExportContext, job: Job, offered: str, with_texts: bool) -> ParityView:
    if job.state != "finished":
        return ParityView(offered, job_state(context, job))
    found = records.typed(job.result, ParityRecord, job.id)
    by_case = {(one.form, one.case): one.comparison() for one in found.cases}
    forms = list(dict.fromkeys(one.form for one in found.cases))
    rows = [
        Row(case.name, tuple(_cell(by_case[form, case.name]) for form in forms if (form, case.name) in by_case))
        for case in CASES
    ]
    return ParityView(
        offered=offered,
        model=str(found.model),
        template=found.template,
        columns=tuple(_column(form, found) for form in forms),
        rows=tuple(rows),
        shown=tuple(_shown(list(by_case.values()))),
        texts=tuple(Text(form, FILES[form], str(text)) for form, text in found.texts.items() if form in FILES)
        if with_texts
        else (),
    )


def _shown(compared: list[Comparison]) -> Iterator[Shown]:
    """Yield one difference of each kind that a form has."""
    kinds: dict[tuple[str, str], list[Comparison]] = {}
    for one in compared:
        if one.difference and one.difference.kind != "seam":
            kinds.setdefault((one.form, one.difference.kind), []).append(one)
    for first, *others in kinds.values():
        yield Shown(first, first.difference, tuple(other.case for other in others))


def _cell(one: Comparison) -> Cell:
    if one.difference is None:
        return Cell("same" if one.same else "cannot", one)
    return Cell("seam" if one.difference.kind == "seam" else "different", one)


def _column(form: str, found: ParityRecord) -> Column:
    verdicts = [_cell(one.comparison()).verdict for one in found.cases if one.form == form]
    counts = {name: verdicts.count(name) for name in ("same", "seam", "cannot", "different")}
    stops = next((one for one in found.stops if one.form == form), None)
    missing, added = (map(str, stops.missing), map(str, stops.added)) if stops else ((), ())
    return Column(form, **counts, missing=tuple(missing), added=tuple(added))

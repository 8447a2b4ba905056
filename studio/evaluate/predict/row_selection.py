"""The rows of an evaluation, chosen and written down before the first question."""

import json

from studio.core.i18n import Problem
from studio.core.jobs import Job
from studio.core.plain import plain
from studio.core.storage.atomic import write_whole
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Event
from studio.evaluate.predict import row_sources
from studio.evaluate.predict.questions import Conversion
from studio.evaluate.predict.row_sources import RowSource
from studio.evaluate.predict.training_overlap import TrainingOverlap
from studio.evaluate.settings import PredictSettings, Request

WRITTEN = "rows"  # the event after which the rows stand
NOTED = 20  # rows that were left out are told one by one up to so many
PAGE = 1000


def sources(collection: Collection, request: Request, are_chosen: bool = False) -> dict[str, RowSource]:
    """Return the datasets of an evaluation by their names, indexed: after a new start of the studio none is.

    `are_chosen`: its rows were chosen before. Raises Problem where one cannot be used.
    """
    found = {
        name: row_sources.find(collection, name, request.targets, are_chosen) for name in dict.fromkeys(request.parts)
    }
    for source in found.values():
        source.count()
    return found


def rows_of(evaluation: Evaluation, collection: Collection, job: Job) -> list[EvaluatedRow]:
    """Return the rows of an evaluation, chosen and written down where that was not done before.

    Raises:
        Problem: a dataset cannot be used, none of its rows can be asked, or the disk refuses.
        Stopped: the person stopped the job.
    """
    if not any(event.event == WRITTEN for event in evaluation.read(Event)):
        rows, left_out = _chosen(evaluation.request(), collection, job)
        lines = (json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in rows)
        write_whole(evaluation.file(EvaluatedRow), "".join(lines), beyond="replace")
        for fault in left_out[:NOTED]:
            evaluation.note("left_out", fault.key, **fault.facts)
        evaluation.note(WRITTEN, count=len(rows), left_out=len(left_out))
    return evaluation.read(EvaluatedRow)


def _chosen(request: Request, collection: Collection, job: Job) -> tuple[list[EvaluatedRow], list[Problem]]:
    settings = request.predict or PredictSettings()
    job.report(None, "evaluate.reading")
    overlap = TrainingOverlap(collection, request.targets, job.check)
    rows: list[EvaluatedRow] = []
    left_out: list[Problem] = list(overlap.untold.values())
    for source in sources(collection, request).values():
        conversion, before, shape = Conversion(source), len(rows), source.shape
        numbers = source.chosen(settings.rows, settings.choose, settings.seed)
        for start in range(0, len(numbers), PAGE):
            job.check()
            for place, value in source.values(numbers[start : start + PAGE]):
                try:
                    if isinstance(value, Problem):
                        raise value
                    rows.append(conversion.row(len(rows), place, value, overlap.of(value, shape)))
                except Problem as fault:
                    left_out.append(fault)
        if len(rows) == before:
            why = left_out[-1] if left_out else None
            raise Problem(
                "evaluate.no_rows", dataset=source.name, reason=plain(why.facts.get("reason", "")) if why else ""
            )
    return rows, left_out

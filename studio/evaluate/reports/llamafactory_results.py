"""The files that LLaMA-Factory's own `do_predict` leaves, so that scripts made for it go on working.

For each target a folder `<number>-<short name>/` with `generated_predictions.jsonl` ({"prompt", "predict", "label"} a
line), `predict_results.json` and `all_results.json` (predict_bleu-4, predict_rouge-1 ..., predict_runtime ...).
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage.atomic import move, scratch, write_whole
from studio.evaluate.evaluation import EvaluatedRow, Prediction
from studio.evaluate.reports.row_query import RowQuery
from studio.evaluate.reports.row_table import RowTable, TableRow
from studio.inference import target_names

AT_ONCE = 500  # rows that are read at a time
SCORES = {
    "predict_bleu-4": "lf_bleu4",
    "predict_rouge-1": "lf_rouge1",
    "predict_rouge-2": "lf_rouge2",
    "predict_rouge-l": "lf_rougel",
}
_UNFIT = re.compile(r"[^\w.@+-]+")


def folder(table: RowTable, target: str) -> Path:
    """Return the folder of a target's files."""
    return table.evaluation.folder / folder_name(table.targets.index(target) + 1, target)


def folder_name(number: int, target: str) -> str:
    """Return the name of the folder of a target's files; `number` is its place among the targets, from 1."""
    short = _UNFIT.sub("-", target_names.short(target)).strip("-.")[:60]
    return f"{number}-{short or 'model'}"


def write(table: RowTable) -> list[Path]:
    """Write the files of every target that has answered, and return their folders. Raises Problem where the disk
    refuses.
    """
    table.grow_scores()
    table.answers.grow()
    written = []
    for code, target in enumerate(table.targets):
        if not table.size or not table.answers.answered(code).any():
            continue
        place = folder(table, target)
        _write_predictions(table, target, place)
        results = json.dumps(_results(table, target), indent=4, sort_keys=True)
        for name in ("predict_results.json", "all_results.json"):
            write_whole(place / name, results + "\n")
        written.append(place)
    return written


def rows(table: RowTable) -> Iterator[TableRow]:
    """Yield all rows of a table in the order of the data, some of them in memory at a time."""
    for offset in range(0, table.count, AT_ONCE):
        yield from table.page(RowQuery(), offset, AT_ONCE).rows


def _write_predictions(table: RowTable, target: str, place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        with scratch(place) as made:
            whole = made / "generated_predictions.jsonl"
            with open(whole, "w", encoding="utf-8", errors="replace") as file:
                for row in rows(table):
                    if row.row is not None and target in row.predictions:
                        file.write(json.dumps(_prediction(row.row, row.predictions[target]), ensure_ascii=False) + "\n")
            move(whole, place / whole.name)
    except OSError as error:
        raise Problem("workspace.unwritable", path=place, reason=reasons.of(error)) from error


def _prediction(row: EvaluatedRow, answer: Prediction) -> dict[str, str]:
    """Return a line as LLaMA-Factory writes it; a served model's prompt is the texts that it was sent."""
    sent = "\n".join([row.system] * bool(row.system) + [str(one.get("content") or "") for one in row.messages])
    return {
        "prompt": sent if answer.prompt is None else answer.prompt,
        "predict": answer.text,
        "label": (row.reference or "") if answer.label is None else answer.label,
    }


def _results(table: RowTable, target: str) -> dict[str, float]:
    """Return the averages under LLaMA-Factory's names, and its figures of time."""
    code = table.targets.index(target)
    found = {}
    for name, metric in SCORES.items():
        values = table.column(metric)[:, code]
        if numpy.isfinite(values).any():
            found[name] = float(numpy.mean(values[numpy.isfinite(values)]))
    seconds, count = table.answers.seconds(code), int(table.answers.answered(code).sum())
    found["predict_runtime"] = round(seconds, 4)
    if seconds:
        batch = table.evaluation.request().settings.batch
        found["predict_samples_per_second"] = round(count / seconds, 3)
        found["predict_steps_per_second"] = round(math.ceil(count / batch) / seconds, 3)
    return found

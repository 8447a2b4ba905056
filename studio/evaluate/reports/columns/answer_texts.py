"""The texts of answers beside those that were expected, from the files of an evaluation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from studio.evaluate.reports.columns.growing import parsed
from studio.evaluate.reports.columns.line_index import LineIndex


@dataclass(frozen=True)
class AnswerText:
    """One answer: its row, the number of its target, its text. reference: as the model's template has it, else as the
    row has it; None where there is none, or the answer failed.
    """

    row: int
    code: int
    text: str
    reference: str | None


def answer_texts(found: Iterable[object], rows: LineIndex, codes: dict[str, int]) -> Iterator[AnswerText]:
    """Yield the answers among records of `predictions.jsonl`, in their order; what is none is passed over.

    Args:
        codes: the number of each target by its name.
    """
    answers = [record for record in found if _is_answer(record, rows, codes)]
    # (-1, 0) is no row: what has a label of its own needs none
    lines = rows.lines([(-1 if isinstance(one.get("label"), str) else one["row"], 0) for one in answers])
    for answer, line in zip(answers, lines, strict=True):
        row = next(parsed(line), None) if line else None
        reference = row.get("reference") if isinstance(row, dict) else answer.get("label")
        known = isinstance(reference, str) and answer.get("finished") != "failed"
        yield AnswerText(answer["row"], codes[answer["target"]], answer["text"], reference if known else None)


def _is_answer(record: object, rows: LineIndex, codes: dict[str, int]) -> bool:
    return (
        isinstance(record, dict)
        and type(record.get("row")) is int  # true is none
        and 0 <= record["row"] < rows.count
        and isinstance(record.get("target"), str)
        and record["target"] in codes
        and isinstance(record.get("text"), str)
    )

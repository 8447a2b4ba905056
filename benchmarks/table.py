"""An evaluation of 100,000 rows and two models: the first page of its rows, sorting, searching, its summary."""

import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.browse import alone
from benchmarks.report import Row, shown

RUNS = 3
ROWS = 100_000
REACH_FIRST_S = 0.5
REACH_SORT_S = 1.0
TARGETS = ["base", "base/lora/first"]
_WORDS = "the model answers a question about trains and 模型 回答 数据 with words that are drawn".split(" ")


def measure(runs: int, quick: bool) -> list[Row]:
    """Write an evaluation, look at it in processes of its own, and return a row for each thing that is waited for."""
    count = ROWS // 20 if quick else ROWS
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = make(Path(name), count)
        found = [alone(_look, folder) for _ in range(runs)]

    def row(title: str, key: str, reach: float | None = None) -> Row:
        times = [one[key] for one in found]
        what = f"{count:,} rows x {len(TARGETS)} models: {title}"
        return Row(
            "table",
            what,
            shown(times),
            "",
            "",
            f"under {reach:g} s" if reach else "",
            max(times) < reach if reach else None,
        )

    return [
        row("first page, files unread before", "first_s", REACH_FIRST_S),
        row("first sort, by what lost the most", "sort_s", REACH_SORT_S),
        row("another sort", "again_s", REACH_SORT_S),
        row("search in all texts", "search_s"),
        row("summary with intervals and tests", "summary_s"),
    ]


def make(root: Path, count: int) -> Path:
    """Write an evaluation of so many rows, its answers in the order of another dice, and return the workspace."""
    from studio.core.workspace import Workspace
    from studio.evaluate.evaluation import EvaluatedRow, Prediction, RowScores
    from studio.evaluate.evaluations import Evaluations
    from studio.evaluate.settings import PredictSettings

    evaluation = Evaluations(Workspace(root)).create("predict", TARGETS, ["drawn"], PredictSettings())
    chance = random.Random(1)
    texts = [" ".join(chance.choices(_WORDS, k=40)) for _ in range(500)]
    numbers = list(range(count))

    def rows() -> Iterator[EvaluatedRow]:
        for number in range(count):
            question = {"role": "user", "content": f"Question {number}: {texts[number % 500]}"}
            yield EvaluatedRow(
                row=number, dataset="drawn", source=number, messages=[question], reference=texts[number * 7 % 500]
            )

    def answers() -> Iterator[Prediction]:
        for target in TARGETS:
            chance.shuffle(numbers)
            for number in numbers:
                yield Prediction(row=number, target=target, text=texts[number * 3 % 500], tokens=40, seconds=0.1)

    def scores() -> Iterator[RowScores]:
        for code, target in enumerate(TARGETS):
            for number in range(count):
                of_row = {
                    key: round(min(100.0, chance.gauss(40 + 5 * code, 15)), 4) for key in ("lf_bleu4", "lf_rougel")
                }
                of_row |= {key: chance.random() for key in ("f1", "length_ratio", "repetition", "loss")}
                yield RowScores(row=number, target=target, scores=of_row)

    for kind, made in ((EvaluatedRow, rows()), (Prediction, answers()), (RowScores, scores())):
        with open(evaluation.file(kind), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(one.model_dump(), ensure_ascii=False) + "\n" for one in made)
    return root


def _look(root: Path) -> dict:
    from studio.core.workspace import Workspace
    from studio.evaluate.evaluations import Evaluations
    from studio.evaluate.reports.report import Reports
    from studio.evaluate.reports.row_query import RowQuery

    evaluations = Evaluations(Workspace(root))
    id = evaluations.all()[0].id
    reports = Reports(evaluations)
    times: dict[str, float] = {}

    def timed(name: str, work):
        began = time.perf_counter()
        result = work()
        times[name] = time.perf_counter() - began
        return result

    first = timed("first_s", lambda: reports.table(id).page(RowQuery()))
    table = reports.table(id)
    if len(first.rows) != 20 or len(first.rows[0].predictions) != len(TARGETS):
        raise RuntimeError("not the first page")
    timed("sort_s", lambda: table.page(RowQuery(sort="change:f1")))
    timed("again_s", lambda: table.page(RowQuery(sort="-lf_rougel", target=TARGETS[1])))
    last = timed("search_s", lambda: table.page(RowQuery(find=f"question {first.all - 1}:")))
    if [row.number for row in last.rows] != [first.all - 1]:
        raise RuntimeError("the last row was not found")
    timed("summary_s", lambda: reports.summary(id))
    return times

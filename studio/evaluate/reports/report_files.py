"""An evaluation as a file to take away: its rows as CSV or JSON, its summary as Markdown."""

import json

from studio.core import formatting
from studio.core.i18n import Words
from studio.core.storage.csv_text import csv_text
from studio.evaluate import part_names
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.llamafactory_results import rows
from studio.evaluate.reports.row_table import RowTable, TableRow
from studio.evaluate.reports.summary import Group, Summary, shown_p
from studio.evaluate.reports.verdicts.verdict_tables import (
    RATES,
    confusion_sentence,
    confusion_values,
    judged_sentence,
    judged_values,
    label_lines,
)
from studio.evaluate.scores.classification import Confusion
from studio.evaluate.settings import Request
from studio.inference.target_names import short

FORMS = ("csv", "json", "md")


def text(form: str, request: Request, table: RowTable, made: Summary, words: Words) -> str:
    """Return an evaluation in a form of FORMS."""
    if form == "csv":
        return as_csv(table)
    return as_json(request, table, made) if form == "json" else as_markdown(request, made, words)


def as_csv(table: RowTable) -> str:
    """Return all rows: a line each, with answer and scores of every target."""
    table.grow_scores()
    metrics = table.metrics
    scored = [f"{metric} · {target}" for target in table.targets for metric in metrics]
    answered = [f"answer · {target}" for target in table.targets]
    head = ["row", "dataset", "source", "question", "reference", *answered, *scored]
    return csv_text([head, *(_cells(one, table.targets, metrics) for one in rows(table))])


def _cells(one: TableRow, targets: list[str], metrics: tuple[str, ...]) -> list:
    row = one.row
    texts = [row.dataset, row.source, question(one), row.reference or ""] if row else ["", "", "", ""]
    answers = [one.predictions[target].text if target in one.predictions else "" for target in targets]
    scores = [one.scores.get(target, {}).get(metric, "") for target in targets for metric in metrics]
    return [one.number, *texts, *answers, *scores]


def question(one: TableRow) -> str:
    """Return the last thing that was asked in a row."""
    messages = one.row.messages if one.row else []
    return str(messages[-1].get("content") or "") if messages else ""


def as_json(request: Request, table: RowTable, made: Summary) -> str:
    """Return request, scores and rows as one object of JSON."""
    whole = {
        "request": request.model_dump(),
        "scores": scores(made),
        "labels": {target: confusion_values(one) for target, one in made.confusions.items()},
        "judged": {target: judged_values(one) for target, one in made.judged.items()},
        "rows": [row_values(one) for one in rows(table)],
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def scores(made: Summary) -> dict[str, dict[str, dict]]:
    """Return {target: {metric: {value, low, high, count}}}, with the difference to the first target if there is one."""
    found: dict[str, dict[str, dict]] = {}
    for target in made.targets:
        found[target] = {metric: dict(vars(one)) for metric, one in made.scores[target].items()}
        for metric, one in made.differences[target].items():
            found[target][metric]["difference"] = vars(one) | {"is_noise": one.is_noise}
    return found


def row_values(one: TableRow) -> dict:
    """Return a row with its answers and scores as JSON."""
    row = one.row.model_dump(exclude={"row"}) if one.row else {}
    answers = {
        target: answer.model_dump(exclude={"row", "target", "prompt", "label"})
        for target, answer in one.predictions.items()
    }
    return {"row": one.number, **row, "answers": answers, "scores": one.scores}


def as_markdown(request: Request, made: Summary, words: Words) -> str:
    """Return the summary as Markdown: the sentences, a table of scores, and one of each dataset or subject."""
    lines = [
        f"# {_cell(_told(part_names.title(request, short), words))}",
        "",
        f"{formatting.moment(request.created)} · {_cell(_told(part_names.shown(request.parts, short), words))}",
        "",
    ]
    lines += [f"{one.tell(words)}\n" for one in made.sentences]
    names = [metric_facts.told(one, words) for one in made.metrics]
    lines += ["| | " + " | ".join(map(_cell, names)) + " |", "|---" * (len(names) + 1) + "|"]
    for target in made.targets:
        lines.append(
            f"| {_cell(target)} | " + " | ".join(_score(made, target, metric) for metric in made.metrics) + " |"
        )
    for title, groups in (("datasets", made.datasets), ("subjects", made.subjects), ("categories", made.categories)):
        if groups:
            lines += ["", f"## {words(f'results.{title}')}", "", *_groups(made, groups, words)]
    if made.confusions:
        lines += ["", f"## {words('results.labels')}"]
        for target, one in made.confusions.items():
            lines += ["", confusion_sentence(short(target), one).tell(words), "", *_labels(one, words)]
    if made.judged:
        lines += ["", f"## {words('results.metric_judge')}", ""]
        lines += [f"{judged_sentence(made, target, short).tell(words)}\n" for target in made.judged]
    return "\n".join(lines) + "\n"


def _score(made: Summary, target: str, metric: str) -> str:
    one, difference = made.scores[target].get(metric), made.differences[target].get(metric)
    if one is None:
        return formatting.NONE
    value, low, high = (metric_facts.shown(number, metric) for number in (one.value, one.low, one.high))
    shown = f"{value} ({low}–{high})"
    if difference is None:
        return shown
    return f"{shown}, {metric_facts.shown(difference.value, metric, signed=True)}, p {shown_p(difference.p)}"


def _groups(made: Summary, groups: tuple[Group, ...], words: Words) -> list[str]:
    lines = ["| | " + " | ".join(map(_cell, made.targets)) + " |", "|---" * (len(made.targets) + 1) + "|"]
    for one in groups:
        cells = [
            metric_facts.shown(one.scores[target].value, made.headline) if target in one.scores else formatting.NONE
            for target in made.targets
        ]
        name = _told(part_names.shown([one.name], short), words)
        lines.append(f"| {_cell(name)} ({one.rows}) | " + " | ".join(cells) + " |")
    return lines


def _labels(one: Confusion, words: Words) -> list[str]:
    """Return a table: a line a label of the references, a column a label of the answers, and the rates."""
    names = [*map(_cell, one.labels), words("evaluating.no_label"), *(words(f"results.rate_{name}") for name in RATES)]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for label, counts, rates in label_lines(one):
        lines.append(f"| {_cell(label)} | " + " | ".join([*(f"{count:,}" for count in counts), *rates]) + " |")
    return lines


def _told(name: part_names.Name, words: Words) -> str:
    return words("evaluating.plain", text=name)


def _cell(text: object) -> str:
    """Return a text as it can stand in a cell of a table of Markdown."""
    return " ".join(str(text).replace("|", "\\|").replace("<", "&lt;").split())

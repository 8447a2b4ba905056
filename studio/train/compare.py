"""Runs side by side: their results, and the settings in which they differ."""

from markupsafe import escape

from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.train import panel, runs
from studio.web.live import attribute

# Folders differ in every run and say nothing of it.
PASSED_OVER = {"output_dir", "dataset_dir"}
MOST = 8


def differences(recipes: list[dict]) -> dict[str, list]:
    """Return {setting: [its value in each recipe, None where it is not said]} of the settings that are not the same in
    all.
    """
    names = dict.fromkeys(name for recipe in recipes for name in recipe if name not in PASSED_OVER)
    rows = {name: [recipe.get(name) for recipe in recipes] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values[1:])}


def best_loss(status: runs.Status, name: str = "loss") -> float | None:
    """Return the lowest value of a series, None where it has no number."""
    return min((point[1] for point in status.series.get(name, []) if isinstance(point[1], (int, float))), default=None)


def draw(words: Words, workspace: Workspace, arg: str) -> str:
    """Return the table of the runs named in `arg`, joined by `|`: results first, then the settings that differ."""
    names = [name for name in arg.split("|") if name][:MOST]
    if len(names) < 2:
        return f'<p class="hint">{words("train.compare_hint")}</p>'
    found, told = _found(words, workspace, names)
    if not found:
        return told
    statuses = [runs.status(run) for run in found]
    short = [run.name.split("/")[-1] for run in found]
    heads = [one if short.count(one) == 1 else run.name for one, run in zip(short, found, strict=True)]
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    took = [status.ended - status.started if status.ended and status.started else None for status in statuses]
    results = {
        words("train.column_state"): [words(f"train.state_{status.state}") for status in statuses],
        words("train.column_loss"): [panel.number(status.loss) for status in statuses],
        words("train.column_best"): [panel.number(best_loss(status)) for status in statuses],
        words("train.eval_loss"): [panel.number(best_loss(status, "eval_loss")) for status in statuses],
        words("train.steps"): [panel.steps(status) for status in statuses],
        words("train.column_time"): [panel.duration(seconds) if seconds else "–" for seconds in took],
    }
    settings = differences([run.recipe_if_any() for run in found])
    part = (
        f'<tr class="part"><th colspan="{len(found) + 1}">{words("train.different_settings")}</th></tr>'
        if settings
        else ""
    )
    rows = (
        _rows(results)
        + part
        + _rows({name: ["–" if value is None else str(value) for value in values] for name, values in settings.items()})
    )
    return f'{told}<table class="compare"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _found(words: Words, workspace: Workspace, names: list[str]) -> tuple[list[runs.Run], str]:
    """Return the runs that are there, and what is to be told of the names that stand for none: the others are compared
    all the same.
    """
    found, faults = [], []
    for name in names:
        try:
            found.append(runs.find(workspace, name))
        except Problem as fault:
            faults.append(f'<p class="warning">{escape(words.tell(fault))}</p>')
    return found, "".join(faults)


def _rows(table: dict[str, list[str]]) -> str:
    return "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        for name, values in table.items()
    )


def chart(words: Words) -> str:
    """Return the element in which the page lays the curves over each other."""
    texts = attribute({"log": words("charts.log")})
    return f"<div class='compare-chart' data-follows='compare' data-arg='' data-words='{texts}'></div>"

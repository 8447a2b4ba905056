"""What the page draws of runs: pure functions from words and a run to HTML."""

import base64
import time
from collections.abc import Callable
from pathlib import Path

from markupsafe import escape

from studio.core import formatting
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs, told
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.workspace import Workspace
from studio.train import notifications, queue_panel, runs
from studio.train.execution import adoption, batch_search
from studio.train.recipe import completion
from studio.train.runs import checkpoints, manage_runs
from studio.web.live import attribute

LOG_SHOWN = 40_000
LISTED = 500
ODD_LISTED = 20
PICTURE_BYTES = 4 * 2**20


def draw_runs(words: Words, workspace: Workspace, query: str = "") -> str:
    """Return the list of runs, newest first, with state, loss and a small curve; with a query, those that fit it (see
    `fitting`).
    """
    usable, unusable = runs.usable_and_odd(workspace)
    found = fitting(usable, query)
    rows = "".join(_row(words, run) for run in found[:LISTED])
    new = (
        f'<button class="item item-new" data-pick="run:">{words("train.new_run")}</button><button class="item item-new'
        f' item-compare" data-pick="view:compare">{words("train.compare_selected")}</button>'
    )
    odd = "" if query.strip() else _odd(words, unusable)
    return new + (rows or f'<p class="hint">{words("train.none_fits" if query.strip() else "train.no_runs")}</p>') + odd


def _odd(words: Words, odd: dict[str, Problem]) -> str:
    """Return a line for each folder that looks like a run and cannot be used as one, with the reason."""
    rows = [f'<p class="warning">{escape(words.tell(fault))}</p>' for _, fault in sorted(odd.items())[:ODD_LISTED]]
    rest = (
        f'<p class="hint">{words.html("train.odd_more", count=len(odd) - ODD_LISTED)}</p>'
        if len(odd) > ODD_LISTED
        else ""
    )
    return "".join(rows) + rest


def fitting(found: list[runs.Run], query: str) -> list[runs.Run]:
    """Return the runs in whose name, state, data, note or star every word of the query occurs.

    `sort:loss`, `sort:time` and `sort:name` in it order them: lowest loss, longest time, by name.
    """
    wanted = query.lower().split()
    order = next((word.removeprefix("sort:") for word in wanted if word.startswith("sort:")), "")
    wanted = [word for word in wanted if not word.startswith("sort:")]
    kept = [run for run in found if all(word in _told_of(run) for word in wanted)] if wanted else found
    if order == "name":
        return sorted(kept, key=lambda run: run.name)
    if order == "loss":
        return sorted(kept, key=lambda run: (runs.status(run).loss is None, runs.status(run).loss or 0))
    if order == "time":
        return sorted(
            kept, key=lambda run: (runs.status(run).ended or 0) - (runs.status(run).started or 0), reverse=True
        )
    return kept


def _told_of(run: runs.Run) -> str:
    info, dataset = run.info(), run.recipe_if_any().get("dataset", "")
    return (
        f"{run.name} {runs.status(run).state} {dataset} {info.get('note', '')} {info.get('title', '')}"
        f" {'star' if info.get('star') else ''}".lower()
    )


def _row(words: Words, run: runs.Run) -> str:
    status = runs.status(run)
    model, method, name = run.name.split("/")
    detail = steps(status) if status.state in runs.ACTIVE and status.total_steps else number(status.loss)
    faults = " ".join(words.tell(fault) for fault in run.faults(status))
    mark = f'<span class="badge" title="{escape(faults)}" aria-label="{escape(faults)}">!</span>' if faults else ""
    return (
        f'<div class="item-row"><input type="checkbox" data-tick="{escape(run.name)}"'
        f' aria-label="{words("train.tick")}"><button class="item" data-pick="run:{escape(run.name)}"><span'
        ' class="item-top"><i class="dot'
        f' {escape(status.state)}"></i><b>{"★ " if run.info().get("star") else ""}{escape(name)}</b>{mark}{_spark(status)}</span><span'
        f' class="item-sub"><span>{escape(model)} · {escape(method)}</span><span'
        f' class="num">{words("train.state_" + status.state)} {escape(detail)}</span></span></button></div>'
    )


def _spark(status: runs.Status) -> str:
    points = [point for point in status.series.get("loss", []) if isinstance(point[1], (int, float))]
    if len(points) < 2:
        return ""
    points = points[:: max(1, len(points) // 60)]
    low, high = min(point[1] for point in points), max(point[1] for point in points)
    last = points[-1][0] or 1
    line = " ".join(
        f"{56 * point[0] / last:.1f},{13 - 12 * (point[1] - low) / ((high - low) or 1):.1f}" for point in points
    )
    return f'<svg class="spark" viewBox="0 0 56 14" aria-hidden="true"><polyline points="{line}"/></svg>'


def draw_now(words: Words, workspace: Workspace) -> str:
    """Return the job at work, for the sidebar: which run, how far, how long still, and a Stop button."""
    active = [run for run in runs.all_runs(workspace)[:LISTED] if runs.status(run).state in runs.ACTIVE]
    if not active:
        return f'<h3>{words("train.now")}</h3><p class="hint">{words("train.nothing_runs")}</p>'
    run = next((run for run in active if runs.status(run).state != "queued"), active[0])
    status = runs.status(run)
    stop = (
        _call(words("train.stop_and_save"), "train_stop", [run.name, True], "small")
        if status.state in ("running", "queued")
        else ""
    )
    return (
        f'<h3>{words("train.now")}</h3><div class="now"><button class="link" data-go="room-train"'
        f' data-pick="run:{escape(run.name)}">'
        f"{escape(run.name.split('/')[2])}</button>{_progress(words, run, status)}{stop}</div>{queue_panel.draw(words, workspace)}"
    )


def draw_run(words: Words, workspace: Workspace, name: str) -> str:
    """Return the head of a run: state, progress, numbers, facts, the fault if it has one, and what can be done."""
    if not name:
        return ""
    run = runs.find(workspace, name)
    status = runs.status(run)
    model, method, short = run.name.split("/")
    return (
        f'<header class="run-head"><div><h2>{escape(short)}</h2><p class="hint">{escape(model)} · {escape(method)} · '
        f"{_when(status.started or run.info().get('created'))}</p></div><div"
        f' class="actions">{_actions(words, run, status)}</div></header>'
        f"{_progress(words, run, status)}{_fault(words, run, status)}{_damage(words, run, status)}{_warnings(words, status)}"
        f"{_numbers(words, status)}{_facts(words, status)}"
        f"{_housekeeping(words, run, status)}"
    )


def _actions(words: Words, run: runs.Run, status: runs.Status) -> str:
    if status.state == "queued":
        return _call(words("train.queue_first"), "train_queue_move", [run.name, 0], "") + _call(
            words("train.queue_remove"), "train_queue_remove", [run.name], "danger"
        )
    if status.state in ("preparing", "running"):
        return _call(words("train.stop_and_save"), "train_stop", [run.name, True], "primary") + _call(
            words("train.abort"), "train_stop", [run.name, False], "danger", ask=words("train.abort_sure")
        )
    if status.state == "stopping":
        return ""
    whole, buttons = run.checkpoints(), ""
    can_resume = bool(whole) and resumable(run)
    if can_resume and run.is_foreign and adoption.missing(run):
        buttons += _resume_with_data(words, run, None, "") if status.state != "finished" else ""
        can_resume = False
    elif status.state != "finished" and can_resume:
        buttons += _call(words("train.resume"), "train_resume", [run.name, None, None], "")
    elif status.state == "interrupted" and not run.is_foreign:
        buttons += _call(words("train.restart"), "train_restart", [run.name], "")
    if can_resume:
        buttons += _asked(
            words("checkpoints.more_epochs"),
            "train_resume",
            [run.name, None],
            words("checkpoints.epochs_prompt", had=f"{status.epoch:.3g}"),
            now=None,
        )
    if whole or runs.has_weights(run.folder):
        buttons += compare_button(words("train.compare"), run.name, "primary")
    return buttons


def _resume_with_data(words: Words, run: runs.Run, checkpoint: str | None, look: str) -> str:
    """Return a button that asks for the data of a run whose files do not say it, then goes on from a checkpoint."""
    label = words("train.resume") if checkpoint is None else words("checkpoints.resume_here")
    return _asked(label, "train_resume", [run.name, checkpoint, None], words("train.resume_dataset"), look=look)


def _housekeeping(words: Words, run: runs.Run, status: runs.Status) -> str:
    """Return the small actions on a run that is over: use its recipe again, a star, a note, delete."""
    if status.state in runs.ACTIVE:
        return ""
    info = run.info()
    note = f'<p class="hint">{escape(info["note"])}</p>' if info.get("note") else ""
    freed = f"{manage_runs.size(run) / 2**20:,.0f}"
    return (
        '<div class="actions small-actions">'
        + _again(words("train.again"), run, {})
        + _call(words("train.unstar" if info.get("star") else "train.star"), "train_star", [run.name], "small")
        + _asked(
            words("train.note"), "train_note", [run.name], words("train.note_prompt"), info.get("note", ""), "small"
        )
        + _call(
            words("train.delete"),
            "train_delete",
            [run.name],
            "small danger",
            ask=words("train.delete_sure", name=run.name, megabytes=freed),
        )
        + f"</div>{note}"
    )


def _again(label: str, run: runs.Run, changes: dict) -> str:
    """Return a button that fills the form with the recipe of a run, and with changes."""
    try:
        recipe = manage_runs.again(run, changes)
    except Problem:
        return ""  # a run of another tool that left no recipe cannot be started again
    return (
        '<button class="button small" data-pick="run:"'
        f" data-give='train-given:{attribute(recipe)}'>{escape(label)}</button>"
    )


def compare_button(label: str, speaker: str, look: str) -> str:
    """Return a button that leads to Chat with a tuned model and its base chosen."""
    return (
        f'<button class="button {look}" data-go="room-chat"'
        f' data-give="chat-wish:{escape(speaker)}">{escape(label)}</button>'
    )


def _call(label: str, endpoint: str, args: list, look: str, ask: str = "") -> str:
    question = f' data-ask="{escape(ask)}"' if ask else ""
    return (
        f'<button class="button {look}" data-call="{endpoint}"'
        f" data-args='{attribute(args)}'{question}>{escape(label)}</button>"
    )


def _asked(label: str, endpoint: str, args: list, question: str, now: str | None = "", look: str = "") -> str:
    """Return a button that asks the person for the last argument of its endpoint: a text that is `now` so, or a number
    where that is None.
    """
    kind = "data-number" if now is None else f'data-now="{escape(now)}"'
    return (
        f'<button class="button {look}" data-call="{endpoint}" data-args=\'{attribute(args)}\' '
        f'data-prompt="{escape(question)}" {kind}>{escape(label)}</button>'
    )


def _resumable_step(run: runs.Run, status: runs.Status) -> int | None:
    """Return the step from which a run that did not come to its end can go on, None for any other."""
    cut_off = status.state in ("interrupted", "stopped", "failed")
    return run.resumable_step() if cut_off and resumable(run) else None


def _progress(words: Words, run: runs.Run, status: runs.Status) -> str:
    share = min(1.0, status.step / status.total_steps) if status.total_steps else 0
    left = status.eta()
    text = words("train.state_" + status.state)
    if status.total_steps:
        text += f" · {words.html('train.step_of', step=formatting.plain(status.step), total=formatting.plain(status.total_steps))}"
    if left is not None:
        text += f" · {words.html('train.left', time=duration(left))}"
    elif status.state == "preparing" and status.started:
        text += f" · {words.html('train.preparing_for', time=duration(max(0.0, time.time() - status.started)))}"
    elif status.ended and status.started:
        text += f" · {words.html('train.took', time=duration(max(0.0, status.ended - status.started)))}"
    if resumable_step := _resumable_step(run, status):
        text += f" · {words.html('train.resumable_from', step=formatting.plain(resumable_step))}"
    moving = " moving" if status.state == "preparing" else ""
    return (
        f'<div class="progress {escape(status.state)}{moving}"><div class="bar"><i'
        f' style="width:{formatting.width(share)}%"></i></div><span class="num"><i class="dot'
        f' {escape(status.state)}"></i>{text}</span></div>'
    )


def _fault(words: Words, run: runs.Run, status: runs.Status) -> str:
    if not status.error:
        return ""
    told = escape(Sentence(key=status.error["key"], facts=status.error.get("facts", {})).tell(words))
    changes = manage_runs.remedy(status.error["key"], run.recipe_if_any())
    label = words("train.again_with", changes=", ".join(f"{name} {value}" for name, value in changes.items()))
    return f'<p class="problem" role="alert">{told} {_again(label, run, changes) if changes else ""}</p>'


def _damage(words: Words, run: runs.Run, status: runs.Status) -> str:
    """Return what is wrong with the files of the run."""
    return "".join(f'<p class="warning">{escape(words.tell(fault))}</p>' for fault in run.faults(status))


def _warnings(words: Words, status: runs.Status) -> str:
    newest = {warning["key"]: warning for warning in status.warnings}
    told = [Sentence(key=key, facts=warning.get("facts", {})).tell(words) for key, warning in newest.items()]
    if (seconds := notifications.silence(status)) is not None:
        told.append(words("train.warn_silent", time=duration(seconds)))
    return "".join(f'<p class="warning">{escape(sentence)}</p>' for sentence in told)


def draw_samples(words: Words, workspace: Workspace, name: str) -> str:
    """Return what the model answered to the probe questions at each checkpoint, the newest first."""
    if not name:
        return ""
    status = runs.status(runs.find(workspace, name))
    if not status.probes:
        return f'<p class="hint">{words("train.no_probes")}</p>'
    questions = list(dict.fromkeys(answer["question"] for answer in status.probes))
    rows = "".join(
        f"<h3>{escape(question)}</h3><table>"
        + "".join(
            "<tr><td"
            f' class="num">{words.html("train.at_step", step=formatting.plain(answer["step"]))}</td><td>{escape(answer["answer"])}</td></tr>'
            for answer in reversed(status.probes)
            if answer["question"] == question
        )
        + "</table>"
        for question in questions
    )
    return f'<div class="samples">{rows}</div>'


def _numbers(words: Words, status: runs.Status) -> str:
    def last(name):
        points = status.series.get(name)
        return points[-1][1] if points else None

    shown = {
        "loss": number(status.loss),
        "learning_rate": number(last("learning_rate")),
        "grad_norm": number(last("grad_norm")),
        "tokens_per_second": number(last("tokens_per_second")),
        "epoch": f"{status.epoch:.2f}" if status.epoch else None,
        "eval_loss": number(last("eval_loss")) if last("eval_loss") is not None else None,
    }
    cells = "".join(
        f"<div><dt>{words('train.' + key)}</dt><dd>{escape(value)}</dd></div>" for key, value in shown.items() if value
    )
    return f'<dl class="numbers">{cells}</dl>' if status.series else ""


def _facts(words: Words, status: runs.Status) -> str:
    facts = status.facts
    if not facts:
        return ""
    trainable, parameters, epochs = facts.get("trainable"), facts.get("parameters"), facts.get("epochs")
    shown = {
        "examples": facts.get("examples"),
        "epochs": None if epochs is None else f"{epochs:g}",
        "total_batch": facts.get("batch"),
        "steps": facts.get("total_steps"),
        "device": facts.get("device"),
        "trainable": (
            f"{trainable:,} / {parameters:,} ({100 * trainable / parameters:.2f} %)"
            if parameters and trainable is not None
            else None
        ),
    }
    order = ("examples", "epochs", "total_batch", "steps", "trainable", "device")
    cells = "".join(
        f"<div><dt>{words('train.' + key)}</dt><dd>{'–' if shown[key] is None else escape(str(shown[key]))}</dd></div>"
        for key in order
    )
    return f'<dl class="facts">{cells}</dl>'


def draw_log(words: Words, workspace: Workspace, name: str) -> str:
    """Return the end of what the run printed."""
    if not name:
        return ""
    path = runs.find(workspace, name).log_file
    if not files.exists(path):
        return f'<p class="hint">{words("train.no_log")}</p>'
    try:
        with files.open_file(path) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_SHOWN))
            text = file.read(LOG_SHOWN).decode("utf-8", "replace")
    except OSError as error:
        raise files.unreadable(path, error) from error
    return f"<pre>{escape(text if size <= LOG_SHOWN else text[text.find(chr(10)) + 1 :])}</pre>"


def draw_checkpoints(words: Words, workspace: Workspace, name: str) -> str:
    """Return the checkpoints of a run, newest first, each leading to Chat, and the picture of its loss."""
    if not name:
        return ""
    run = runs.find(workspace, name)
    metric, values = checkpoints.measured(run, runs.status(run))
    best = checkpoints.best(metric, values)
    rows = "".join(
        _checkpoint(words, run, one, metric, values.get(one), one == best) for one in reversed(run.checkpoints())
    )
    picture = run.folder / "training_loss.png"
    plot = ""
    if 0 < files.stamp(picture)[0] <= PICTURE_BYTES and files.is_file(picture):
        with files.open_file(picture) as file:
            data = base64.b64encode(file.read(PICTURE_BYTES)).decode()
        plot = (
            '<figure><img alt="training_loss.png"'
            f' src="data:image/png;base64,{escape(data)}"><figcaption>training_loss.png</figcaption></figure>'
        )
    table = f"<table>{rows}</table>" if rows else f'<p class="hint">{words("train.no_checkpoints")}</p>'
    return f'<p class="hint">{words("train.folder")} <code>{escape(str(run.folder))}</code></p>{table}{plot}'


def _checkpoint(words: Words, run: runs.Run, name: str, metric: str, value: float | None, best: bool) -> str:
    told = (
        f'<span class="num">{words.html("checkpoints.measured", metric=metric, value=number(value))}</span>'
        if value is not None
        else ""
    )
    mark = f'<span class="badge">{words("checkpoints.best")}</span>' if best else ""
    buttons = compare_button(words("train.chat"), f"{run.name}@{name}", "small")
    if runs.status(run).state not in runs.ACTIVE and resumable(run) and run.is_foreign and adoption.missing(run):
        buttons += _resume_with_data(words, run, name, "small")
    elif runs.status(run).state not in runs.ACTIVE and resumable(run):
        ask = words("checkpoints.resume_sure", checkpoint=name)
        buttons += _call(words("checkpoints.resume_here"), "train_resume", [run.name, name, None], "small", ask=ask)
    if files.is_file(run.folder / name / "adapter_config.json"):
        buttons += _again(words("checkpoints.on_top"), run, {"adapter_name_or_path": f"{run.name}@{name}"})
    return f"<tr><td>{escape(name)}{mark}</td><td>{told}</td><td>{buttons}</td></tr>"


def resumable(run: runs.Run) -> bool:
    """Tell whether the stage and method of a run can go on from a checkpoint."""
    found = run.recipe_if_any()
    return bool(found) and not completion.starts_over(found)


def draw_recipe(words: Words, workspace: Workspace, name: str, python_of: Callable[[dict], Path | None]) -> str:
    """Return the recipe of a run and the command that trains it without the studio, each to be copied.

    `python_of` gives the Python of the environment that a recipe's stage trains in, None where it is the studio's own.
    """
    if not name:
        return ""
    run = runs.find(workspace, name)
    if not files.exists(run.recipe_file):
        return _put_together(words, run)
    try:
        text = files.read_text(run.recipe_file, LOG_SHOWN)
    except OSError as error:
        raise files.unreadable(run.recipe_file, error) from error
    try:
        python = python_of(run.recipe())
    except Problem:
        python = None  # what cannot be read is shown as it stands
    command = completion.command(run.recipe_file, python)
    return _copied(words, command) + _copied(words, text)


def _put_together(words: Words, run: runs.Run) -> str:
    """Return the recipe as the files of a run tell it that left none, and what they do not tell. No command: there is
    no file to name.
    """
    found = {name: value for name, value in run.recipe_if_any().items() if name not in manage_runs.PLACES}
    if not found:
        return f'<p class="hint">{words("train.recipe_none")}</p>'
    unknown = ", ".join(run.unknown())
    rest = f'<p class="warning">{words.html("train.recipe_unknown", unknown=unknown)}</p>' if unknown else ""
    return f'<p class="hint">{words("train.recipe_put_together")}</p>{rest}{_copied(words, completion.to_yaml(found))}'


def _copied(words: Words, text: str) -> str:
    copy = (
        f'<button class="button small" data-copy="{escape(text)}"'
        f' data-done="{words("train.copied")}">{words("train.copy")}</button>'
    )
    return f'<div class="copied">{copy}<pre>{escape(text)}</pre></div>'


def number(value: object) -> str:
    """Return a measured number as people of the field write it: 0.4213, 8.1e-04, 2,140; an en dash where there is none."""
    return formatting.measured(value)


def steps(status: runs.Status) -> str:
    """Return how far a run is, as 12/300."""
    return f"{formatting.plain(status.step)}/{formatting.plain(status.total_steps)}"


def duration(seconds: float) -> str:
    """Return seconds as 0:48, 12:05 or 3:02:10."""
    return formatting.duration(seconds)


def _when(moment: float | None) -> str:
    return formatting.moment(moment) if moment else ""


def draw_batch(words: Words, jobs: Jobs) -> str:
    """Return how far the search for the largest batch is, or what it found, with a button that puts it into the form."""
    job = next(iter(jobs.all("batch")), None)
    if job is None:
        return ""
    if job.active:
        stop = _call(words("train.stop"), "job_cancel", [job.id], "small")
        return f'<p class="hint">{escape(told(job.message, words) or words("batch.title"))} {stop}</p>'
    if job.error:
        return f'<p class="problem" role="alert">{escape(told(job.error, words))}</p>'
    if job.state != "finished":
        return ""
    found = records.typed(job.result, batch_search.Found, f"{job.id}.json")
    if not found.tried:
        return f'<p class="problem" role="alert">{words("batch.none")}</p>'
    best = found.tried[-1]
    use = (
        '<button class="button small"'
        f' data-give="train-per_device_train_batch_size:{best.batch:d}">{words.html("batch.use", batch=best.batch)}</button>'
    )
    return (
        f'<p class="hint num">{words.html("batch.found", batch=best.batch, seconds=best.seconds, gib=best.gib)}'
        f" {use}</p>"
    )

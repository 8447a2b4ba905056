"""What the page draws of prompt sheets: a table of prompts and answers, the list of sheets, and what is exported."""

import csv
import io
import json
from functools import lru_cache

from markupsafe import Markup, escape

from studio.chat import choose
from studio.chat.markdown import render
from studio.chat.sheet import Sheet, Sheets
from studio.chat.thoughts import said_of
from studio.core import formatting
from studio.core.i18n import Words
from studio.core.jobs import Job, told
from studio.web.live import attribute

ROWS = 50
FAULTS_SHOWN = 20
# An answer of more is folded: a table is for looking over many.
SHOWN_LINES, SHOWN_LETTERS = 12, 900
FIGURES = ("tokens", "first_token_s", "tokens_per_s", "finished")


def draw(words: Words, sheets: Sheets, which: str) -> str:
    """Return a sheet as a table of prompts and columns.

    `which` is its id, or `id@row` for the page that begins at that row (from 0); "" is the newest sheet.
    """
    id, _, begin = which.partition("@")
    if not id and not (newest := sheets.all()):
        return f'<p class="hint">{words("sheet.none")}</p>'
    sheet = sheets.open(id or newest[0].id)
    answers, offset = sheets.answers(sheet.id), int(begin) if begin.isdecimal() and len(begin) < 7 else 0
    unreadable = sheets.unreadable(sheet.id)
    damage = f'<p class="warning">{escape(words("sheet.lines_unreadable", count=unreadable))}</p>' if unreadable else ""
    head = "".join(f'<th title="{escape(name)}">{escape(choose.short(name))}</th>' for name in sheet.columns)
    rows = "".join(
        _row(words, sheet, number, answers.get(number)) for number in range(len(sheet.prompts))[offset : offset + ROWS]
    )
    return (
        "<div"
        f' class="run-head"><h2>{escape(sheet.title)}</h2></div>{_progress(words, sheets, sheet, len(answers))}{damage}{_pages(words, sheet, offset)}'
        '<div class="wide"><table'
        f' class="sheet"><thead><tr><th></th><th>{words("sheet.prompt")}</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def draw_list(words: Words, sheets: Sheets) -> str:
    """Return the sheets as a list, newest first; a click takes one in hand as `sheet`."""
    drawn = ""
    for sheet in sheets.all():
        job = sheets.job(sheet.id)
        when = formatting.moment(sheet.created)
        drawn += (
            f'<button class="item" data-pick="sheet:{escape(sheet.id)}"><span class="item-top"><i class="dot'
            f' {escape(job.state if job else "finished")}"></i><b>{escape(sheet.title)}</b></span><span'
            f' class="item-sub"><span>{when}</span><span class="num">{len(sheet.prompts)} ×'
            f" {len(sheet.columns)}</span></span></button>"
        )
    damage = "".join(f'<p class="warning">{escape(words.tell(fault))}</p>' for fault in sheets.faults()[:FAULTS_SHOWN])
    return (drawn or f'<p class="hint">{words("sheet.none")}</p>') + damage


def as_json(sheets: Sheets, id: str) -> str:
    """Return a sheet with its answers as JSON: {title, columns, system, tools, settings, rows: [{prompt, system,
    answers}]}. Raises Problem.
    """
    sheet, answers = sheets.open(id), sheets.answers(id)
    rows = [{**prompt, "answers": answers.get(number, {})} for number, prompt in enumerate(sheet.prompts)]
    facts = {
        "title": sheet.title,
        "columns": sheet.columns,
        "system": sheet.system,
        "tools": sheet.tools,
        "settings": sheet.settings,
    }
    return json.dumps({**facts, "rows": rows}, ensure_ascii=False, indent=2) + "\n"


def as_csv(words: Words, sheets: Sheets, id: str) -> str:
    """Return a sheet as CSV: a line for each prompt; for each column its answer and its figures. Raises Problem."""
    sheet, answers, file = sheets.open(id), sheets.answers(id), io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        [
            "prompt",
            "system",
            *(
                title
                for name in sheet.columns
                for title in (name, *(f"{name}: {figure}" for figure in (*FIGURES, "fault")))
            ),
        ]
    )
    for number, prompt in enumerate(sheet.prompts):
        cells: list[object] = []
        for name in sheet.columns:
            one = answers.get(number, {}).get(name, {})
            cells += [one.get("text", ""), *(one.get(figure) for figure in FIGURES), told(one.get("fault"), words)]
        writer.writerow([prompt["prompt"], prompt.get("system") or sheet.system, *cells])
    return file.getvalue()


def _row(words: Words, sheet: Sheet, number: int, answers: dict | None) -> str:
    prompt = sheet.prompts[number]
    system = (
        f'<p class="hint">{words("sheet.system")}: {escape(prompt["system"][:300])}</p>' if prompt.get("system") else ""
    )
    cells = "".join(
        f"<td>{_cell(words, f'{sheet.id}-{number}-{place}', answers, name)}</td>"
        for place, name in enumerate(sheet.columns)
    )
    return (
        f'<tr><td class="num">{number + 1}</td><td><p'
        f' class="asked">{escape(prompt["prompt"])}</p>{system}</td>{cells}</tr>'
    )


def _cell(words: Words, place: str, answers: dict | None, name: str) -> str:
    if answers is None or name not in answers:
        return '<span class="hint">…</span>' if answers is None else ""
    one = answers[name]
    calls = "".join(
        f"<p><code>{escape(call.get('name', ''))}({escape(json.dumps(call.get('arguments'), ensure_ascii=False))})</code></p>"
        for call in one.get("calls") or []
    )
    drawn = _written(words.language, one["text"]) if one["text"].strip() else ""
    if one["text"].count("\n") >= SHOWN_LINES or len(one["text"]) > SHOWN_LETTERS:
        begin = escape(" ".join((said_of(one["text"]) or one["text"])[:160].split()))
        drawn = (
            f'<details id="sheet-{escape(place)}"><summary>{begin}… <span'
            f' class="hint">{words("sheet.more")}</span></summary>{drawn}</details>'
        )
    fault = f'<p class="problem">{escape(told(one["fault"], words))}</p>' if one.get("fault") else ""
    return f"{drawn}{calls}{fault}{_figures(words, one)}"


@lru_cache(maxsize=2048)
def _written(language: str, text: str) -> Markup:
    return render(Words(language), text)


def _figures(words: Words, one: dict) -> str:
    if not one.get("tokens"):
        return ""
    said = [words.html("sheet.tokens", count=formatting.plain(one["tokens"]))]
    said += [words.html("sheet.pace", pace=formatting.fixed(one["tokens_per_s"], 1))] if one.get("tokens_per_s") else []
    said += [words("sheet.cut")] if one.get("finished") == "length" else []
    return f'<p class="hint num">{" · ".join(said)}</p>'


def _progress(words: Words, sheets: Sheets, sheet: Sheet, done: int) -> str:
    job, count = sheets.job(sheet.id), len(sheet.prompts)
    state = escape(job.state if job else "finished")
    actions = ""
    if job and job.active:
        actions = (
            '<button class="button small" data-call="job_cancel"'
            f" data-args='{attribute([job.id])}'>{words('sheet.stop')}</button>"
        )
    elif job and job.state in ("stopped", "failed", "interrupted"):
        actions = (
            '<button class="button small" data-call="chat_sheet_resume"'
            f" data-args='{attribute([sheet.id])}'>{words('sheet.resume')}</button>"
        )
    said = words.html("sheet.progress", done=done, count=count)
    return (
        f'<div class="progress {state}"><div class="bar"><i'
        f' style="width:{formatting.width(done / count if count else 1)}%"></i></div><span class="num">{said}'
        f" {actions}</span></div>{_error(words, job)}"
    )


def _error(words: Words, job: Job | None) -> str:
    return f'<p class="problem" role="alert">{escape(told(job.error, words))}</p>' if job and job.error else ""


def _pages(words: Words, sheet: Sheet, offset: int) -> str:
    if len(sheet.prompts) <= ROWS:
        return ""
    last = min(offset + ROWS, len(sheet.prompts))
    buttons = "".join(
        '<button class="button small"'
        f' data-pick="sheet:{escape(sheet.id)}@{begin}"{"" if 0 <= begin < len(sheet.prompts) else " disabled"}>{words(key)}</button>'
        for key, begin in (("sheet.before", offset - ROWS), ("sheet.after", offset + ROWS))
    )
    return (
        '<div class="pages"><span'
        f' class="num">{words.html("sheet.rows", first=offset + 1, last=last, count=len(sheet.prompts))}</span>{buttons}</div>'
    )

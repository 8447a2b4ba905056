"""What the page draws of the closer looks: the report of a check, a row as tokens, lengths, and sets made of others."""

from urllib.parse import parse_qsl, urlencode

from markupsafe import escape

from studio.core import formatting, jobs
from studio.core.i18n import Problem, Words
from studio.core.jobs import Job
from studio.datasets.analysis import DatasetAnalysis, EncodingSettings, library_ready
from studio.datasets.encoding.row_encoder import Sequence
from studio.datasets.quality import lengths as measuring
from studio.datasets.quality.lengths import CUTOFFS, Lengths
from studio.datasets.quality.row_check import HINTS, Report
from studio.datasets.quality.stored_reports import StoredReport
from studio.models.library import library
from studio.models.panel import button
from studio.web.live import attribute

FINDINGS_SHOWN = 200
TOKENS_SHOWN = 4096
BATCH = 8


def wish_of(arg: str) -> tuple[str, dict[str, str]]:
    """Return the dataset's name and what was chosen to see it through: the two lines of a region's argument."""
    name, _, where = arg.partition("\n")
    return name, dict(parse_qsl(where))


def draw_check(words: Words, analysis: DatasetAnalysis, arg: str) -> str:
    """Return how a check stands: not begun, at work, or what it found, each row with its field, what is wrong and a
    mend.
    """
    name, wish = wish_of(arg)
    if not name or analysis.collection.find(name).file is None:
        return ""
    job, kept = analysis.newest_job("check", name), analysis.stored_report(name)
    if job and job.active:
        return _progress(words, job)
    again = words("datasets.check_again" if kept else "datasets.check_now")
    starts = button(again, "datasets_start_check", [name, None], "" if kept else "primary") + button(
        words("datasets.check_tokens"), "datasets_start_check", [name, wish]
    )
    fault = (
        f'<p class="problem" role="alert">{escape(jobs.told(job.error, words) or "")}</p>' if job and job.error else ""
    )
    if kept is None:
        return f'<p class="hint">{words("datasets.check_hint")}</p><div class="actions">{starts}</div>{fault}'
    return (
        "<div"
        f' class="actions">{starts}</div>{fault}{_verdict(words, analysis, name, kept)}'
        f"{_findings(words, name, kept.report, wish.get('kind', ''))}"
    )


def _progress(words: Words, job: Job) -> str:
    stop = button(words("datasets.stop"), "job_cancel", [job.id], "small")
    moving = "" if job.progress is not None else " moving"
    said = jobs.told(job.message, words) or words("train.state_" + job.state)
    return (
        f'<div class="progress {escape(job.state)}{moving}"><div class="bar"><i'
        f' style="width:{formatting.width(job.progress)}%"></i></div>'
        f'<span class="num">{escape(said)} {stop}</span></div>'
    )


def _verdict(words: Words, analysis: DatasetAnalysis, name: str, kept: StoredReport) -> str:
    report = kept.report
    bad = len(set().union(*(rows for kind, rows in report.bad.items() if kind not in HINTS))) if report.bad else 0
    key = "datasets.check_fine" if not report.counts else "datasets.check_hints" if report.ok else "datasets.check_bad"
    said = (
        f'<p class="line"><i class="dot {"finished" if report.ok else "failed"}"></i>'
        f" <b>{words.html(key, rows=f'{report.rows:,}', bad=f'{bad:,}')}</b> {_when(words, kept.checked)}</p>"
    )
    if report.ok:
        return said
    new = f"{analysis.collection.find(name).name}_good"
    job = analysis.newest_job("derive", name)
    at_work = _progress(words, job) if job and job.active else ""
    keep = button(words("datasets.keep_good", name=new), "datasets_keep_good", [name, new], then="dataset:{name}")
    return said + f'<div class="actions">{keep}</div>{at_work}'


def _when(words: Words, moment: float) -> str:
    return f'<span class="num">{words.html("reports.checked", time=formatting.moment(moment))}</span>'


def _findings(words: Words, name: str, report: Report, kind: str) -> str:
    if not report.counts:
        return ""
    kinds = [
        ("", words("datasets.all_kinds"), sum(report.counts.values())),
        *((each, words(f"datasets.kind_{each}"), count) for each, count in report.counts.items()),
    ]
    chips = "".join(
        f'<button class="chip" data-pick="{_sight(each)}"'
        f' aria-pressed="{"true" if each == kind else "false"}">{escape(label)} <span'
        f' class="num">{count:,}</span></button>'
        for each, label, count in kinds
    )
    shown = [one for one in report.findings if kind in ("", one.kind)]
    rows = "".join(
        f'<tr><td class="num">{_row_link(words, name, one.row)}</td>'
        f"<td><code>{escape(one.field)}</code></td><td>{escape(one.message(words))}</td><td>{escape(one.mend(words))}</td></tr>"
        for one in shown[:FINDINGS_SHOWN]
    )
    more = (
        f'<p class="hint">{words.html("datasets.more_findings", count=f"{len(shown) - FINDINGS_SHOWN:,}")}</p>'
        if len(shown) > FINDINGS_SHOWN
        else ""
    )
    head = "".join(f"<th>{words('datasets.' + key)}</th>" for key in ("row", "field", "wrong", "mend"))
    return (
        f'<div class="chips-row">{chips}</div><div class="wide"><table'
        f' class="findings"><thead><tr>{head}</tr></thead>{rows}</table></div>{more}'
    )


def _row_link(words: Words, name: str, row: int) -> str:
    """Return the number of a row as a way to it; a finding of the set as a whole has the row 0."""
    if row < 1:
        return words("datasets.whole_set")
    return (
        f'<button class="link" data-pick="page:{escape(urlencode({"name": name, "offset": row - 1}))}"'
        f' data-tab="0">{row:,}</button>'
    )


def _sight(kind: str) -> str:
    return escape("sight:" + urlencode({"kind": kind}))


# Through a model's eyes
# ------------------------------------------------------------------------------------------------------------


def _chosen(
    words: Words, analysis: DatasetAnalysis, wish: dict[str, str], view: EncodingSettings | None, stage: str
) -> str:
    """Return the fields in which a model, a template, a cutoff and what is trained are chosen."""
    base = escape(urlencode({key: value for key, value in wish.items() if key != "template"}))
    models = "".join(
        f"<option{' selected' if view and one.name == view.model else ''}>{escape(one.name)}</option>"
        for one in library.usable(analysis.collection.workspace)
    )
    model = (
        f'<label><span>{words("datasets.model")}</span><select data-place="sight:model"'
        f' data-base="{base}">{models}</select></label>'
    )
    base = escape(urlencode(wish))
    known = templates_known()
    template = "".join(
        f"<option{' selected' if view and one == view.template else ''}>{escape(one)}</option>"
        for one in known or [view.template if view else ""]
    )
    template = (
        f'<label><span>{words("datasets.template")}</span><select data-place="sight:template"'
        f' data-base="{base}">{template}</select></label>'
    )
    cutoff = (
        f'<label><span>{words("datasets.cutoff")}</span><input type="number" min="1" data-place="sight:cutoff"'
        f' data-base="{base}" value="{escape(view.cutoff if view else "")}"></label>'
    )
    flags = (
        "".join(
            f'<label class="flag"><input type="checkbox" data-place="sight:{flag}"'
            f' data-base="{base}"{" checked" if wish.get(flag) else ""}>'
            f"<span>{words('datasets.' + flag)}</span></label>"
            for flag in ("mask_history", "train_on_prompt", "packing")
        )
        if stage == "sft"
        else ""
    )
    return f'<div class="sight drawn-form">{model}{template}{cutoff}{flags}</div>'


def templates_known() -> list[str]:
    """Return the names of LLaMA-Factory's templates, none before it is loaded."""
    import sys

    module = sys.modules.get("llamafactory.data.template")
    return sorted(getattr(module, "TEMPLATES", {}))


def _view(
    words: Words, analysis: DatasetAnalysis, name: str, wish: dict[str, str]
) -> tuple[EncodingSettings | None, str]:
    """Return the view chosen and the fields that choose it; no view where it cannot be had, with the reason drawn."""
    dataset = analysis.collection.find(name)
    if dataset.file is None:
        return None, ""
    try:
        view = analysis.encoding_settings(wish)
    except Problem as problem:
        return (
            None,
            _chosen(words, analysis, wish, None, dataset.stage)
            + f'<p class="problem" role="alert">{escape(words.tell(problem))}</p>',
        )
    fields = _chosen(words, analysis, wish, view, dataset.stage)
    if not library_ready():
        return None, fields + f'<p class="hint">{words("datasets.library_loads")}</p>'
    return view, fields


def draw_tokens(words: Words, analysis: DatasetAnalysis, arg: str) -> str:
    """Return one row as the model sees it: each token, those that are trained marked, ids on hover."""
    name, wish = wish_of(arg)
    if not name:
        return ""
    view, fields = _view(words, analysis, name, wish)
    if view is None:
        return fields
    rows = analysis.collection.rows(name)
    rows.wait(1)
    row = min(max(1, int(wish["row"]) if wish.get("row", "").isdecimal() else 1), max(1, rows.count))
    try:
        drawn = "".join(_sequence(words, each, view) for each in analysis.tokens(name, row, view))
    except Problem as problem:
        drawn = f'<p class="problem" role="alert">{escape(words.tell(problem))}</p>'
    legend = (
        '<p class="token-legend"><span><i'
        f' class="on"></i>{words("datasets.trained")}</span><span><i></i>{words("datasets.not_trained")}</span></p>'
    )
    return fields + _steps(words, wish, row, rows.count) + drawn + legend


def _steps(words: Words, wish: dict[str, str], row: int, count: int) -> str:
    def to(number: int, label: str) -> str:
        ends = " disabled" if not 1 <= number <= count else ""
        return (
            '<button class="button small"'
            f' data-pick="{escape("sight:" + urlencode({**wish, "row": number}))}"{ends}>{escape(label)}</button>'
        )

    base = escape(urlencode(wish))
    jump = (
        f'<input type="number" min="1" max="{count}" data-place="sight:row" data-base="{base}" value="{row}"'
        f' aria-label="{words("datasets.jump")}">'
    )
    place = words.html("datasets.row_of", count=f"{count:,}")
    return (
        f'<div class="row-bar"><div class="pages row-tools"><span>{words("datasets.row")}</span>{jump}<span'
        f' class="num">{place}</span>{to(row - 1, words("datasets.previous_row"))}'
        f"{to(row + 1, words('datasets.next_row'))}</div></div>"
    )


def _sequence(words: Words, sequence: Sequence, view: EncodingSettings) -> str:
    tokens = sequence.tokens[:TOKENS_SHOWN]
    trained = sum(token.trained for token in sequence.tokens)
    said = words.html(
        "datasets.tokens_said",
        count=f"{len(sequence.tokens):,}",
        trained=f"{trained:,}",
        share=f"{100 * trained / max(1, len(sequence.tokens)):.0f}",
    )
    title = words("datasets.role_" + sequence.name) if sequence.name in ("chosen", "rejected") else ""
    marks = "".join(
        f"<{'b' if token.trained else 'i'}"
        f' title="{escape(token.id)}">{_visible(token.text)}</{"b" if token.trained else "i"}>'
        for token in tokens
    )
    cut = (
        f'<p class="problem warned">{words.html("datasets.cut_here", cutoff=view.cutoff)}</p>'
        if len(sequence.tokens) >= view.cutoff
        else ""
    )
    clipped = (
        f'<p class="hint">{words.html("datasets.more_tokens", count=f"{len(sequence.tokens) - TOKENS_SHOWN:,}")}</p>'
        if len(sequence.tokens) > TOKENS_SHOWN
        else ""
    )
    none = f'<p class="problem">{words("datasets.nothing_trained")}</p>' if not trained else ""
    return (
        f'<section class="sequence"><p class="hint num"><b>{title}</b> {said}</p>{none}<div'
        f' class="tokens">{marks}</div>{cut}{clipped}</section>'
    )


def _visible(text: str) -> str:
    shown = str(escape(text)).replace("\t", "⇥")
    return shown.replace("\n", "<u>↵</u>\n") if shown.strip(" ") else "<u>·</u>" * len(shown) if shown else "<u>…</u>"


# Lengths
# --------------------------------------------------------------------------------------------------


def draw_lengths(words: Words, analysis: DatasetAnalysis, arg: str) -> str:
    """Return the histogram of a dataset's lengths in tokens with the cutoff in it, and what each cutoff would cut."""
    name, wish = wish_of(arg)
    if not name:
        return ""
    view, fields = _view(words, analysis, name, wish)
    if view is None:
        return fields
    job, found = analysis.newest_job("lengths", name), analysis.lengths(name, view)
    if job and job.active:
        return fields + _progress(words, job)
    fault = (
        f'<p class="problem" role="alert">{escape(jobs.told(job.error, words) or "")}</p>'
        if job and job.error and not found
        else ""
    )
    start = button(words("datasets.measure"), "datasets_start_lengths", [name, wish], "" if found else "primary")
    if found is None:
        return f'{fields}<p class="hint">{words("datasets.measure_hint")}</p><div class="actions">{start}</div>{fault}'
    return (
        fields
        + _numbers(words, found, wish)
        + _histogram(words, found)
        + _cuts(words, found, wish)
        + _steps_of(words, found, wish)
    )


def _numbers(words: Words, found: Lengths, wish: dict[str, str]) -> str:
    shown = {
        "rows": f"{found.rows:,}",
        "median": f"{found.median:,}",
        "longest": f"{found.longest:,}",
        "tokens": f"{found.tokens:,}",
        "trained_tokens": f"{found.trained:,} ({100 * found.trained / max(1, found.tokens):.0f} %)",
    }
    cells = "".join(f"<div><dt>{words('datasets.' + key)}</dt><dd>{value}</dd></div>" for key, value in shown.items())
    take = ""
    if found.suggested != found.cutoff:
        label = words.html("datasets.take_cutoff", cutoff=f"{found.suggested:,}")
        take = (
            '<button class="button small"'
            f' data-pick="{escape("sight:" + urlencode({**wish, "cutoff": found.suggested}))}">{label}</button>'
        )
    advice = words.html("datasets.suggested", cutoff=f"{found.suggested:,}")
    dropped = (
        f'<p class="problem warned">{words.html("datasets.dropped", count=f"{found.dropped:,}")}</p>'
        if found.dropped
        else ""
    )
    return f'<dl class="facts">{cells}</dl>{dropped}<p class="line"><span>{advice}</span> {take}</p>'


def _histogram(words: Words, found: Lengths) -> str:
    """Draw the bars as SVG: the cutoff as a line, what lies beyond it in the colour of what is lost."""
    if not found.bins:
        return ""
    top, end = max(found.counts) or 1, found.bins[-1] + found.width
    width, height = 880, 180
    bars = ""
    for edge, count in zip(found.bins, found.counts, strict=True):
        tall = (height - 8) * count / top
        lost = " lost" if edge >= found.cutoff else ""
        high = f"{edge + found.width - 1:,}"
        bars += (
            f'<rect class="hist{lost}" x="{width * edge / end:.1f}"'
            f' width="{max(1.0, width * found.width / end - 1):.1f}" y="{height - tall:.1f}" height="{tall:.1f}">'
            f"<title>{words.html('datasets.bar', low=f'{edge:,}', high=high, count=f'{count:,}')}</title></rect>"
        )
    at = width * found.cutoff / end
    line = (
        f'<line class="cutoff" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height}"/><text x="{at - 4:.1f}" y="10"'
        f' text-anchor="end">{found.cutoff:,}</text>'
        if at <= width
        else ""
    )
    ticks = "".join(
        f'<text x="{width * share:.0f}" y="{height + 14}" text-anchor="{anchor}">{end * share:,.0f}</text>'
        for share, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    return (
        f'<svg class="histogram" viewBox="0 0 {width} {height + 20}" role="img"'
        f' aria-label="{words("datasets.tab_lengths")}">{bars}{line}{ticks}</svg>'
    )


def _cuts(words: Words, found: Lengths, wish: dict[str, str]) -> str:
    rows = "".join(
        '<tr><td class="num"><button class="link"'
        f' data-pick="{escape("sight:" + urlencode({**wish, "cutoff": cutoff}))}">{cutoff:,}</button></td><td'
        f' class="num">{found.cut.get(cutoff, 0):.1f} %</td></tr>'
        for cutoff in CUTOFFS
    )
    return f'<h3>{words("datasets.cut_rows")}</h3><table class="cuts">{rows}</table>'


def _steps_of(words: Words, found: Lengths, wish: dict[str, str]) -> str:
    batch = int(wish["batch"]) if wish.get("batch", "").isdecimal() and int(wish["batch"]) else BATCH
    steps = measuring.steps(found.samples, batch)
    base = escape(urlencode(wish))
    box = (
        f'<input type="number" min="1" data-place="sight:batch" data-base="{base}" value="{batch}"'
        f' aria-label="{words("datasets.batch")}">'
    )
    said = words.html("datasets.steps_said", samples=f"{found.samples:,}", steps=f"{steps:,}")
    return (
        f'<h3>{words("datasets.steps")}</h3><p class="row-tools line"><span>{words("datasets.batch")}</span> {box}'
        f' <span class="num">{said}</span></p>'
    )


# Split and mix
# ---------------------------------------------------------------------------------------------------------------------


def draw_split(words: Words, analysis: DatasetAnalysis, name: str) -> str:
    """Return the forms that hold out a part, draw a sample, mix sets, and look for rows that are in two sets."""
    if not name or analysis.collection.find(name).file is None:
        return ""
    job = analysis.newest_job("derive", name)
    at_work = _progress(words, job) if job and job.active else ""
    done = (
        f'<p class="problem" role="alert">{escape(jobs.told(job.error, words) or "")}</p>' if job and job.error else ""
    )
    short = analysis.collection.find(name).name
    others = [
        one.name for one in analysis.collection.datasets(analysis.collection.folder) if one.file and not one.problem
    ]
    shares = "".join(
        f'<button class="button" type="button" data-call="datasets_split" data-args=\'{attribute([name, each])}\''
        f' data-done="{words("datasets.made")}">{each}</button>'
        for each in ("8:1:1", "7:2:1", "9:1")
    )
    key = f'<input type="hidden" name="name" value="{escape(name)}">'
    held = (
        f"<h3>{words('datasets.hold_out')}</h3><p"
        f' class="hint">{words.html("datasets.hold_out_hint", name=short)}</p><div class="actions">{shares}</div>'
    )
    sample = _made_by(
        words,
        "datasets_sample",
        "sample",
        key
        + _field(words("datasets.how_many"), "number", "100", "number")
        + _field(words("datasets.new_name"), "new", f"{short}_sample")
        + _field(words("datasets.seed"), "seed", "42", "number"),
    )
    weights = f"{short}=1"
    mix = _made_by(
        words,
        "datasets_mix",
        "mix",
        _field(words("datasets.weights"), "weights", weights)
        + _field(words("datasets.how_many"), "total", "1000", "number")
        + _field(words("datasets.new_name"), "new", f"{short}_mix")
        + _field(words("datasets.seed"), "seed", "42", "number"),
    )
    choices = "".join(f"<option>{escape(one)}</option>" for one in others if one != short)
    leaks = (
        f'<h3>{words("datasets.leaks")}</h3><p class="hint">{words.html("datasets.leaks_hint", name=short)}</p><form'
        ' class="drawn-form send" data-submit="datasets_leaks_told"'
        f' data-said="said">{key}<label><span>{words("datasets.held_out_set")}</span><select'
        f' name="held_out">{choices}</select></label><button class="button"'
        f' type="submit">{words("datasets.compare_sets")}</button><p class="problem" role="alert" hidden></p></form>'
    )
    return at_work + done + held + sample + mix + leaks


def _field(label: str, name: str, value: str, kind: str = "text") -> str:
    return (
        f'<label><span>{escape(label)}</span><input name="{escape(name)}" type="{kind}" value="{escape(value)}"'
        ' required spellcheck="false"></label>'
    )


def _made_by(words: Words, endpoint: str, title: str, fields: str) -> str:
    return (
        f'<h3>{words("datasets." + title)}</h3><p class="hint">{words("datasets.hint_" + title)}</p><form'
        f' class="drawn-form send" data-submit="{endpoint}" data-then="dataset:{{name}}"'
        f' data-done="{words("datasets.made")}">{fields}<button class="button"'
        f' type="submit">{words("datasets.make")}</button><p class="problem" role="alert" hidden></p></form>'
    )

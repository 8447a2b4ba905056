"""What the page draws of getting models: the catalogue, the forms, and what is on its way. Pure functions to HTML."""

from markupsafe import escape

from studio.core import formatting
from studio.core.i18n import Words
from studio.core.jobs import Job, told
from studio.models import catalogue, gguf, marks, places
from studio.models.catalogue import Entry
from studio.models.download import KIND
from studio.models.panel import button
from studio.models.shelf import Shelf
from studio.web.live import attribute

LISTED = 120
FAULTS_SHOWN = 20
SETTINGS = ("revision", "options.include", "options.exclude", "options.token", "options.endpoint", "options.name")


def draw_catalogue(words: Words, shelf: Shelf, find: str) -> str:
    """Return the models that LLaMA-Factory knows and `find` finds, with what of each fits this machine."""
    found = catalogue.search(find, limit=LISTED + 1)
    if not found:
        return f'<p class="hint">{words("models.none_in_catalogue")}</p>'
    here, (device, memory) = catalogue.on_disk(shelf.workspace), shelf.memory()
    rows = "".join(
        _entry(words, entry, entry.name in here, marks.largest(entry.params, device, memory))
        for entry in found[:LISTED]
    )
    more = f'<p class="hint">{words.html("models.more_in_catalogue", count=LISTED)}</p>' if len(found) > LISTED else ""
    return rows + more


def _entry(words: Words, entry: Entry, here: bool, largest: str | None) -> str:
    facts = entry.template or words("models.base")
    mark = (
        ""
        if entry.params is None
        else (
            f'<em class="mark {escape(largest or "none")}"'
            f' title="{words("catalogue.mark_from_name")}">{words("models.mark_" + (largest or "none"))}</em>'
        )
    )
    dot = f'<i class="dot finished" title="{words("models.on_disk")}"></i>' if here else '<i class="dot absent"></i>'
    return (
        f'<button class="item" data-pick="entry:{escape(entry.name)}"><span'
        f' class="item-top">{dot}<b>{escape(entry.name)}</b></span><span'
        f' class="item-sub"><span>{escape(facts)}</span>{mark}{_size(words, entry)}</span></button>'
    )


def _size(words: Words, entry: Entry) -> str:
    said = f'<span class="num" title="{words("catalogue.params_from_name")}">≈ {formatting.params(entry.params)}</span>'
    return said if entry.params else ""


def draw_entry(words: Words, shelf: Shelf, name: str) -> str:
    """Return a model of the catalogue: what it is, what of it fits, and how to get it."""
    entry = next((entry for entry in catalogue.entries() if entry.name == name), None)
    if entry is None:
        return f'<p class="hint">{words("models.choose_entry")}</p>'
    here = catalogue.on_disk(shelf.workspace).get(name)
    shown = {
        "params": f"≈ {formatting.params(entry.params)}" if entry.params else "–",
        "download_size": f"≈ {formatting.size(entry.bytes)}" if entry.bytes else "–",
        "kind": words("models.chat" if entry.chat else "models.base"),
        "template": entry.template or "–",
        "modality": words("models.multimodal" if entry.multimodal else "models.text_only"),
    }
    origin = {"params": "catalogue.params_from_name", "download_size": "catalogue.size_from_name"}
    titles = {key: f' title="{words(said)}"' for key, said in origin.items() if entry.params}
    facts = "".join(
        f"<div{titles.get(key, '')}><dt>{words('models.' + key)}</dt><dd>{escape(value)}</dd></div>"
        for key, value in shown.items()
    )
    kind = words("models.entry_chat", template=entry.template) if entry.chat else words("models.entry_base")
    return (
        f'<header class="run-head"><div><h2>{escape(name)}</h2>{_addresses(entry)}</div><div'
        f' class="actions">{_ways(words, entry, here)}</div></header><dl class="facts">{facts}</dl><p'
        f' class="line">{escape(kind)}</p>{_marks(words, shelf, entry)}'
    )


def _addresses(entry: Entry) -> str:
    lines = [
        f"{hub} <code>{escape(address)}</code>"
        for hub, address in (("ModelScope", entry.modelscope), ("Hugging Face", entry.huggingface))
        if address
    ]
    return f'<p class="hint">{" · ".join(lines)}</p>'


def _ways(words: Words, entry: Entry, here: str | None) -> str:
    if here:
        return (
            f'<button class="button primary" data-pick="model:{escape(here)}"'
            f' data-also="models:disk">{words("models.show_on_disk")}</button>'
        )
    sources = [source for source in ("modelscope", "huggingface") if entry.address(source)]
    first = "".join(
        button(
            words(f"models.from_{source}"),
            "models_download",
            [source, entry.address(source), "", {}],
            "" if at else "primary",
            then="models:get",
        )
        for at, source in enumerate(sources)
    )
    fill = attribute({"source": sources[0], "repo": entry.address(sources[0])}) if sources else "{}"
    return (
        f"{first}<button class='button' data-pick='models:get' data-fill='{fill}'"
        f" data-form='get-form'>{words('models.more_settings')}</button>"
    )


def _marks(words: Words, shelf: Shelf, entry: Entry) -> str:
    if entry.params is None:
        return f'<p class="hint">{words("models.size_unknown")}</p>'
    device, memory = shelf.memory()
    cells = "".join(
        f'<li class="{"fits" if fits else "too-large"}"><b>{words("models.method_" + way)}</b> <span class="num">≈'
        f" {needed / 2**30:.1f} GiB</span>"
        f" <span>{words('models.it_fits' if fits else 'models.too_large')}</span></li>"
        for way, needed, fits in marks.ways(entry.params, device, memory)
    )
    return (
        f'<h3>{words("models.fits")}</h3><ul class="plain marks">{cells}</ul><p'
        f' class="hint">{words("models.fits_about")}</p>'
    )


def forms(words: Words) -> str:
    """Return the forms to download a model by its address, to import a GGUF file, and to add a folder."""
    sources = "".join(
        f'<option value="{source}">{words("models.hub_" + source)}</option>' for source in ("modelscope", "huggingface")
    )
    more = "".join(_field(words, name, kind="password" if name.endswith("token") else "text") for name in SETTINGS)
    download = (
        f"<label>{words('models.source')}<select"
        f' name="source">{sources}</select></label>{_field(words, "repo", "owner/name", required=True)}<details'
        f' class="fold wide-field"><summary>{words("models.more_settings")}</summary><div'
        f' class="grid">{more}</div></details>'
    )
    return (
        _form(words, "download", "models_download", download, "get-form")
        + _form(
            words,
            "import",
            "models_import",
            _field(words, "file", "/path/to/model.gguf", required=True)
            + _field(words, "name", words("models.as_the_file")),
        )
        + _form(
            words,
            "add_folder",
            "models_add_folder",
            _field(words, "folder", "/path/to/models", required=True),
            then="models:disk",
        )
    )


def draw_suggested(words: Words, shelf: Shelf) -> str:
    """Return the caches of the hubs' clients on this machine, each to be added with one click; nothing where there is
    none.
    """
    rows = "".join(
        f"<li><code>{escape(str(path))}</code>"
        f" {button(words('models.do_add_folder'), 'models_add_folder', [str(path)], 'small', then='models:disk')}</li>"
        for path in places.suggested(shelf.workspace)
    )
    return f'<p class="hint">{words("models.suggested")}</p><ul class="plain places">{rows}</ul>' if rows else ""


def _form(words: Words, key: str, endpoint: str, fields: str, anchor: str = "", then: str = "") -> str:
    more = f' id="{anchor}"' if anchor else ""
    more += f' data-then="{then}"' if then else ""
    return (
        f'<form class="drawn-form card" data-submit="{escape(endpoint)}"'
        f' data-done="{words(f"models.begun_{key}")}"{more} autocomplete="off"><h2>{words("models." + key)}</h2><p'
        f' class="hint">{words(f"models.about_{key}")}</p><div class="grid">{fields}</div><p class="problem"'
        ' role="alert" hidden></p><button class="button primary"'
        f' type="submit">{words(f"models.do_{key}")}</button></form>'
    )


def _field(words: Words, name: str, example: str = "", kind: str = "text", required: bool = False) -> str:
    key = name.rpartition(".")[2]
    return (
        f'<label>{words(f"models.field_{key}")}<input name="{escape(name)}" type="{kind}"'
        f' placeholder="{escape(example or words(f"models.field_{key}_info"))}"{" required" if required else ""}'
        f' autocomplete="{"new-password" if kind == "password" else "off"}" spellcheck="false"></label>'
    )


def draw_coming(words: Words, shelf: Shelf) -> str:
    """Return the downloads and imports, newest first, each with its progress and what can be done; and records of jobs
    that cannot be read.
    """
    jobs = sorted([*shelf.jobs.all(KIND), *shelf.jobs.all(gguf.KIND)], key=lambda job: job.created, reverse=True)
    unread = "".join(
        f'<p class="problem warned">{escape(words.tell(fault))}</p>'
        for fault in list(shelf.jobs.faults.values())[:FAULTS_SHOWN]
    )
    return (
        unread + "".join(_job(words, shelf, job) for job in jobs[:30])
        or f'<p class="hint">{words("models.nothing_coming")}</p>'
    )


def _job(words: Words, shelf: Shelf, job: Job) -> str:
    name = str(job.facts.get("name"))
    origin = (
        f"{job.facts.get('hub')} · {job.facts.get('repo')}"
        if job.kind == KIND
        else "GGUF · " + str(job.facts.get("file", "")).rpartition("/")[2]
    )
    said = told(job.error or job.message, words) if job.active or job.state != "finished" else told(job.message, words)
    tone = escape("running" if job.state in ("queued", "preparing") else job.state)
    fault = job.state == "failed"
    bar = (
        f'<div class="progress {tone}{" moving" if job.active and job.progress is None else ""}"><div class="bar"><i'
        f' style="width:{formatting.width(job.progress)}%"></i></div></div>'
    )
    line = f'<p class="{"problem" if fault else "hint num"}">{escape(said or words("models.state_" + job.state))}</p>'
    shown = (
        f'<b data-pick="model:{escape(name)}" data-also="models:disk" class="link">{escape(name)}</b>'
        if job.state == "finished"
        else f"<b>{escape(name)}</b>"
    )
    return (
        f'<article class="coming"><p class="item-top"><i class="dot {tone}"></i>{shown}<span class="num'
        f' hint">{words("models.state_" + job.state)}</span></p><p class="hint">{escape(origin)}</p>{bar}{line}<div'
        f' class="actions">{_job_actions(words, shelf, job)}</div></article>'
    )


def _job_actions(words: Words, shelf: Shelf, job: Job) -> str:
    download = job.kind == KIND
    if job.active:
        if job.state == "stopping":
            return ""
        pause = button(words("models.pause"), "models_pause", [job.id], "small") if download else ""
        return pause + button(
            words("models.cancel"),
            "models_cancel" if download else "job_cancel",
            [job.id],
            "small danger",
            words("models.cancel_sure"),
        )
    if job.state == "finished":
        return button(words("models.off_the_list"), "models_forget", [job.id], "small")
    again = _resume(words, job) if download and shelf.jobs.can_resume(job.id) else ""
    if not download and shelf.jobs.can_resume(job.id):
        again = button(words("models.retry"), "job_resume", [job.id], "small primary")
    return again + button(
        words("models.discard"), "models_forget", [job.id], "small danger", words("models.discard_sure")
    )


def _resume(words: Words, job: Job) -> str:
    label = words("models.retry" if job.state == "failed" else "models.resume")
    asks_token = (job.error or {}).get("key") in (
        "downloads.gated",
        "downloads.no_access",
        "downloads.bad_token",
        "downloads.no_model",
    )
    if not asks_token:
        return button(label, "models_resume", [job.id, ""], "small primary")
    return (
        '<form class="drawn-form" data-submit="models_resume"><input type="hidden" name="job"'
        f' value="{escape(job.id)}"><input name="token" type="password" placeholder="{words("models.field_token")}"'
        f' aria-label="{words("models.field_token")}" autocomplete="new-password"><button class="button small primary"'
        f' type="submit">{label}</button><p class="problem" role="alert" hidden></p></form>'
    )

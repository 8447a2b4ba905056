"""What the page draws while data is brought in: what a file is taken for, which field says what, and the first rows as
they will be.
"""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from markupsafe import escape

from studio.core import formatting, jobs
from studio.core.i18n import Problem, Words
from studio.core.storage import files
from studio.datasets.files.incoming import source as incoming
from studio.datasets.files.reading import Row
from studio.datasets.page import conversation
from studio.datasets.registry import hub_data
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import conversion, forms
from studio.datasets.schema.conversion import Written
from studio.datasets.schema.forms import FORMS, Mapping
from studio.datasets.schema.observed_schema import Shape
from studio.models.panel import button
from studio.web.live import attribute

PREVIEWED = 3
HUB_FIELDS = ("subset", "split", "folder", "num_samples")


def said(arg: str) -> dict[str, str]:
    """Return what the page has in hand of the data to be brought in: {path, name, form, min_score, c.<column> ...}."""
    return dict(parse_qsl(arg))


def choices(wish: dict[str, str]) -> tuple[dict[str, str], dict]:
    """Return the columns and the options that a person chose. Raises Problem for a number that is none."""
    columns = {key[2:]: "" if value == "-" else value for key, value in wish.items() if key.startswith("c.")}
    options: dict = {key: wish[key] for key in ("form", "subset", "split", "folder", "hub") if wish.get(key)}
    for key, kind in (("min_score", float), ("num_samples", int)):
        if wish.get(key):
            try:
                options[key] = kind(wish[key])
            except ValueError as error:
                raise Problem("datasets.no_number", field=key, value=wish[key]) from error
    return columns, options | ({"copy": True} if wish.get("copy") else {})


def draw_source(words: Words, collection: Collection, arg: str) -> str:
    """Return how far conversions are, and of the data in hand its form, its mapping and its first rows as they will
    be.
    """
    wish = said(arg)
    coming = _coming(words, collection)
    if not wish.get("path"):
        return coming + f'<p class="hint">{words("datasets.add_hint")}</p>'
    try:
        address = hub_data.address(wish["path"], wish.get("hub", "huggingface"))
        if address and not files.exists(collection.folder / wish["path"]):
            return coming + _hub(words, collection, wish, address)
        return coming + _file(words, collection, wish)
    except Problem as problem:
        return (
            coming
            + f'<p class="problem" role="alert">{escape(words.tell(problem))}</p>{_outside(words, wish, problem)}'
        )


def _outside(words: Words, wish: dict[str, str], problem: Problem) -> str:
    """Offer the way out of a path outside the workspace: its folder becomes one of the person's data folders."""
    if problem.key != "datasets.path_outside":
        return ""
    folder = wish["path"].rstrip("/").rpartition("/")[0]
    return button(
        words("datasets.add_this_folder", folder=folder),
        "datasets_add_folder",
        [folder],
        "",
        words("datasets.add_folder_sure", folder=folder),
    )


def _coming(words: Words, collection: Collection) -> str:
    drawn = ""
    for job in collection.jobs.all("convert"):
        if job.active:
            stop = button(words("datasets.stop"), "job_cancel", [job.id], "small")
            drawn += (
                f'<div class="coming"><b>{escape(job.facts.get("name", "–"))}</b><div class="progress'
                f' {escape(job.state)}"><div class="bar"><i'
                f' style="width:{formatting.width(job.progress)}%"></i></div><span'
                f' class="num">{escape(jobs.told(job.message, words) or words("train.state_" + job.state))}'
                f" {stop}</span></div></div>"
            )
    return drawn


def _file(words: Words, collection: Collection, wish: dict[str, str]) -> str:
    source = collection.source(wish["path"])
    rows = collection.look(source)
    guess = forms.recognise(rows)
    columns, options = choices(wish)
    if options.get("form") and options["form"] != guess.form:
        guess = forms.with_choices(guess, None, None, {"form": options["form"]})
    mapping = forms.with_choices(guess, columns, None, options)
    known = words("datasets.known_" + mapping.known) if mapping.known else words("datasets.form_" + mapping.form)
    verdict = (
        words("datasets.recognised", known=known, stage=words("datasets.stage_" + mapping.stage))
        if not mapping.missing()
        else words("datasets.unclear")
    )
    fields = forms.fields_of(rows)
    read_as = " ".join(words.tell(each) for each in incoming.read_as(source))
    hint = f'<p class="hint">{escape(read_as)}</p>' if read_as else ""
    return (
        f'<p class="line"><b>{escape(source.name)}</b>'
        f" <span>{escape(verdict)}</span></p>{hint}{_mapping(words, wish, mapping, fields)}"
        f"{_send(words, collection, wish, mapping)}{_preview(words, source, rows, mapping)}"
    )


def _base(wish: dict[str, str]) -> str:
    return escape(urlencode(wish))


def _choose(label: str, name: str, options: list[tuple[str, str]], value: str, wish: dict[str, str]) -> str:
    drawn = "".join(
        f'<option value="{escape(key)}"{" selected" if key == value else ""}>{escape(text)}</option>'
        for key, text in options
    )
    return (
        f'<label><span>{escape(label)}</span><select data-place="source:{escape(name)}"'
        f' data-base="{_base(wish)}">{drawn}</select></label>'
    )


def _type(label: str, name: str, value: str, wish: dict[str, str], kind: str = "text", hint: str = "") -> str:
    return (
        f'<label><span>{escape(label)}</span><input type="{kind}" data-place="source:{escape(name)}"'
        f' data-base="{_base(wish)}" value="{escape(value)}" placeholder="{escape(hint)}"></label>'
    )


def _mapping(
    words: Words, wish: dict[str, str], mapping: Mapping, fields: list[str] | None, before: str = "", after: str = ""
) -> str:
    """Return a box for the form and one for each of its columns: to choose among `fields`, or to type where these are
    not known.
    """
    plain = {key: value for key, value in wish.items() if not key.startswith("c.")}
    boxes = before + _choose(
        words("datasets.what_it_is"),
        "form",
        [(form, words("datasets.form_" + form)) for form in FORMS],
        mapping.form,
        plain,
    )
    for column in FORMS[mapping.form]:
        name = column.rstrip("*")
        if fields is None:
            boxes += _type(
                words("datasets.column_" + name),
                f"c.{name}",
                mapping.columns.get(name, ""),
                wish,
                hint=words("datasets.field_name"),
            )
            continue
        none = [("-", words("datasets.choose_field") if column.endswith("*") else words("datasets.no_field"))]
        boxes += _choose(
            words("datasets.column_" + name),
            f"c.{name}",
            none + [(field, field) for field in fields],
            mapping.columns.get(name, "-"),
            wish,
        )
    if mapping.form == "scores":
        boxes += _type(
            words("datasets.min_score"),
            "min_score",
            f"{mapping.min_score:g}" if mapping.min_score is not None else "",
            wish,
            "number",
        )
    return f'<div class="grid drawn-form">{boxes}{after}</div>'


def _send(words: Words, collection: Collection, wish: dict[str, str], mapping: Mapping, on_hub: bool = False) -> str:
    name = wish.get("name") or collection.free_name(wish["path"])
    box = _type(words("datasets.name"), "name", name, wish)
    disabled = (
        " disabled" if mapping.missing() and not (on_hub and not mapping.columns and mapping.form == "alpaca") else ""
    )
    args = attribute([{**wish, "name": name}])
    send = (
        f'<button class="button primary" data-call="datasets_bring_in" data-args=\'{args}\''
        ' data-then="dataset:{name}" '
        f'data-done="{words("datasets.registered")}"{disabled}>'
        f"{words('datasets.register' if on_hub else 'datasets.bring_in')}</button>"
    )
    hint = "" if on_hub else f'<p class="hint">{words.html("datasets.bring_in_hint", file=f"data/{name}.jsonl")}</p>'
    return f'<div class="send drawn-form">{box}{send}</div>{hint}'


def _preview(words: Words, source, rows: list[dict], mapping: Mapping) -> str:
    if mapping.missing():
        columns = ", ".join(words("datasets.column_" + column) for column in mapping.missing())
        return (
            '<p class="problem'
            f' warned">{words.html("datasets.still_to_choose", columns=columns)}</p>{_raw(words, rows)}'
        )
    written = Written()
    numbered = (Row(number, row) for number, row in enumerate(rows, start=1))
    made = list(conversion.converted(numbered, mapping, written, Path(source)))
    shape = Shape.of(conversion.entry_for(mapping, "", written.media))
    drawn = "".join(
        f'<article class="row">{conversation.draw(words, row, shape)}</article>' for row in made[:PREVIEWED]
    )
    told = [*written.problems[:3], *written.notes.sentences()]
    if written.not_taken:
        told.append(Problem("datasets.not_taken", fields=", ".join(written.not_taken)))
    drawn_told = "".join(f'<p class="problem warned">{escape(words.tell(problem))}</p>' for problem in told)
    return f"<h3>{words('datasets.as_it_will_be')}</h3>{drawn_told}{drawn}"


def _raw(words: Words, rows: list[dict]) -> str:
    cells = "".join(
        f"<dt>{escape(name)}</dt><dd>{conversation.said(words, value)}</dd>"
        for name, value in list(rows[0].items())[:20]
    )
    return f'<h3>{words("datasets.first_row")}</h3><article class="row others"><dl>{cells}</dl></article>'


def _hub(words: Words, collection: Collection, wish: dict[str, str], address: hub_data.Address) -> str:
    """Return the form for data on a hub: as for a file where its first rows can be had, else with the names of fields
    to be typed.
    """
    columns, options = choices(wish)
    told, rows = "", None
    try:
        rows = collection.look_at_hub(address, options)
        told = (
            f'<p class="hint">{words.html("datasets.hub_asked", hub=words("datasets.hub_" + address.hub))}</p>'
            if rows is None
            else ""
        )
    except Problem as problem:
        told = f'<p class="problem warned">{escape(words.tell(problem))}</p>'
    guess = forms.recognise(rows) if rows else Mapping("alpaca")
    if options.get("form") and options["form"] != guess.form:
        guess = forms.with_choices(guess, None, None, {"form": options["form"]})
    mapping = forms.with_choices(guess, columns, None, options)
    hubs = _choose(
        words("datasets.hub"),
        "hub",
        [(each, words("datasets.hub_" + each)) for each in hub_data.KEYS],
        address.hub,
        wish,
    )
    more = "".join(
        _type(
            words("datasets.entry_" + key), key, wish.get(key, ""), wish, "number" if key == "num_samples" else "text"
        )
        for key in HUB_FIELDS
    )
    fields = forms.fields_of(rows) if rows else None
    said = words.html("datasets.hub_hint", hub=words("datasets.hub_" + address.hub))
    chosen = {f"c.{name}": value for name, value in mapping.columns.items()} | {
        f"t.{name}": value for name, value in mapping.tags.items()
    }
    send = _send(words, collection, {**wish, "hub": address.hub, "form": mapping.form, **chosen}, mapping, True)
    must_convert = rows and not forms.entry_as_it_is(mapping, rows) and not mapping.missing()
    warn = (
        f'<p class="problem warned">{words.html("datasets.hub_needs_file", repo=address.repo)}</p>'
        if must_convert
        else ""
    )
    preview = _preview(words, address.repo, rows, mapping) if rows else ""
    return (
        f'<p class="line"><b>{escape(address.repo)}</b>'
        f" <span>{said}</span></p>{told}{_mapping(words, wish, mapping, fields, hubs, more)}{warn}{send}{preview}"
    )


def place_form(words: Words) -> str:
    """Return the field in which a path or a hub address is typed, and the one by which a folder is added."""
    return (
        f'<div class="send drawn-form"><label><span>{words("datasets.path")}</span><input type="text"'
        ' data-place="source:path" data-base="" spellcheck="false"'
        f' placeholder="{words("datasets.path_example")}"></label><button class="button"'
        f' type="button">{words("datasets.look")}</button></div><details'
        f' class="fold"><summary>{words("datasets.add_folder")}</summary><form class="send drawn-form"'
        ' data-submit="datasets_add_folder"'
        f' data-done="{words("datasets.folder_added")}"><label><span>{words("datasets.folder_path")}</span><input'
        ' name="folder" required spellcheck="false"></label><button class="button"'
        f' type="submit">{words("datasets.add_folder")}</button><p class="problem" role="alert"'
        " hidden></p></form></details>"
    )

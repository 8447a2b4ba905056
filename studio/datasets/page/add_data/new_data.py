"""Data while it is brought in: how far conversions are, and of what is in hand its form, mapping and first rows."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from studio.core import jobs
from studio.core.i18n import Problem, Words
from studio.core.storage import files
from studio.datasets.files.incoming import source as incoming
from studio.datasets.page.add_data.choices import columns_of, options_of, parse
from studio.datasets.page.add_data.mapping_boxes import Box, hub_box, hub_boxes, mapping_boxes
from studio.datasets.page.add_data.row_preview import RowPreview, row_preview
from studio.datasets.registry import hub_data
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import forms
from studio.datasets.schema.forms import Mapping

TEMPLATE = "datasets/page/add_data/new_data.html"
HEAD = "datasets/page/add_data/add_head.html"
FORMS = "datasets/page/add_data/path_forms.html"


@dataclass(frozen=True)
class ConversionRow:
    """A conversion that goes on; `progress` is 0 to 1, None where it is not known."""

    id: str
    name: str
    state: str
    progress: float | None
    message: str


@dataclass(frozen=True)
class NewData:
    """What is in hand. `title` is its file or its address, `verdict` what it is taken for; `hub` is "" for a file.

    `hub_fault` is why a hub's first rows cannot be had, `is_asking` tells that they are on their way, `must_convert`
    that LLaMA-Factory cannot read them as they lie there. `choices` is what is sent to bring it in under the name in
    `name_box`.
    """

    title: str
    verdict: str
    boxes: tuple[Box, ...]
    name_box: Box
    choices: dict[str, str]
    can_send: bool
    preview: RowPreview | None
    read_as: tuple[Problem, ...] = ()
    hub: str = ""
    hub_fault: Problem | None = None
    is_asking: bool = False
    must_convert: bool = False


@dataclass(frozen=True)
class NewDataContext:
    """`data` is None while nothing is in hand, and where it cannot be read: then `problem` says why, and `folder` is
    one outside of the workspace that could be added.
    """

    conversions: list[ConversionRow]
    data: NewData | None = None
    problem: Problem | None = None
    folder: str = ""


def new_data(words: Words, collection: Collection, arg: str) -> NewDataContext:
    """Return the conversions that go on, and the data in hand; `arg` are its choices."""
    conversions, choices = _conversions(words, collection), parse(arg)
    if not choices.get("path"):
        return NewDataContext(conversions)
    try:
        address = hub_data.address(choices["path"], choices.get("hub", "huggingface"))
        if address and not files.exists(collection.folder / choices["path"]):
            return NewDataContext(conversions, _on_hub(words, collection, choices, address))
        with collection.told_by_name():
            return NewDataContext(conversions, _in_file(words, collection, choices))
    except Problem as problem:
        folder = choices["path"].rstrip("/").rpartition("/")[0] if problem.key == "datasets.path_outside" else ""
        return NewDataContext(conversions, None, problem, folder)


def _conversions(words: Words, collection: Collection) -> list[ConversionRow]:
    return [
        ConversionRow(
            job.id,
            str(job.facts.get("name", "–")),
            job.state,
            job.progress,
            jobs.sentence_text(job.message, words) or words("train.state_" + job.state),
        )
        for job in collection.jobs.all("convert")
        if job.active
    ]


def _in_file(words: Words, collection: Collection, choices: dict[str, str]) -> NewData:
    source = collection.source(choices["path"])
    rows = collection.first_rows(source)
    mapping = _mapping(rows, choices)
    if mapping.missing():
        verdict = words("datasets.unclear")
    else:
        known = words("datasets.known_" + mapping.known) if mapping.known else words("datasets.form_" + mapping.form)
        verdict = words("datasets.recognised", known=known, stage=words("datasets.stage_" + mapping.stage))
    return NewData(
        source.name,
        verdict,
        mapping_boxes(words, choices, mapping, forms.fields_of(rows)),
        *_sent(words, collection, choices),
        not mapping.missing(),
        row_preview(source, rows, mapping),
        tuple(incoming.read_as(source)),
    )


def _on_hub(words: Words, collection: Collection, choices: dict[str, str], address: hub_data.Address) -> NewData:
    """Return data on a hub: as a file's where its first rows can be had, else with fields that are typed."""
    rows, fault, options = None, None, options_of(choices)
    try:
        rows = collection.hub_rows(address, options)
    except Problem as problem:
        fault = problem
    mapping = _mapping(rows or None, choices)
    boxes = mapping_boxes(words, choices, mapping, forms.fields_of(rows) if rows else None)
    columns = {f"c.{name}": value for name, value in mapping.columns.items()}
    tags = {f"t.{name}": value for name, value in mapping.tags.items()}
    is_missing = bool(mapping.missing())
    return NewData(
        address.repo,
        words("datasets.hub_hint", hub=words("datasets.hub_" + address.hub)),
        (hub_box(words, choices, address.hub), *boxes, *hub_boxes(words, choices)),
        *_sent(words, collection, {**choices, "hub": address.hub, "form": mapping.form, **columns, **tags}),
        # Without any columns LLaMA-Factory reads the fields of the Alpaca form, whatever the rows hold.
        not is_missing or (not mapping.columns and mapping.form == "alpaca"),
        row_preview(Path(address.repo), rows, mapping) if rows else None,
        hub=address.hub,
        hub_fault=fault,
        is_asking=rows is None and fault is None,
        must_convert=bool(rows) and not is_missing and not forms.entry_as_it_is(mapping, rows),
    )


def _mapping(rows: list[dict] | None, choices: dict[str, str]) -> Mapping:
    """Return what `rows` are taken for, with what was chosen instead."""
    columns, options = columns_of(choices), options_of(choices)
    mapping = forms.recognise(rows) if rows else Mapping("alpaca")
    if options.get("form") and options["form"] != mapping.form:
        mapping = forms.with_choices(mapping, None, None, {"form": options["form"]})
    return forms.with_choices(mapping, columns, None, options)


def _sent(words: Words, collection: Collection, choices: dict[str, str]) -> tuple[Box, dict[str, str]]:
    """Return the box of the name, and what is sent to bring the data in."""
    name = choices.get("name") or collection.free_name(choices["path"])
    return Box(words("datasets.name"), "name", name, urlencode(choices)), {**choices, "name": name}

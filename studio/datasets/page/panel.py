"""What the page draws of datasets: the list, and the head and rows of the one in hand. Pure functions to HTML."""

import json
from functools import lru_cache
from urllib.parse import parse_qs, urlencode

from markupsafe import escape

from studio.core import formatting
from studio.core.i18n import Problem, Words
from studio.datasets.files.reading import Row
from studio.datasets.files.row_index import Found, Rows
from studio.datasets.page import conversation
from studio.datasets.registry import dataset_info
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema.observed_schema import Shape
from studio.models.panel import button

PER_PAGE = 10
RAW_SHOWN = 20_000
TRAINED = ("sft", "pt", "dpo", "kto")


def draw_list(words: Words, collection: Collection, find: str) -> str:
    """Return every dataset of every data folder whose name, format or stage has every word of `find`; a broken one says
    why.
    """
    drawn = ""
    for folder in collection.folders():
        try:
            found = collection.datasets(folder)
        except Problem as problem:
            drawn += _folder_head(words, collection, folder) + f'<p class="problem">{escape(words.tell(problem))}</p>'
            continue
        asked = find.lower().split()
        items = "".join(
            _item(words, collection, each)
            for each in found
            if all(word in f"{each.name} {each.format} {each.stage} {_stage(words, each)}".lower() for word in asked)
        )
        nothing = f'<p class="hint">{words("datasets.none_found" if found else "datasets.none")}</p>'
        drawn += _folder_head(words, collection, folder) + (items or nothing)
    fault = collection.fault()
    return drawn + (f'<p class="problem">{escape(words.tell(fault))}</p>' if fault else "")


def _folder_head(words: Words, collection: Collection, folder) -> str:
    if folder == collection.folder:
        return ""
    forget = button(
        words("datasets.forget_folder"),
        "datasets_remove_folder",
        [str(folder)],
        "small quiet-button",
        words("datasets.forget_folder_sure"),
    )
    return f'<p class="folder-head"><code>{escape(str(folder))}</code>{forget}</p>'


def _item(words: Words, collection: Collection, dataset: Dataset) -> str:
    name = collection.name_of(dataset)
    state = "failed" if dataset.problem else "waiting" if dataset.rows is None and dataset.file else "finished"
    rows = words.html("datasets.rows_short", count=f"{dataset.rows:,}") if dataset.rows is not None else ""
    size = (
        formatting.size(dataset.size)
        if dataset.size is not None
        else words("datasets.on_hub")
        if hub_address(dataset.entry)
        else ""
    )
    reason = f'<span class="item-why">{escape(words.tell(dataset.problem))}</span>' if dataset.problem else ""
    return (
        f'<button class="item" data-pick="dataset:{escape(name)}"><span class="item-top"><i class="dot'
        f' {state}"></i><b>{escape(dataset.name)}</b><i class="mark">{_stage(words, dataset)}</i></span><span'
        f' class="item-sub"><span>{escape(dataset.format)}</span><span class="num">{rows}'
        f" {size}</span></span>{reason}</button>"
    )


def _stage(words: Words, dataset: Dataset) -> str:
    return words("datasets.stage_" + dataset.stage) if dataset.stage else "?"


def draw_set(words: Words, collection: Collection, name: str) -> str:
    """Return the head of a dataset: what it is, where it lies, what is wrong with it, what can be done."""
    if not name:
        return f'<p class="hint">{words("datasets.none")}</p>'
    dataset = collection.find(name)
    fault = f'<p class="problem" role="alert">{escape(words.tell(dataset.problem))}</p>' if dataset.problem else ""
    where = str(dataset.file) if dataset.file else hub_address(dataset.entry)
    return (
        f'<header class="run-head"><div><h2>{escape(dataset.name)}</h2><p'
        f' class="hint"><code>{escape(where)}</code></p></div>'
        "<div"
        f' class="actions">{_actions(words, collection, name, dataset)}</div></header>'
        f"{fault}{_facts(words, collection, dataset)}"
        f"{_intake(words, collection, dataset)}"
    )


def _intake(words: Words, collection: Collection, dataset: Dataset) -> str:
    """Return what was told when a dataset came in: rows left out, each with its reason, and what of the others is not
    trained.
    """
    intake = collection.intakes.of(dataset)
    drawn = ""
    if intake.left_out:
        reasons = "".join(f"<li>{escape(each.tell(words))}</li>" for each in intake.problems)
        more = intake.left_out - len(intake.problems)
        rest = f'<p class="hint">{words.html("datasets.left_out_more", count=f"{more:,}")}</p>' if more > 0 else ""
        head = words.html("datasets.left_out", count=f"{intake.left_out:,}", file=intake.source)
        drawn = (
            f'<details class="problem warned" id="left-out"><summary>{head}</summary><ul>{reasons}</ul>{rest}</details>'
        )
    told = [each.tell(words) for each in intake.notes]
    if intake.not_taken:
        told.append(words("datasets.fields_not_trained", fields=", ".join(intake.not_taken)))
    return drawn + "".join(f'<p class="problem warned">{escape(sentence)}</p>' for sentence in told)


def hub_address(entry: dict) -> str:
    """Return where an entry's data comes from when no file is named, as `hf_hub_url: owner/name`; "" where nothing
    is.
    """
    return next((f"{key}: {entry[key]}" for key in dataset_info.HUBS if entry.get(key)), "")


def _actions(words: Words, collection: Collection, name: str, dataset: Dataset) -> str:
    actions = f'<button class="button primary" data-pick="data:add">{words("datasets.add_data")}</button>'
    if dataset.file and collection.editor.can_undo(dataset.file):
        actions = button(words("datasets.undo"), "datasets_undo", [name]) + actions
    if dataset.stage in TRAINED and not dataset.problem:
        given = escape(f"train-given:{json.dumps({'stage': dataset.stage, 'dataset': name}, ensure_ascii=False)}")
        actions = (
            '<button class="button" data-pick="run:" data-go="room-train"'
            f' data-give="{given}">{words("models.train")}</button>' + actions
        )
    return actions


def _facts(words: Words, collection: Collection, dataset: Dataset) -> str:
    if not dataset.entry:
        return ""
    entry = dataset.entry
    rows = f"{dataset.rows:,}" if dataset.rows is not None else _counting(words, collection, dataset)
    shown = {
        "format": dataset.format,
        "stage": _stage(words, dataset),
        "rows": rows,
        "size": formatting.size(dataset.size) if dataset.size is not None else "–",
    }
    shown |= {
        f"entry_{key}": str(entry[key])
        for key in ("subset", "split", "folder", "num_samples")
        if entry.get(key) is not None
    }
    cells = "".join(
        f"<div><dt>{words('datasets.' + key)}</dt><dd>{escape(value)}</dd></div>" for key, value in shown.items()
    )
    return f'<dl class="facts">{cells}</dl>'


def _counting(words: Words, collection: Collection, dataset: Dataset) -> str:
    if dataset.file is None or dataset.problem:
        return "–"
    return words("datasets.counting", share=f"{100 * collection.indexes.of(dataset.file).share:.0f}")


# Rows
# --------------------------------------------------------------------------------------------------


def place(text: str, name: str) -> dict[str, str]:
    """Return where in a dataset the page stands, as said in its address: {offset, find, edit}; {} where that is of
    another dataset.
    """
    said = {key: values[0] for key, values in parse_qs(text, keep_blank_values=True).items()}
    return said if said.pop("name", None) == name else {}


def draw_rows(words: Words, collection: Collection, arg: str) -> str:
    """Return a page of rows. `arg` is the name of the dataset, and on a second line where in it the page stands (see
    `place`).
    """
    name, _, where = arg.partition("\n")
    if not name:
        return ""
    dataset = collection.find(name)
    if dataset.file is None:
        return (
            f'<p class="hint">{words.html("datasets.on_a_hub", name=dataset.name)}</p>' if not dataset.problem else ""
        )
    at = place(where, name)
    rows = collection.indexes.of(dataset.file)
    rows.wait(seconds=0.1) or rows.wait(PER_PAGE, 0.5)
    offset, find = _number(at.get("offset")), at.get("find", "")
    found = collection.search(rows, find, offset, PER_PAGE) if find else None
    # An entry that is not sound has no stage: its rows are drawn as those of an entry that says nothing.
    entry = json.dumps(dataset.entry if dataset.stage else {})
    numbers = tuple(found.rows) if found else tuple(range(offset + 1, min(offset + PER_PAGE, rows.count) + 1))
    drawn = _page(words.language, rows, numbers, entry, name, tuple(at.items()))
    fault = f'<p class="problem">{escape(words.tell(rows.fault))}</p>' if rows.fault and not dataset.problem else ""
    searching = found is not None and found.share < 1
    nothing = "searching" if searching else "nothing_found" if find else "no_rows"
    hint = "" if drawn else f'<p class="hint">{words("datasets." + nothing)}</p>'
    return _bar(words, name, rows, at) + fault + drawn + hint + _foot(words, name, rows, at, found)


@lru_cache(64)
def _page(
    language: str, rows: Rows, numbers: tuple[int, ...], entry: str, name: str, at: tuple[tuple[str, str], ...]
) -> str:
    """Return rows as HTML; the page asks for them each second, and a file that changes has other `rows`."""
    words, shape, where = Words(language), Shape.of(json.loads(entry)), dict(at)
    found = (
        rows.page(numbers[0] - 1, len(numbers))
        if numbers and numbers[-1] - numbers[0] == len(numbers) - 1
        else [rows.page(number - 1, 1)[0] for number in numbers]
    )
    return "".join(
        _bad_row(words, name, row, rows, where) if row.value is None else _row(words, name, row, shape, where)
        for row in found
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 16 else 0


def _to(name: str, **where: object) -> str:
    """Return what a button takes in hand to lead to another place in the dataset."""
    return escape(
        "page:" + urlencode({"name": name, **{key: value for key, value in where.items() if value not in ("", None)}})
    )


def _bar(words: Words, name: str, rows: Rows, at: dict[str, str]) -> str:
    offset, find = _number(at.get("offset")), at.get("find", "")
    last = min(offset + PER_PAGE, rows.count)
    total = (
        f"{rows.count:,}"
        if rows.done
        else words.html("datasets.so_far", count=f"{rows.count:,}", share=f"{100 * rows.share:.0f}")
    )
    range_ = words.html("datasets.range", first=f"{offset + 1 if rows.count else 0:,}", last=f"{last:,}", total=total)
    before = (
        '<button class="button small"'
        f' data-pick="{_to(name, offset=max(0, offset - PER_PAGE))}"{"" if offset else " disabled"}>'
        f"{words('datasets.previous')}</button>"
    )
    after = (
        '<button class="button small"'
        f' data-pick="{_to(name, offset=offset + PER_PAGE)}"{"" if last < rows.count else " disabled"}>'
        f"{words('datasets.next')}</button>"
    )
    address = escape(urlencode({"name": name}))
    search = (
        f'<input type="search" data-place="page:find" data-base="{address}" value="{escape(find)}"'
        f' placeholder="{words("datasets.search_rows")}" aria-label="{words("datasets.search_rows")}">'
    )
    jump = (
        f'<input type="number" min="1" data-place="page:offset" data-base="{address}" data-less="1"'
        f' placeholder="{words("datasets.jump")}" aria-label="{words("datasets.jump")}">'
    )
    add = (
        '<button class="button small"'
        f' data-pick="{_to(name, offset=offset, edit="new")}">{words("datasets.add_row")}</button>'
    )
    moving = "" if rows.done else f'<div class="bar"><i style="width:{100 * rows.share:.1f}%"></i></div>'
    pages = (
        f'<span class="num">{range_}</span>{before}{after}'
        if not find
        else f'<span class="num">{words.html("datasets.matches", text=find)}</span>'
    )
    return (
        f'<div class="row-bar"><div class="pages">{pages}</div><div'
        f' class="row-tools">{search}{jump}{add}</div></div>{moving}{_new(words, name, at, rows)}'
    )


def _foot(words: Words, name: str, rows: Rows, at: dict[str, str], found: Found | None) -> str:
    offset, find = _number(at.get("offset")), at.get("find", "")
    if not find:
        more = offset + PER_PAGE < rows.count
        return (
            '<p class="row-foot"><button class="button small"'
            f' data-pick="{_to(name, offset=offset + PER_PAGE)}">{words("datasets.next")}</button></p>'
            if more
            else ""
        )
    on = ""
    if found and found.next is not None and len(found.rows) >= PER_PAGE:
        on = (
            '<button class="button small"'
            f' data-pick="{_to(name, offset=found.next, find=find)}">{words("datasets.search_on")}</button>'
        )
    searched = words.html("datasets.searched", share=f"{100 * (found.share if found else 0):.0f}")
    back = f'<button class="button small" data-pick="{_to(name)}">{words("datasets.all_rows")}</button>'
    return f'<p class="row-foot">{on}{back}<span class="hint">{searched}</span></p>'


def _row(words: Words, name: str, row: Row, shape: Shape, at: dict[str, str]) -> str:
    if at.get("edit") == str(row.number):
        return _form(words, name, row, at)
    raw = json.dumps(row.value, ensure_ascii=False, indent=2, default=str)
    clipped = "\n…" if len(raw) > RAW_SHOWN else ""
    return (
        "<article"
        f' class="row">{_row_head(words, name, row, at)}'
        f"{conversation.draw(words, row.value, shape, at.get('find', ''))}"
        '<details class="raw"'
        f' id="raw-{row.number:d}"><summary>JSON</summary>'
        f"<pre>{escape(raw[:RAW_SHOWN])}{clipped}</pre></details></article>"
    )


def _row_head(words: Words, name: str, row: Row, at: dict[str, str]) -> str:
    size = f'<span class="row-size num">{formatting.size(row.size)}</span>' if row.size > 4096 else ""
    edit = (
        '<button class="button small quiet-button"'
        f' data-pick="{_to(name, **{**at, "edit": row.number})}">{words("datasets.edit")}</button>'
    )
    sure = words("datasets.delete_sure", row=row.number)
    remove = button(words("datasets.delete"), "datasets_delete_row", [name, row.number], "small quiet-button", sure)
    return f'<span class="row-number num">{row.number:,}</span><header>{size}{edit}{remove}</header>'


def _bad_row(words: Words, name: str, row: Row, rows: Rows, at: dict[str, str]) -> str:
    """Return a row that cannot be read, with its reason, and to correct it the text as it is written in the file."""
    told = f'<p class="problem">{escape(words.tell(row.problem))}</p>'
    part, inner = rows.locate(row.number)
    text = part.raw(inner)
    if at.get("edit") == str(row.number) and text:
        return _form_around(words, name, row, at, _text_field(text), "", told)
    shown = (
        '<details class="raw"'
        f' id="raw-{row.number:d}"><summary>JSON</summary><pre>{escape(text[:RAW_SHOWN])}</pre></details>'
    )
    return f'<article class="row bad">{_row_head(words, name, row, at)}{told}{shown}</article>'


def _new(words: Words, name: str, at: dict[str, str], rows: Rows) -> str:
    if at.get("edit") != "new":
        return ""
    like = rows.page(max(0, rows.count - 1), 1)
    empty = _emptied(like[0].value) if like and like[0].value else {"instruction": "", "input": "", "output": ""}
    return _form(words, name, Row(0, empty), at)


def _emptied(value: object) -> object:
    """Return a value of the same make with nothing said, but for the roles of messages."""
    if isinstance(value, dict):
        return {key: each if key in ("from", "role") else _emptied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_emptied(each) for each in value]
    return "" if isinstance(value, str) else value


def _form(words: Words, name: str, row: Row, at: dict[str, str]) -> str:
    """Return the form in which a row is changed: a field for each text in it, and what is no text as JSON; or all of it
    as JSON.
    """
    as_json = at.get("as") == "json"
    switch = (
        '<button type="button" class="button small quiet-button"'
        f' data-pick="{_to(name, **{**at, "as": "" if as_json else "json"})}">'
    )
    switch += f"{words('datasets.edit_fields' if as_json else 'datasets.edit_json')}</button>"
    whole = json.dumps(row.value, ensure_ascii=False, indent=2, default=str)
    fields = _text_field(whole) if as_json else "".join(_field(path, value) for path, value in leaves(row.value))
    return _form_around(words, name, row, at, fields, switch)


def _form_around(
    words: Words, name: str, row: Row, at: dict[str, str], fields: str, switch: str, told: str = ""
) -> str:
    back = _to(name, **{**at, "edit": "", "as": ""})
    title = words.html("datasets.row_title", row=f"{row.number:,}") if row.number else words("datasets.new_row")
    was = escape(json.dumps(row.value, ensure_ascii=False, default=str))
    return (
        f'<form class="row row-form drawn-form" data-submit="datasets_save_row" data-as="object" data-then="{back}"'
        f' data-done="{words("datasets.saved")}"><header><b>{title}</b>{switch}</header>{told}<input type="hidden"'
        f' name="name" value="{escape(name)}"><input type="hidden" name="row" value="{row.number:d}"><input'
        f' type="hidden" name="was" value="{was}">{fields}<p class="problem" role="alert" hidden></p><div'
        f' class="actions"><button class="button primary" type="submit">{words("datasets.save")}</button><button'
        f' class="button" type="button" data-pick="{back}">{words("datasets.cancel")}</button></div></form>'
    )


def _text_field(text: str) -> str:
    return (
        f'<label><textarea name="json" rows="{min(28, text.count(chr(10)) + 3)}" class="code"'
        f' spellcheck="false">{escape(text)}</textarea></label>'
    )


def _field(path: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    lines = max(1, min(14, sum(1 + len(line) // 100 for line in text.split("\n"))))
    return (
        f'<label><span>{escape(path)}</span><textarea name="at:{escape(path)}"'
        f' rows="{lines}">{escape(text)}</textarea></label>'
    )


def leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    """Return every value in a row that holds no other, with its path: ("conversations[0].value", "Hello")."""
    if isinstance(value, dict) and value:
        return [leaf for key, each in value.items() for leaf in leaves(each, f"{path}.{key}" if path else key)]
    if isinstance(value, list) and value:
        return [leaf for number, each in enumerate(value) for leaf in leaves(each, f"{path}[{number}]")]
    return [(path, value)]


def with_leaves(value: object, said: dict[str, str], path: str = "") -> object:
    """Return `value` with its leaves as a form says them: text stays text, anything else is read as JSON.

    Raises:
        Problem: what was no text is no JSON now.
    """
    if isinstance(value, dict) and value:
        return {key: with_leaves(each, said, f"{path}.{key}" if path else key) for key, each in value.items()}
    if isinstance(value, list) and value:
        return [with_leaves(each, said, f"{path}[{number}]") for number, each in enumerate(value)]
    if path not in said:
        return value
    text = said[path].replace("\r\n", "\n")
    if isinstance(value, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise Problem("datasets.field_not_json", field=path) from error

"""What the page draws of the models on disk: the list, and the model in hand. Pure functions from words and a model to
HTML.
"""

import json
from difflib import SequenceMatcher
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from markupsafe import escape

from studio.core import formatting
from studio.core.i18n import Problem, Words
from studio.core.storage import folders, trash
from studio.models import code_panel, completeness, fit, library, places, templates
from studio.models.library import Model
from studio.models.shelf import Shelf
from studio.web.live import attribute

VIEWS = ("disk", "catalogue", "get")
GIB = 2**30
WAIT_S = 0.05  # for what a model's own template says; the page is drawn again in a second
# What a person may set for the estimate, and the most that is sensible.
SETTINGS = {"batch": 4096, "seq": 1_048_576, "rank": 1024}


def draw_views(words: Words, shelf: Shelf) -> str:
    """Return the switch between what is on disk, the catalogue and getting a model, which says how many are on their
    way.
    """
    active = sum(job.active for kind in ("download", "import_gguf") for job in shelf.jobs.all(kind))
    counts = {"get": f' <i class="count">{active}</i>' if active else ""}
    picks = "".join(
        f'<button data-pick="models:{view}">{words("models.view_" + view)}{counts.get(view, "")}</button>'
        for view in VIEWS
    )
    return f'<div class="views">{picks}</div>'


def draw_list(words: Words, shelf: Shelf, find: str) -> str:
    """Return the models on disk whose name, architecture or template has every word of `find`, and the folders they
    were looked for in.
    """
    found = completeness.checked(library.models(shelf.workspace), wait=0)
    wanted = [(model.path, model.name, model.model_type) for model in found]
    chosen, stopped = templates.of_all(wanted), templates.faults(wanted)
    asked = find.lower().split()
    rows = [
        _item(model, template, fault)
        for model, template, fault in zip(found, chosen, stopped, strict=True)
        if all(word in f"{model.name} {model.architecture} {template}".lower() for word in asked)
    ]
    if not rows:
        rows = [f'<p class="hint">{words("models.none_found" if found else "models.none")}</p>']
    return "".join(rows) + _places(words, shelf)


def _item(model: Model, template: str | None, fault: Problem | None = None) -> str:
    state = "failed" if model.faults or fault else "stopped" if model.warnings else "finished"
    facts = " · ".join(
        filter(
            None,
            (formatting.params(model.params), model.quantization and str(model.quantization) or model.dtype, template),
        )
    )
    return (
        f'<button class="item" data-pick="model:{escape(model.name)}"><span class="item-top"><i class="dot'
        f' {state}"></i><b>{escape(model.name)}</b></span><span class="item-sub"><span>{escape(facts)}</span><span'
        f' class="num">{formatting.size(model.size_bytes)}</span></span></button>'
    )


def _places(words: Words, shelf: Shelf) -> str:
    rows = ""
    for folder in places.folders(shelf.workspace):
        gone = "" if folders.is_folder(folder) else f' <span class="failed-text">{words("models.place_gone")}</span>'
        remove = button(
            words("models.forget"),
            "models_remove_folder",
            [str(folder)],
            "small quiet-button",
            words("models.forget_sure"),
        )
        rows += f'<li><code title="{escape(str(folder))}">{escape(str(folder))}</code>{gone}{remove}</li>'
    return f'<h3>{words("models.places")}</h3><ul class="plain places">{rows}</ul>' if rows else ""


def draw_model(words: Words, shelf: Shelf, name: str) -> str:
    """Return the head of a model: where it is, what can be done, what is wrong, its facts and its template."""
    if not name:
        return f'<p class="hint">{words("models.none")}</p>'
    model = completeness.checked([library.find(shelf.workspace, name)], wait=0)[0]
    told = "".join(f'<p class="problem" role="alert">{escape(words.tell(fault))}</p>' for fault in model.faults)
    told += "".join(f'<p class="problem warned">{escape(words.tell(warning))}</p>' for warning in model.warnings)
    copy = (
        f'<button class="link-copy" data-copy="{escape(str(model.path))}"'
        f' data-done="{words("models.copied")}">{words("models.copy")}</button>'
    )
    return (
        f'<header class="run-head"><div><h2>{escape(name)}</h2><p class="hint"><code>{escape(str(model.path))}</code>'
        f" {copy}</p></div>"
        "<div"
        f' class="actions">{_actions(words, shelf, model)}</div></header>{told}{code_panel.draw_code(words, model)}{_facts(words, model)}'
        f"{_template(words, model)}"
    )


def _actions(words: Words, shelf: Shelf, model: Model) -> str:
    runs = shelf.runs_on(model)
    sure = words("models.delete_sure", name=model.name, freed=formatting.size(trash.size(model.path)))
    sure += " " + words("models.delete_runs", count=runs) if runs else ""
    rename = (
        f'<details id="rename"><summary class="button">{words("models.rename")}</summary><form class="drawn-form pop"'
        ' data-submit="models_rename" data-then="model:{name}"><input type="hidden" name="name"'
        f' value="{escape(model.name)}"><input name="new" value="{escape(model.name)}"'
        f' aria-label="{words("models.new_name")}" required><button class="button primary"'
        f' type="submit">{words("models.rename")}</button><p class="problem" role="alert" hidden></p></form></details>'
    )
    return _use(words, model) + rename + button(words("models.delete"), "models_delete", [model.name], "danger", sure)


def _use(words: Words, model: Model) -> str:
    """Return the buttons that open the form of a new run with this model and its template, and the chat with it."""
    if model.faults:
        return ""
    choice = templates.of(model.path, model.name, model.model_type, compare=templates.loaded(), wait=WAIT_S)
    recipe = {"model_name_or_path": model.name} | ({"template": choice.template} if choice.compared else {})
    given = escape(f"train-given:{json.dumps(recipe, ensure_ascii=False)}")
    chat = (
        '<button class="button" data-go="room-chat"'
        f' data-give="chat-wish:{escape(model.name)}">{words("models.talk")}</button>'
    )
    return (
        '<button class="button primary" data-pick="run:" data-go="room-train"'
        f' data-give="{given}">{words("models.train")}</button>{chat}'
    )


def _facts(words: Words, model: Model) -> str:
    shown = {
        "architecture": model.architecture,
        "params": f"{model.params:,}" if model.params else "–",
        "dtype": model.dtype,
        "quantization": str(model.quantization) if model.quantization else words("models.not_quantized"),
        "context": f"{model.context:,}" if model.context else "–",
        "licence": model.licence or words("models.no_licence"),
        "size": formatting.size(model.size_bytes),
    }
    cells = "".join(
        f"<div><dt>{words('models.' + key)}</dt><dd>{escape(value)}</dd></div>" for key, value in shown.items()
    )
    return f'<dl class="facts">{cells}</dl>'


def _template(words: Words, model: Model) -> str:
    choice = templates.of(model.path, model.name, model.model_type, compare=templates.loaded(), wait=WAIT_S)
    kind = words("models.kind_chat" if choice.chat else "models.kind_base")
    sure = choice.compared or choice.reason in ("exact", "resembles")
    reason = words(f"models.template_{choice.reason}", **choice.facts) if sure else words("models.template_waits")
    said = (
        f'<p class="line"><b>{escape(choice.template) if sure else "…"}</b> <span>{escape(reason)}</span></p><p'
        f' class="hint">{kind}</p>'
    )
    return f"<h3>{words('models.template')}</h3>{said}{_difference(words, model, choice)}"


def _difference(words: Words, model: Model, choice: templates.Choice) -> str:
    if choice.fault:
        return f'<p class="problem" role="alert">{escape(words.tell(choice.fault))}</p>'
    if not choice.compared:
        return "" if templates.loaded() else f'<p class="hint">{words("models.compare_waits")}</p>'
    if not choice.differences:
        same = choice.chat and templates.tokenizer.chat_template(model.path)
        return f'<p class="hint">{words("models.template_equal")}</p>' if same else ""
    rows = "".join(
        f"<tr><th>{words('models.conversation_' + one.conversation)}</th><td><code><s>{visible(one.before)}</s>{marked(one.studio, one.own)}</code></td>"
        f"<td><code><s>{visible(one.before)}</s>{marked(one.own, one.studio)}</code></td></tr>"
        for one in choice.differences
    )
    return (
        '<div class="problem'
        f' warned"><p>{escape(words("models.template_differs", count=len(choice.differences), all=len(templates.CONVERSATIONS)))}</p><table'
        ' class="differences"><tr><th></th><th>LLaMA-Factory ·'
        f" {escape(choice.template)}</th><th>{words('models.own_template')}</th></tr>{rows}</table></div>"
    )


def draw_fit(words: Words, shelf: Shelf, arg: str) -> str:
    """Return a bar for each way to use the model against this machine's memory, and what to change where it does not
    fit.

    `arg` is the model's name, and on a second line the settings that a person chose for the estimate
    ("batch=4&rank=16").
    """
    name, _, where = arg.partition("\n")
    if not name or library.find(shelf.workspace, name).faults:
        return ""
    device, memory = shelf.memory()
    said = dict(parse_qsl(where))
    fields = _settings(words, said)
    head = (
        f"<h3>{words('models.fits')}</h3><p"
        f' class="hint">{words.html("fit.against", device=words("models.device_" + device), memory=formatting.gib(memory))}</p>{fields}'
    )
    try:
        plan = fit.Plan(
            device=device,
            **{setting: _chosen(words, setting, said[setting]) for setting in SETTINGS if setting in said},
        )
    except Problem as problem:
        return head + f'<p class="problem" role="alert">{escape(words.tell(problem))}</p>'
    rows = _table(library.find(shelf.workspace, name), memory, plan)
    widest = max(memory, *(row["bytes"] for row in rows)) or 1
    bars = "".join(_bar(words, row, memory, widest) for row in rows)
    legend = "".join(
        f'<span><i class="part-{escape(part)}"></i>{words("fit." + part)}</span>' for part in rows[0]["parts"]
    )
    return f'{head}<div class="fit">{bars}</div><p class="fit-legend">{legend}</p>'


def _settings(words: Words, said: dict[str, str]) -> str:
    """Return the fields of the settings by which the bars are reckoned."""
    base = escape(urlencode(said))
    fields = "".join(
        f'<label><span>{words("fit.setting_" + name)}</span><input type="number" min="1" max="{most}"'
        f' data-place="fit:{name}" data-base="{base}"'
        f' value="{escape(said.get(name) or str(getattr(fit.Plan(), name)))}"></label>'
        for name, most in SETTINGS.items()
    )
    return f'<div class="fit-settings drawn-form">{fields}</div><p class="hint">{words("fit.otherwise")}</p>'


def _chosen(words: Words, name: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= SETTINGS[name]:
        raise Problem("fit.bad_number", setting=words("fit.setting_" + name), value=value, most=f"{SETTINGS[name]:,}")
    return int(value)


@lru_cache(64)
def _table(model: Model, memory: int, plan: fit.Plan) -> list[dict]:
    # A model is looked at anew only when its files changed, so this too is counted once.
    return fit.table(model.path, memory, plan)


def _bar(words: Words, row: dict, memory: int, widest: int) -> str:
    parts = "".join(
        f'<i class="part-{escape(part)}" style="width:{100 * taken / widest:.2f}%" title="{words("fit." + part)}'
        f' {formatting.gib(taken)}"></i>'
        for part, taken in row["parts"].items()
        if taken
    )
    limit = f'<u style="left:{100 * memory / widest:.2f}%"></u>' if memory < widest else ""
    advice = row["advice"]
    change = f"<em>{escape(words(advice['key'], **advice['facts']))}</em>" if advice else ""
    return (
        '<div class="fit-row'
        f' {"fits" if row["fits"] else "too-large"}"><b>{words(f"models.method_{method_key(row)}")}</b><div'
        f' class="fit-bar">{parts}{limit}'
        "</div><span"
        f' class="num">{formatting.gib(row["bytes"])}</span><span>{words("models.it_fits" if row["fits"] else "models.too_large")}</span>{change}</div>'
    )


def method_key(row: dict) -> str:
    """Return the name of a row of the table as words know it: lora with 4 bits is qlora4."""
    return f"q{row['method']}{row['bits']}" if row["bits"] else row["method"]


def button(label: str, endpoint: str, args: list, look: str = "", ask: str = "", then: str = "") -> str:
    """Return a button that calls an endpoint, after a question where `ask` has one; `then` is taken in hand afterwards."""
    more = "".join(f' data-{key}="{escape(value)}"' for key, value in (("ask", ask), ("then", then)) if value)
    return (
        f'<button class="button {look}" data-call="{endpoint}"'
        f" data-args='{attribute(args)}'{more}>{escape(label)}</button>"
    )


def marked(text: str, other: str) -> str:
    """Return text for HTML with what `other` does not have marked; at the end both are cut off, so the last stretch
    tells nothing.

    Of texts that have little in common nothing is marked: single letters that happen to agree would only confuse.
    """
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    if matcher.ratio() < 0.7:
        return visible(text)
    blocks = matcher.get_opcodes()
    last = blocks[-1] if len(blocks) > 1 else None
    return "".join(
        visible(text[i:j]) if kind == "equal" or (kind, i, j, *rest) == last else f"<mark>{visible(text[i:j])}</mark>"
        for kind, i, j, *rest in blocks
        if j > i
    )


def visible(text: str) -> str:
    """Return text for HTML with its line ends and tabs to be seen."""
    return str(escape(text)).replace("\n", "<i>↵</i>").replace("\t", "<i>⇥</i>")

"""What the page draws of the inside of a model: config, generation settings, special tokens, chat template, layers and
tensors.
"""

import json
from functools import lru_cache
from math import prod

from markupsafe import escape

from studio.core import formatting
from studio.core.i18n import Problem, Words
from studio.models import library, templates
from studio.models.inspection import Inspection, Layers, inspect, ranges
from studio.models.library import Model
from studio.models.shelf import Shelf

SHOWN_TOKENS = 60
SHOWN_LAYERS = 200
SAMPLE = "two_turns"
WAIT_S = 0.05  # a page must not wait for what a template of another takes; it is drawn again in a second


def draw_inside(words: Words, shelf: Shelf, name: str) -> str:
    """Return the folded parts of what is inside a model."""
    if not name:
        return ""
    model = library.find(shelf.workspace, name)
    return draw_parts(words, model, _seen(model))


def draw_parts(words: Words, model: Model, seen: Inspection) -> str:
    """Return the folded parts: config, generation settings, special tokens, chat template, layers and tensors."""
    parts = (
        ("config", len(seen.explained) + len(seen.others), _config(words, seen)),
        (
            "generation",
            len(seen.generation),
            _plain(seen.generation) or f'<p class="hint">{words("models.no_generation")}</p>',
        ),
        ("tokens", len(seen.added) or len(seen.special), _tokens(words, seen)),
        ("chat_template", "", _chat_template(words, model, seen)),
        (
            "layers",
            sum(max(1, len(layers.numbers)) * len(layers.tensors) for layers in seen.layers),
            _layers(words, model, seen),
        ),
    )
    return f"<h3>{words('models.inside')}</h3>" + "".join(
        f'<details class="fold" id="inside-{key}"><summary>{words("models.inside_" + key)} <span'
        f' class="num">{number or ""}</span></summary>{html}</details>'
        for key, number, html in parts
    )


@lru_cache(16)
def _seen(model: Model) -> Inspection:
    return inspect(model)


def _config(words: Words, seen: Inspection) -> str:
    rows = "".join(
        f"<tr><th>{escape(field)}</th><td><code>{_value(value)}</code></td><td>{escape(words(f'config.{field}'))}</td></tr>"
        for field, value in seen.explained.items()
    )
    others = (
        f'<details class="fold" id="inside-others"><summary>{words("models.other_fields")} <span'
        f' class="num">{len(seen.others)}</span></summary>{_plain(seen.others)}</details>'
        if seen.others
        else ""
    )
    return (
        f'<table class="fields-table">{rows}</table>{others}'
        if rows or others
        else f'<p class="hint">{words("models.no_fields")}</p>'
    )


def _plain(values: dict) -> str:
    rows = "".join(
        f"<tr><th>{escape(field)}</th><td><code>{_value(value)}</code></td></tr>" for field, value in values.items()
    )
    return f'<table class="fields-table">{rows}</table>' if rows else ""


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= 400 else text[:400] + " …")


def _tokens(words: Words, seen: Inspection) -> str:
    roles = "".join(
        f"<tr><th>{escape(role)}</th><td><code>{escape(text)}</code></td><td"
        f' class="num">{escape(seen.added.get(text, ""))}</td></tr>'
        for role, text in seen.special.items()
    )
    rest = {text: number for text, number in seen.added.items() if text not in seen.special.values()}
    more = " ".join(
        f"<code>{escape(number)} {escape(text)}</code>" for text, number in list(rest.items())[:SHOWN_TOKENS]
    )
    left = f" {words.html('models.more_tokens', count=len(rest) - SHOWN_TOKENS)}" if len(rest) > SHOWN_TOKENS else ""
    others = f'<p class="hint chips">{words("models.added_tokens")} {more}{left}</p>' if rest else ""
    return (
        f'<table class="fields-table">{roles}</table>{others}'
        if roles or rest
        else f'<p class="hint">{words("models.no_tokens")}</p>'
    )


def _chat_template(words: Words, model: Model, seen: Inspection) -> str:
    own = seen.template
    if own is None:
        return f'<p class="hint">{words("models.no_chat_template")}</p>'
    source = f"<h4>{words.html('models.template_source', file=own.file.name)}</h4><pre>{escape(own.source)}</pre>"
    try:
        made = templates.renderings(model.path, WAIT_S)
    except Problem as problem:
        return f'<p class="problem" role="alert">{escape(words.tell(problem))}</p>{source}'
    if made is None:
        return f'<p class="hint">{words("models.template_rendering")}</p>{source}'
    said = made.get(SAMPLE, {})
    shown = (
        f"<pre>{escape(said['text'])}</pre>"
        if "text" in said
        else f'<p class="hint">{words.html("models.template_refuses", reason=said.get("refused", "?")[:200])}</p>'
    )
    return f"<h4>{words('models.template_sample')}</h4>{shown}{source}"


def _layers(words: Words, model: Model, seen: Inspection) -> str:
    if not seen.layers:
        return f'<p class="hint">{words("models.no_tensors")}</p>'
    search = (
        '<input type="search" class="row-search" data-rows="tensor-rows"'
        f' placeholder="{words("models.search_tensors")}" aria-label="{words("models.search_tensors")}">'
    )
    rows = "".join(_layer(words, layers) for layers in seen.layers[:SHOWN_LAYERS])
    heads = "".join(
        f"<th>{words('models.column_' + key)}</th>" for key in ("tensor", "dtype", "shape", "params", "bytes")
    )
    return (
        f'{search}<div class="wide"><table class="tensors"'
        f' id="tensor-rows"><thead><tr>{heads}</tr></thead>{rows}</table></div>'
    )


def _layer(words: Words, layers: Layers) -> str:
    """Return one body of rows: the head says which layers are alike, the rows are the tensors of one of them."""
    place = layers.name or words("models.top_layer")
    title = f"{escape(place)}.{escape(ranges(layers.numbers))}" if layers.numbers else escape(place)
    alike = (
        f' <span class="hint">{words.html("models.alike", count=len(layers.numbers))}</span>'
        if len(layers.numbers) > 1
        else ""
    )
    head = (
        f'<tr class="layer"><th colspan="3">{title}{alike}</th><td class="num">{formatting.params(layers.params)}</td><td'
        f' class="num">{formatting.size(layers.bytes)}</td></tr>'
    )
    rows = "".join(
        f"<tr><td><code>{escape(one.name)}</code></td><td>{escape(one.dtype)}</td><td"
        f" class='num'>{' × '.join(map(escape, one.shape)) or '1'}</td><td class='num'>{prod(one.shape):,}</td><td"
        f" class='num'>{formatting.size(one.bytes)}</td></tr>"
        for one in layers.tensors
    )
    return f"<tbody>{head}{rows}</tbody>"

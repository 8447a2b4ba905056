"""HTML from typed contexts: Jinja templates of our own, in which all is escaped that is not Markup already.

A template lies beside the domain it shows, in `<package>/page/`, and is named from `studio/` on:
"models/page/model.html". It knows

- `t`: the words of the page's language; `t("models.copied")`, `t("models.freed", size=...)`, `t.tell(problem)`;
- `ui`: the macros of `web/templates/_ui.html`;
- the fields of its context, and nothing else: what is missing raises.

An environment of our own, because that of gradio is changed by `page.claim`.
"""

import dataclasses
import json
from functools import cache
from pathlib import Path
from types import ModuleType

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from studio.core import formatting
from studio.core.i18n import Words
from studio.core.plain import shown

STUDIO = Path(__file__).parents[1]
MACROS = "web/templates/_ui.html"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(STUDIO),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "size": formatting.size,
        "gib": formatting.gib,
        "in_gib": formatting.in_gib,
        "fixed": formatting.fixed,
        "params": formatting.params,
        "duration": formatting.duration,
        "number": formatting.whole,
        "plain": formatting.plain,
        "measured": formatting.measured,
        "percent": formatting.percent,
        "moment": formatting.moment,
        "width": formatting.width,
        "json": _json,
    }
    return environment


def render(template: str, words: Words, context: object = None, /, **more: object) -> Markup:
    """Return a template filled with a context, as HTML.

    Args:
        template: its path from `studio/` on.
        words: the words of the page's language.
        context: a dataclass whose fields the template names, or None.
        more: further names for the template.

    Raises:
        jinja2.UndefinedError: the template names what is not there.
    """
    fields = {} if context is None else {one.name: getattr(context, one.name) for one in dataclasses.fields(context)}
    html = _environment().get_template(template).render(t=words, ui=ui(words.language), **fields, **more)
    return Markup(shown(html))


@cache
def ui(language: str) -> ModuleType:
    """Return the macros of `_ui.html` in one language; each returns Markup, so that Python can use them too."""
    words = Words(language)
    return _environment().get_template(MACROS).make_module({"t": words})


def _json(value: object) -> str:
    """Return a value as JSON for an attribute; the quotes are escaped by the template, as all text is."""
    return json.dumps(value, ensure_ascii=False)

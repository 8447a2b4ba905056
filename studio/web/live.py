"""Live regions: places on the page whose HTML is drawn here and put in anew by the page when it changed.

A region is an element `<div data-live="name" data-arg="...">`. Once a second, while the page is looked at, its script
asks for all regions in sight in one request and replaces those that differ from what it has. A page that nobody looks
at asks for nothing.
"""

import hashlib
import json
import secrets
import traceback
from collections.abc import Callable

from pydantic import Field, field_validator

from studio.core import llamafactory
from studio.core.i18n import Problem, Words
from studio.core.plain import shown
from studio.web.html import render, ui
from studio.web.schema import Options, Result

Draw = Callable[[Words, str], str]
Context = Callable[[Words, str], object]


class RegionOptions(Options):
    """A region that the page asks for."""

    name: str
    arg: str = Field("", description="what it is drawn for, as the name of a run")
    mark: str = Field("", description="that of the HTML which the page has")

    @field_validator("arg", "mark", mode="before")
    @classmethod
    def _text_of_null(cls, value: object) -> object:
        return "" if value is None else value


class RegionResult(Result):
    """The HTML of a region that changed."""

    html: str
    mark: str = Field(description="to be sent with the next call")


class Live:
    """The regions by name. Each is a function of the words and the region's argument that returns HTML, or a template
    with such a function that returns its context (a dataclass; None where nothing is to be drawn).
    """

    def __init__(self) -> None:
        self._draws: dict[str, Draw] = {}

    def add(self, name: str, draw: Draw | tuple[str, Context]) -> None:
        """Add a region. Raises ValueError for a name that is taken."""
        if name in self._draws:
            raise ValueError(name)
        self._draws[name] = _filled(*draw) if isinstance(draw, tuple) else draw

    def answer(self, words: Words, regions: list[RegionOptions]) -> list[RegionResult | None]:
        """Return the HTML of each region, None where the page has it already."""
        return [self._answer(words, region) for region in regions]

    def _answer(self, words: Words, region: RegionOptions) -> RegionResult | None:
        try:
            if region.name not in self._draws:
                raise Problem("app.no_region")
            with llamafactory.no_waiting():
                html = self._draws[region.name](words, region.arg)
        except Problem as problem:
            html = ui(words.language).problem(problem)
        except (
            Exception
        ):  # one region that cannot be drawn must not take the others from the page; the terminal has the reason
            traceback.print_exc()
            html = ui(words.language).problem(words("app.region_failed"))
        html = shown(html)
        digest = hashlib.md5(html.encode(), usedforsecurity=False).hexdigest()
        return None if digest == region.mark else RegionResult(html=html, mark=digest)


def _filled(template: str, context: Context) -> Draw:
    def draw(words: Words, arg: str) -> str:
        fields = context(words, arg)
        return "" if fields is None else render(template, words, fields)

    return draw


def region(name: str, arg: str = "", follows: str = "", first: str = "") -> str:
    """Return the HTML of an empty region.

    `follows` names what the person has in hand ("run") that becomes its argument; `first` names the kind of thing it
    lists, of which one is always in hand.
    """
    return str(ui("en").region(name, arg, follows, first))  # there is no word in it


def attribute(value: object) -> str:
    """Return `value` as JSON that can stand between single quotes in an attribute of HTML."""
    return json.dumps(value, ensure_ascii=False).replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")


def taken(kind: str, value: str) -> str:
    """Return what makes the page take `value` in hand as its `kind`, put into a hidden element of HTML; "" for no
    value.

    Each has a number of its own, so that the same value can be taken again.
    """
    return str(ui("en").taken(f"{kind}:{value}", secrets.token_hex(4))) if value else ""

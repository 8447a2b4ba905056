"""What the page draws of the many settings: a searchable list made from LLaMA-Factory's own arguments."""

from itertools import groupby

from markupsafe import escape

from studio.core.i18n import Words
from studio.train.recipe import arguments
from studio.train.recipe.arguments import Argument


def draw(words: Words, query: str, stage: str, method: str, changed: dict) -> str:
    """Return the settings that fit the stage and method, or the search, by topic; `changed` holds those the person has
    set.
    """
    if not arguments.are_known():
        return f'<p class="hint">{words("train.settings_warming")}</p>'
    found = arguments.search(query, stage, method)
    if not found:
        return f'<p class="hint">{words.html("train.settings_none", query=query)}</p>'
    topics = groupby(found, key=lambda argument: argument.topic)
    return "".join(_topic(words, topic, list(members), changed, opened=bool(query)) for topic, members in topics)


def _topic(words: Words, topic: str, members: list[Argument], changed: dict, opened: bool) -> str:
    count = sum(argument.name in changed for argument in members)
    mark = f'<span class="badge">{words.html("train.settings_changed", count=count)}</span>' if count else ""
    rows = "".join(_row(words, argument, changed) for argument in members)
    return (
        "<details"
        f' id="settings-{escape(topic)}"{" open" if opened or count else ""}><summary>{words("train.topic_" + topic)}'
        f' <span class="hint num">{len(members)}</span>{mark}</summary>{rows}</details>'
    )


def _row(words: Words, argument: Argument, changed: dict) -> str:
    is_changed = argument.name in changed
    told = words(f"arguments.{argument.name}") if words.has(f"arguments.{argument.name}") else argument.help
    default = (
        "–"
        if argument.default in (None, "", [])
        else str(argument.default).lower()
        if isinstance(argument.default, bool)
        else str(argument.default)
    )
    return (
        f'<label class="setting{" changed" if is_changed else ""}"><span'
        f' class="setting-name">{escape(argument.name)}</span>{_field(argument, changed.get(argument.name))}<span'
        f' class="hint">{escape(told)} <span'
        f' class="num">{words.html("train.default_is", value=default)}</span></span></label>'
    )


def _field(argument: Argument, value: object) -> str:
    name = f'data-setting="{escape(argument.name)}"'
    if argument.kind in ("bool", "choice"):
        choices = ("true", "false") if argument.kind == "bool" else argument.choices
        now = str(value).lower() if argument.kind == "bool" and value is not None else str(value or "")
        options = "".join(
            f'<option value="{escape(choice)}"{" selected" if choice == now else ""}>{escape(choice)}</option>'
            for choice in ("", *choices)
        )
        return f"<select {name}>{options}</select>"
    kind = 'type="number" step="any"' if argument.kind in ("int", "float") else 'type="text"'
    return (
        f'<input {name} {kind} value="{escape(str(value if value is not None else ""))}"'
        f' placeholder="{escape(str(argument.default or ""))}">'
    )

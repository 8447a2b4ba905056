"""What the page draws of an import: what came, what this studio does not have and how to get it, and what was left out
and why.
"""

from markupsafe import escape

from studio.core.i18n import Problem, Words
from studio.train.recipe.importing.result import Imported, Missing

# Where each thing that is missing is got: the tab, and what to take in hand there.
PLACES = {
    "download": ("room-models", "models:catalogue", "recipe_import.open_models"),
    "add": ("room-models", "models:disk", "recipe_import.open_models"),
    "dataset": ("room-datasets", "", "recipe_import.open_datasets"),
}
ROOMS = {
    "chat": ("room-chat", "recipe_import.open_chat"),
    "serve": ("room-chat", "recipe_import.open_chat"),
    "datasets": ("room-datasets", "recipe_import.open_datasets"),
    "model": ("room-models", "recipe_import.open_models"),
}


def draw(words: Words, imported: Imported, missing: list[Missing]) -> str:
    """Return the report of an import that filled the form."""
    devices = ", ".join(map(str, imported.options.get("devices", [])))
    count = len(imported.recipe) - sum(one.field in imported.recipe for one in missing)
    head = (
        words.html("recipe_import.taken_with_devices", count=count, devices=devices)
        if devices
        else words.html("recipe_import.taken", count=count)
    )
    rest = "".join(f"<li>{words.html('recipe_import.because', **one.tell(words))}</li>" for one in imported.left_out)
    left = f'<p class="hint">{words("recipe_import.left_out")}</p><ul class="hint">{rest}</ul>' if rest else ""
    return (
        f'<section class="import-report" aria-label="{words("recipe_import.title")}"><p>{head}'
        f" {words('recipe_import.rest_of_llamafactory')}</p>{draw_missing(words, missing)}{left}</section>"
    )


def draw_missing(words: Words, missing: list[Missing]) -> str:
    """Return what this studio does not have of a recipe, each with the way to it; "" for nothing."""
    rows = "".join(
        f'<li data-missing="{escape(one.field)}">{escape(one.tell(words)["do"])} {_mend(words, one)}</li>'
        for one in missing
    )
    return (
        f'<div class="problem" role="alert"><p>{words("recipe_import.not_here")}</p><ul>{rows}</ul></div>'
        if rows
        else ""
    )


def draw_fault(words: Words, fault: Problem) -> str:
    """Return why a text was not imported, with the way to where it belongs if the studio has that."""
    field = f' data-field="{escape(str(fault.facts["field"]))}"' if "field" in fault.facts else ""
    room = ROOMS.get(fault.key.removeprefix("recipe_import.kind_"))
    button = f' <button class="button small" data-go="{escape(room[0])}">{words(room[1])}</button>' if room else ""
    return f'<p class="problem" role="alert"{field}>{escape(words.tell(fault))}{button}</p>'


def _mend(words: Words, one: Missing) -> str:
    """Return the button that mends what is missing; "" where that is done in the form itself."""
    if one.advice not in PLACES:
        return ""
    room, picked, told = PLACES[one.advice]
    pick = f" data-pick='{escape(picked)}'" if picked else ""
    return f'<button class="button small" data-go="{escape(room)}"{pick}>{words(told)}</button>'

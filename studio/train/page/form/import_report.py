"""What the page tells of an import: what came, what this studio does not have and how to get it, and what was left out
and why.
"""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.train.recipe.importing.result import Imported, LeftOut, Missing

TEMPLATE = "train/page/form/import_report.html"
FAULT_TEMPLATE = "train/page/form/import_fault.html"


@dataclass(frozen=True)
class Way:
    """A button that leads to where something is done: the tab, what to take in hand there, and its word."""

    tab: str
    pick: str
    word: str


# Where each thing that is missing is got, by what is advised.
WAYS = {
    "download": Way("room-models", "models:catalogue", "recipe_import.open_models"),
    "add": Way("room-models", "models:disk", "recipe_import.open_models"),
    "dataset": Way("room-datasets", "", "recipe_import.open_datasets"),
}
# Where a text belongs that trains nothing, by what it does.
TABS = {
    "chat": Way("room-chat", "", "recipe_import.open_chat"),
    "serve": Way("room-chat", "", "recipe_import.open_chat"),
    "datasets": Way("room-datasets", "", "recipe_import.open_datasets"),
    "model": Way("room-models", "", "recipe_import.open_models"),
}


@dataclass(frozen=True)
class Lack:
    """What this studio does not have of a recipe; None for a way where that is mended in the form itself."""

    missing: Missing
    way: Way | None


@dataclass(frozen=True)
class ImportReport:
    """The report of an import that filled the form; `count` settings are taken. None where only what is missing is
    told, of a recipe that came another way.
    """

    count: int | None
    devices: str
    lacks: tuple[Lack, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class ImportFault:
    """Why a text was not imported, and the way to where it belongs; `field` is the setting at fault, "" for none."""

    fault: Problem
    field: str
    way: Way | None


def import_report(imported: Imported, missing: list[Missing]) -> ImportReport:
    """Return what is told of an import."""
    return ImportReport(
        count=len(imported.recipe) - sum(one.field in imported.recipe for one in missing),
        devices=", ".join(map(str, imported.options.get("devices", []))),
        lacks=_lacks(missing),
        left_out=tuple(imported.left_out),
    )


def missing_report(missing: list[Missing]) -> ImportReport:
    """Return what is told of a recipe that came another way: what this studio does not have."""
    return ImportReport(None, "", _lacks(missing), ())


def import_fault(fault: Problem) -> ImportFault:
    """Return why a text was not imported."""
    way = TABS.get(fault.key.removeprefix("recipe_import.kind_"))
    return ImportFault(fault, str(fault.facts.get("field", "")), way)


def _lacks(missing: list[Missing]) -> tuple[Lack, ...]:
    return tuple(Lack(one, WAYS.get(one.advice)) for one in missing)

"""The models that LLaMA-Factory knows, with what of each fits this machine; and one of them."""

from dataclasses import dataclass

from studio.models.hub import catalogue as table
from studio.models.hub.catalogue import Entry
from studio.models.memory import by_parameters
from studio.models.models_context import ModelsContext

TEMPLATE = "models/page/hub/catalogue.html"
ENTRY_TEMPLATE = "models/page/hub/entry.html"
LISTED = 120
SOURCES = ("modelscope", "huggingface")
HUB_NAMES = {"modelscope": "ModelScope", "huggingface": "Hugging Face"}


@dataclass(frozen=True)
class EntryRow:
    """`badge` is the most demanding way that fits, "none" where none does, None where the size is not known."""

    entry: Entry
    is_on_disk: bool
    badge: str | None


@dataclass(frozen=True)
class CatalogueContext:
    """`limit` is how many are listed; `has_more` tells that the search has more."""

    rows: list[EntryRow]
    has_more: bool
    limit: int = LISTED


def catalogue(context: ModelsContext, query: str) -> CatalogueContext:
    """Return the models of the table that a search has."""
    entries = table.search(query, limit=LISTED + 1)
    on_disk, (device, memory) = table.on_disk(context.workspace), context.memory()
    rows = [EntryRow(one, one.name in on_disk, _badge(one, device, memory)) for one in entries[:LISTED]]
    return CatalogueContext(rows, len(entries) > LISTED)


def _badge(entry: Entry, device: str, memory: int) -> str | None:
    return None if entry.params is None else by_parameters.largest(entry.params, device, memory) or "none"


@dataclass(frozen=True)
class Address:
    """Where a hub has the model; `source` is what an endpoint calls the hub."""

    source: str
    hub: str
    repo: str


@dataclass(frozen=True)
class Way:
    """A way to tune the model and what it takes, about; `name` is a key of `models.method_...`."""

    name: str
    bytes: int
    fits: bool


@dataclass(frozen=True)
class EntryContext:
    """`entry` is None where none is chosen; `on_disk` is the name of the model where it is here already."""

    entry: Entry | None
    on_disk: str | None = None
    addresses: tuple[Address, ...] = ()
    ways: tuple[Way, ...] = ()


def entry(context: ModelsContext, name: str) -> EntryContext:
    """Return what is shown of a model of the table."""
    chosen = next((one for one in table.entries() if one.name == name), None)
    if chosen is None:
        return EntryContext(None)
    device, memory = context.memory()
    return EntryContext(
        chosen,
        table.on_disk(context.workspace).get(name),
        tuple(Address(one, HUB_NAMES[one], chosen.address(one)) for one in SOURCES if chosen.address(one)),
        tuple(Way(*one) for one in by_parameters.ways(chosen.params, device, memory))
        if chosen.params is not None
        else (),
    )

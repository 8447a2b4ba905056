"""Where an exported model comes from, and what its verification found."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.workspace import Workspace
from studio.export import record
from studio.export.page.context import ExportContext, model_in_hand
from studio.export.record import ExportRecord, Verified
from studio.inference import target_names
from studio.models.library import library

TEMPLATE = "export/page/exported/record_view.html"


@dataclass(frozen=True)
class Source:
    """A run or a model that was merged, as it is shown; run: the run, which has a page of its own in Train, "" for a
    model.
    """

    name: str
    run: str


@dataclass(frozen=True)
class RecordView:
    """The record of a model, coerced for its page. recipe, versions: pairs of a name and its value."""

    name: str
    folder: str
    base: str
    sources: tuple[Source, ...]
    data: tuple[str, ...]
    template: str
    licence: str
    dtype: str
    size: int
    recipe: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    verified: tuple[Sentence, ...]


def record_view(context: ExportContext, hand: str) -> RecordView | None:
    """Return what is shown of the record of the model in hand; None where there is none that can be read, which the
    head tells.
    """
    name = model_in_hand(context, hand)
    if not name:
        return None
    try:
        model = library.find(context.workspace, name)
        found = record.of_model(model.path)
    except Problem:
        return None  # told by the head
    return None if found is None else _view(context.workspace, model, found)


def _view(workspace: Workspace, model: library.Model, found: ExportRecord) -> RecordView:
    return RecordView(
        name=model.name,
        folder=str(model.path),
        base=str(found.base),
        sources=tuple(_source(workspace, str(one)) for one in found.targets),
        data=tuple(map(str, found.data)),
        template=str(found.template),
        licence=str(found.licence),
        dtype=model.dtype,
        size=model.size_bytes,
        recipe=tuple((str(key), str(value)) for key, value in found.recipe.items()),
        versions=tuple(found.versions.items()),
        verified=tuple(_figures(found.verified)) if found.verified else (),
    )


def _source(workspace: Workspace, target: str) -> Source:
    return Source(target_names.title(workspace, target), target.partition("@")[0] if "/" in target else "")


def _figures(found: Verified):
    """Yield what the verification found, in sentences."""
    facts = {
        "prompts": found.prompts,
        "positions": found.positions,
        "top1": f"{100 * found.top1:.1f}",
        "kl": f"{found.kl:.2g}",
        "largest": f"{found.largest:.2g}",
        "precision": found.precision,
        "stored_kl": f"{found.stored_kl:.2g}",
        "stored_top1": f"{100 * found.stored_top1:.1f}",
    }
    yield Sentence(key="export.verified_same", facts=facts)
    yield Sentence(key="export.verified_figures", facts=facts)
    if found.precision != "float32":
        yield Sentence(key="export.verified_stored", facts=facts)

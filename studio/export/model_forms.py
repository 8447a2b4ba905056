"""A model in another form: GGUF files and quantised weights, what was seen of each, and what it costs."""

from functools import cache, partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.atomic import write_json
from studio.core.storage.records import Moment, Record, Text
from studio.core.workspace import Workspace
from studio.models.library import library

FILE = "forms.json"
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Cost(Record):
    """What a form loses against the 16-bit model, on one machine.

    perplexity: of the answers' tokens. kl: mean divergence (nats) of its choices from those of the 16-bit model; top1:
    the share of equal first choices. tokens_per_s: of one answer after its first token, with `threads` threads.
    positions: how many tokens of how many rows of `rows_from` were looked at.
    """

    perplexity: Amount
    kl: Amount
    top1: Share
    tokens_per_s: Amount
    threads: int = 1
    positions: int
    rows: int
    rows_from: Text
    measured: Moment


class Parity(Record):
    """Whether llama.cpp makes training's prompt of the conversations of the comparison: how many of how many it can,
    and the names of those of which it makes another one; seams: where the text is the same, but training encodes
    message by message, and other tokens meet. kind: "training", where LLaMA-Factory's encoding was
    compared, or "transformers", where the model's own template was.
    """

    kind: str
    same: int
    compared: int
    differs: list[Text] = []
    seams: list[Text] = []


class Form(Record):
    """One form of a model.

    type: as `gguf.types` or `quantize.methods` name it. file: in the folder, "" where it is the whole folder. size: in
    bytes. answer: what it said to "Who are you?" after it was made. importance: an importance matrix was used, of the
    data that `calibration` names. fallbacks: tensors that could not be stored in this type, because of their width.
    fault: why the newest comparison has no figures of it.
    """

    type: Text
    file: Text = ""
    size: int = Field(ge=0)
    answer: Text
    importance: bool = False
    calibration: Text = ""
    fallbacks: int = 0
    parity: Parity | None = None
    cost: Cost | None = None
    fault: Sentence | None = None
    created: Moment


class Forms(Record):
    """`forms.json` in a folder: of which model its files are forms.

    source: the name of the 16-bit model. reference: what that one is like itself, in 16 bit.
    """

    source: Text
    template: Text = ""
    forms: list[Form]
    reference: Cost | None = None
    reference_size: int = 0


def of_folder(folder: Path) -> Forms | None:
    """Return the forms that lie in a folder, None where it has no such record. Raises Problem where it is none."""
    return records.load(folder / FILE, Forms) if files.is_file(folder / FILE) else None


def folders(workspace: Workspace) -> list[tuple[library.Model, Forms | Problem]]:
    """Return the folders of models that hold forms of a model, newest first; one whose record cannot be read with the
    fault.
    """
    found: list[tuple[library.Model, Forms | Problem]] = []
    for model in library.models(workspace):
        try:
            forms = of_folder(model.path)
        except Problem as problem:
            forms = problem
        if forms is not None:
            found.append((model, forms))
    return sorted(found, key=lambda one: made_at(one[1]), reverse=True)


def made_at(forms: Forms | Problem) -> float:
    """Return when the newest of some forms was made, 0 where that is not known."""
    return max((form.created for form in forms.forms), default=0.0) if isinstance(forms, Forms) else 0.0


def of_source(workspace: Workspace, source: str) -> list[tuple[Path, Forms]]:
    """Return the folders of all forms of a model, newest first, also of those that know it by an older name. A record
    that cannot be read is passed over: the list of exports tells it.
    """
    current = cache(partial(library.current_name, workspace))  # each looks through all models
    return [
        (model.path, forms)
        for model, forms in folders(workspace)
        if isinstance(forms, Forms) and (str(forms.source) == source or current(str(forms.source)) == current(source))
    ]


def of_one_comparison(found: list[tuple[Path, Forms]]) -> tuple[Forms | None, list[tuple[Path, Form]]]:
    """Return the record with the figures of the 16-bit model in the newest comparison, None where there was none, and
    all forms with their folders; figures of an earlier comparison are left out: they are of other rows or another time.
    """
    measured = [forms for _, forms in found if forms.reference]
    newest = max(measured, key=lambda forms: forms.reference.measured, default=None)
    other = {"cost": None, "fault": None}
    listed = [
        (folder, form if newest is None or forms.reference == newest.reference else form.model_copy(update=other))
        for folder, forms in found
        for form in forms.forms
    ]
    return newest, listed


def write(folder: Path, forms: Forms) -> None:
    """Write the record of a folder. Raises Problem where the disk refuses."""
    write_json(folder / FILE, forms.model_dump(mode="json"))

"""Bringing data in from a file, a folder of files or a hub, as the page and a script ask for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from studio.core.i18n import Words
from studio.core.jobs import Job
from studio.core.storage import files
from studio.datasets.files.incoming import source as incoming
from studio.datasets.page.schemas import RegisteredOnHubResult, RegisteredResult, RegisterOptions
from studio.datasets.registry import hub_data
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import forms


@dataclass(frozen=True)
class Registration:
    """Data that is to be brought in.

    path: a file, a folder of files, or an address on a hub. name: of the dataset, "" for one after `path`. columns: the
    field for each of LLaMA-Factory's columns, where it is not to be recognised. tags: LLaMA-Factory's tags of messages,
    as `columns`.
    """

    path: str
    name: str = ""
    columns: dict[str, str | None] | None = None
    tags: dict[str, str] | None = None
    options: RegisterOptions = field(default_factory=RegisterOptions)


def register(
    collection: Collection, words: Words, registration: Registration, job: Job | None = None
) -> RegisteredResult | RegisteredOnHubResult:
    """Bring in data and register it; `job` is told how far it is. Raises Problem as `Collection.bring_in` does."""
    path, name, columns, tags = registration.path, registration.name, registration.columns, registration.tags
    if job is None:  # else the job itself makes it
        collection.jobs.require_unmade(collection.place_of(name.strip()))
    chosen = registration.options.model_dump(exclude_none=True, by_alias=True)
    address = hub_data.address(path, chosen.get("hub") or "huggingface")
    if address and not files.exists(collection.folder / path):
        form = chosen.get("form") or "alpaca"
        is_known = any((columns or {}).values()) or tags
        mapping = forms.with_choices(forms.Mapping(form), columns, tags, chosen) if is_known else None
        return RegisteredOnHubResult(name=collection.register_hub(address, name, mapping, chosen), form=form)
    with collection.told_by_name():
        source = collection.source(path)
        mapping = forms.with_choices(forms.recognise(collection.first_rows(source)), columns, tags, chosen)
        progress = _progress(collection, source, job) if job else None
        name, written = collection.bring_in(source, name, mapping, chosen, progress)
    return RegisteredResult(
        name=name,
        form=mapping.form,
        stage=mapping.stage,
        rows=written.rows,
        left_out=written.left_out,
        problems=[words.tell(problem) for problem in written.problems],
        not_taken=written.not_taken,
        notes=[words.tell(note) for note in written.notes.sentences()],
    )


def _progress(collection: Collection, source: Path, job: Job) -> Callable[[int], None]:
    # The rows of other kinds of files are not counted beforehand.
    index = collection.indexes.of(source) if incoming.is_native(source, 1) else None

    def report(rows: int) -> None:
        job.check()
        share = rows / index.count if index and index.done and index.count else None
        job.report(share, "datasets.converted", rows=f"{rows:,}")

    return report

"""Looking closer at a dataset: checks and lengths as jobs, tokens of a row, and new sets made of its rows."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.core.jobs import Job, Places
from studio.core.storage import atomic, files
from studio.core.storage.file_cache import FileCache
from studio.datasets import derive
from studio.datasets.derive import Leak
from studio.datasets.encoding.encoded_row import Sequence
from studio.datasets.encoding.loading.judge import Verdict, judge
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files import csv_types, reading
from studio.datasets.files.reading import Row
from studio.datasets.quality import lengths as measuring
from studio.datasets.quality import row_check as checking
from studio.datasets.quality.lengths import Lengths
from studio.datasets.quality.row_check import Report
from studio.datasets.quality.stored_reports import FOLDER, Reports, StoredReport, stamp_of
from studio.datasets.registry import entries
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema import observed_schema
from studio.datasets.schema.observed_schema import Shape
from studio.models.chat_template_match import template_match
from studio.models.library import library, tokenizer_files

CUTOFF = 1024
LATE_FIRST = 100  # rows that a clean copy puts first, so that each field that begins late has one of them
_encoders: FileCache[RowEncoder] = FileCache(8)


@dataclass(frozen=True)
class EncodingSettings:
    """How a dataset is encoded: a model's tokenizer, a template, a cutoff in tokens, and what decides which tokens are
    trained.
    """

    model: str
    template: str
    cutoff: int = CUTOFF
    mask_history: bool = False
    train_on_prompt: bool = False
    packing: bool = False

    def data_arguments(self, stage: str) -> dict:
        """Return LLaMA-Factory's data arguments for a stage."""
        arguments = {"template": self.template, "cutoff_len": self.cutoff}
        if stage == "sft":
            arguments |= {
                "mask_history": self.mask_history,
                "train_on_prompt": self.train_on_prompt,
                "packing": self.packing,
            }
        return arguments


class DatasetAnalysis:
    """Checks, tokens, lengths and new sets of the datasets of one collection. What they found is kept until the data
    changes; reports also on disk.
    """

    def __init__(self, collection: Collection):
        self.collection, self.jobs = collection, collection.jobs
        self._reports = Reports(collection.workspace.saves / FOLDER)
        self._lengths: dict[tuple[str, EncodingSettings], tuple[tuple, Lengths]] = {}
        places = collection.place_of
        for kind in ("check", "lengths"):
            self.jobs.places(kind, Places(reads=lambda facts: [places(facts["name"])]))
        self.jobs.places(
            "derive",
            Places(
                lambda facts: {places(name): () for name in facts["new"].split(", ")},
                lambda facts: map(places, facts["of"]),
            ),
        )

    def encoding_settings(self, options: Mapping[str, object]) -> EncodingSettings:
        """Return the settings that a person chose ({model, template, cutoff, mask_history ...}), filled up from the
        models on disk.

        Raises:
            Problem: there is no model on this machine, the one named is not here, no template is known for it, or the
                cutoff is no number.
        """
        models = library.usable(self.collection.workspace)
        if not models:
            raise Problem("datasets.no_model")
        model = library.find(self.collection.workspace, options["model"]) if options.get("model") else models[0]
        template = options.get("template") or template_match.of(model.path, model.name, model.model_type).template
        if not template:
            raise Problem("datasets.no_template", model=model.name)
        cutoff = str(options.get("cutoff", CUTOFF))
        if not cutoff.isdecimal() or len(cutoff) > 9 or int(cutoff) < 1:
            raise Problem("datasets.no_number", field="cutoff_len", value=cutoff)
        flags = {name: bool(options.get(name)) for name in ("mask_history", "train_on_prompt", "packing")}
        return EncodingSettings(model.name, template, int(cutoff), **flags)

    def encoder(self, name: str, settings: EncodingSettings) -> RowEncoder:
        """Return the encoder of a dataset by these settings. Loads LLaMA-Factory, the first time for seconds.

        Raises:
            Problem: as `RowEncoder` does.
        """
        dataset = self._with_entry(name)
        model = library.find(self.collection.workspace, settings.model)
        key = (model.path, json.dumps(dataset.entry), dataset.home, dataset.stage, settings)
        # An encoder has seen the rows of a check: other rows want another one.
        parts = reading.files_of(dataset.file) if dataset.file else []
        return _encoders.get(
            key,
            [*tokenizer_files.files_of(model.path), *parts],
            lambda: RowEncoder(
                model.path, dataset.entry, dataset.home, dataset.stage, settings.data_arguments(dataset.stage)
            ),
        )

    def tokens(self, name: str, row: int, settings: EncodingSettings) -> list[Sequence]:
        """Return what is trained on of row `row` (from 1). Raises Problem where there is none, or it is dropped."""
        rows = self.collection.rows(name)
        rows.wait(row if row > 0 else None)
        part, inner = rows.locate(row)
        loaded = csv_types.loaded_row(part, inner)
        if loaded.value is None:
            raise loaded.problem
        return self.encoder(name, settings).encode(loaded.value)

    # Jobs
    # ----------------------------------------------------------------------------------------------

    def check(self, name: str, settings: EncodingSettings | None) -> Job:
        """Begin to check every row, by its tokens too where settings are given. Raises Problem for a dataset without a
        file.
        """
        dataset = self._on_disk(name)

        def work(job: Job) -> dict:
            """Check the rows, keep the report, and return {rows, ok}."""
            stamp = stamp_of(dataset)
            encoder = self.encoder(name, settings) if settings else None
            report = checking.check(
                csv_types.loaded(dataset.file),
                dataset.entry,
                dataset.home,
                encoder,
                self._progress(job, name),
                lambda: self._verdict(dataset, settings, job),
            )
            if not report.rows:
                raise Problem("datasets.empty", file=dataset.file)
            self._reports.write(dataset.home, dataset.name, stamp, report)
            if report.lengths and settings:
                self._lengths[name, settings] = (stamp, report.lengths)
            return {"rows": report.rows, "ok": report.ok}

        return self.jobs.start("check", "datasets.checking", {"name": name}, work)

    def _verdict(self, dataset: Dataset, settings: EncodingSettings | None, job: Job) -> Verdict:
        """Return what LLaMA-Factory makes of a dataset: by these settings, else by the default ones."""
        if settings is None:
            with contextlib.suppress(Problem):  # no model yet: judged by the strictest template
                settings = self.encoding_settings({})
        arguments = {"template": settings.template} if settings else {}
        with atomic.scratch(self.collection.workspace.saves) as folder:
            return judge(
                dataset.file, dataset.entry, dataset.home, folder, arguments, self._progress(job, dataset.name)
            )

    def report(self, name: str) -> Report | None:
        """Return what the last check found, None where there was none or the data changed since."""
        stored = self.stored_report(name)
        return stored and stored.report

    def stored_report(self, name: str) -> StoredReport | None:
        """Return the last check's report with its time, None where there was none or the data changed since."""
        dataset = self.collection.find(name)
        return self._reports.of(dataset.home, dataset.name, stamp_of(dataset))

    def measure(self, name: str, settings: EncodingSettings) -> Job:
        """Begin to measure the lengths of all rows. Raises Problem for a dataset without a file."""
        dataset = self._on_disk(name)

        def work(job: Job) -> dict:
            stamp = stamp_of(dataset)
            lengths = measuring.measure(
                csv_types.loaded(dataset.file), self.encoder(name, settings), self._progress(job, name)
            )
            self._lengths[name, settings] = (stamp, lengths)
            return {"rows": lengths.rows, "tokens": lengths.tokens}

        return self.jobs.start("lengths", "datasets.measuring", {"name": name}, work)

    def lengths(self, name: str, settings: EncodingSettings) -> Lengths | None:
        """Return the lengths measured by these settings, None where they were not or the data changed since."""
        stamp, lengths = self._lengths.get((name, settings), (None, None))
        return lengths if lengths and stamp == stamp_of(self.collection.find(name)) else None

    def newest_job(self, kind: str, name: str) -> Job | None:
        """Return the newest job of a kind on a dataset, None where there is none."""
        return next((job for job in self.jobs.all(kind) if job.facts.get("name") == name), None)

    # New sets
    # ------------------------------------------------------------------------------------------------------------------

    def keep_good(self, name: str, new: str) -> Job:
        """Begin to write the rows that can be trained on to a new set called `new`. Raises Problem where they were not
        checked.
        """
        dataset, report = self._on_disk(name), self.report(name)
        if report is None:
            raise Problem("datasets.not_checked", name=name)

        def work(job: Job) -> dict:
            late = set().union(*(report.bad.get(kind, ()) for kind in checking.LATE))
            first = [row for row in reading.rows(dataset.file) if row.number in late][:LATE_FIRST] if late else []
            sent = {row.number for row in first}
            rows = self._counted(reading.rows(dataset.file), job, name)
            # A field that begins late is there from the first row on where a row that has it stands first.
            ordered = chain(first, (row for row in rows if row.number not in sent))
            return {"name": new, "rows": self._write(dataset, new, checking.keep_good(ordered, report, dataset.entry))}

        return self._start_derivation([name], [new], work)

    def hold_out(self, name: str, shares: tuple[int, ...], seed: int) -> Job:
        """Begin to deal the rows into parts, such as 8:1:1, registered as <name>_train, _test, or _train, _eval,
        _test.
        """
        dataset = self._on_disk(name)
        parts = {2: ("train", "test"), 3: ("train", "eval", "test")}.get(len(shares))
        if parts is None:
            raise Problem("datasets.bad_shares", shares=":".join(map(str, shares)))
        new = [f"{dataset.name}_{part}" for part in parts]

        def work(job: Job) -> dict:
            """Deal the rows, write a set for each part, and return {names, rows}."""
            shape = Shape.of(dataset.entry)
            readable = [row.number for row in reading.rows(dataset.file) if row.value is not None]
            dealt = derive.hold_out(
                (
                    observed_schema.text_of(row.value, shape)
                    for row in self._counted(reading.rows(dataset.file), job, name)
                    if row.value is not None
                ),
                shares,
                seed,
            )
            counts = {}
            try:
                for each, indexes in zip(new, dealt, strict=True):
                    numbers = {readable[index] for index in indexes}
                    counts[each] = self._write(
                        dataset, each, (row.value for row in reading.rows(dataset.file) if row.number in numbers)
                    )
            except BaseException:  # one part alone is no split, and would be in the way of the next try
                self._take_back(counts)
                raise
            return {"names": new, "rows": counts}

        return self._start_derivation([name], new, work)

    def sample(self, name: str, number: int, new: str, seed: int) -> Job:
        """Begin to write `number` rows drawn at random to a new set called `new`."""
        dataset = self._on_disk(name)

        def work(job: Job) -> dict:
            """Draw the rows, write them, and return {name, rows}."""
            readable = [
                row.number for row in self._counted(reading.rows(dataset.file), job, name) if row.value is not None
            ]
            numbers = {readable[index] for index in derive.sample(len(readable), number, seed)}
            return {
                "name": new,
                "rows": self._write(
                    dataset, new, (row.value for row in reading.rows(dataset.file) if row.number in numbers)
                ),
            }

        return self._start_derivation([name], [new], work)

    def mix(self, weights: dict[str, float], total: int, new: str, seed: int) -> Job:
        """Begin to write `total` rows of several sets of one form, by weight, to a new set called `new`.

        Raises:
            Problem: a set is unknown or broken, or they are not of one form.
        """
        sets = [self._on_disk(name) for name in weights]
        for other in sets[1:]:
            if Shape.of(other.entry) != Shape.of(sets[0].entry):
                raise Problem("datasets.not_one_form", one=sets[0].name, other=other.name)

        def work(job: Job) -> dict:
            """Draw the rows, write them, and return {name, rows}."""
            indexed = [self.collection.indexes.of(each.file) for each in sets]
            for rows in indexed:
                rows.wait(seconds=3600)
            readable = [[row.number for row in reading.rows(each.file) if row.value is not None] for each in sets]
            draws = derive.mix(list(map(len, readable)), list(weights.values()), total, seed)
            drawn = (indexed[which].page(readable[which][at] - 1, 1)[0] for which, at in draws)
            rows = (row.value for row in self._counted(drawn, job, new, len(draws)))
            return {"name": new, "rows": self._write(sets[0], new, rows)}

        return self._start_derivation(list(weights), [new], work)

    def leaks(self, trained: str, held_out: str) -> list[Leak]:
        """Return the rows of one set that are in another too, on which the model is trained."""
        return derive.leaks(self._texts(trained), self._texts(held_out))

    def _texts(self, name: str) -> Iterator[tuple[int, str]]:
        dataset = self._on_disk(name)
        shape = Shape.of(dataset.entry)
        return (
            (row.number, observed_schema.text_of(row.value, shape))
            for row in reading.rows(dataset.file)
            if row.value is not None
        )

    def _start_derivation(self, of: list[str], new: list[str], work: Callable[[Job], dict]) -> Job:
        for each in new:
            self.collection.require_free(each)
            if files.exists(file := self._file_of(each)):
                raise Problem("datasets.file_exists", file=file)
        facts = {"name": of[0], "of": of, "new": ", ".join(new)}
        return self.jobs.start("derive", "datasets.making", facts, work)

    def _write(self, like: Dataset, new: str, rows: Iterable[dict]) -> int:
        """Write rows as a new set with the form of another, and register it; return how many."""
        folder, target = self.collection.folder, self._file_of(new)
        count = derive.write(target, rows)
        entry = {key: value for key, value in like.entry.items() if key in ("formatting", "ranking", "columns", "tags")}
        try:
            entries.add(folder, new, {"file_name": target.name, **entry})
        except Problem:
            target.unlink()
            raise
        self.collection.intakes.forget(target)  # what an earlier file of this name left out
        return count

    def _file_of(self, new: str) -> Path:
        return self.collection.workspace.inside(self.collection.folder, f"{new}.jsonl")

    def _take_back(self, names: Iterable[str]) -> None:
        """Undo what was written and registered as these sets."""
        for name in names:
            entries.take_back(self.collection.folder, name)
            self._file_of(name).unlink(missing_ok=True)

    def _with_entry(self, name: str) -> Dataset:
        dataset = self.collection.find(name)
        if dataset.problem and not dataset.entry:
            raise dataset.problem
        return dataset

    def _on_disk(self, name: str) -> Dataset:
        dataset = self._with_entry(name)
        if dataset.file is None:
            raise dataset.problem or Problem("datasets.on_a_hub", name=dataset.name)
        return dataset

    def _progress(self, job: Job, name: str, total: int | None = None) -> Callable[[int], None]:
        known = total or self.collection.find(name).rows

        def report(done: int) -> None:
            job.check()
            job.report(done / known if known else None, "datasets.rows_done", rows=f"{done:,}")

        return report

    def _counted(self, rows: Iterable[Row], job: Job, name: str, total: int | None = None) -> Iterator[Row]:
        report = self._progress(job, name, total) if total else self._progress(job, name)
        for number, row in enumerate(rows):
            if number % 1000 == 0:
                report(number)
            yield row


def library_ready() -> bool:
    """Tell whether LLaMA-Factory is loaded, which takes seconds; begin to load it where it is not."""
    llamafactory.begin()
    return llamafactory.ready()

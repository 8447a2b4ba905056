"""Looking closer at a dataset: checks and lengths as jobs, tokens of a row, and new sets made of its rows."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.core.jobs import Job
from studio.core.storage import atomic
from studio.datasets import derive
from studio.datasets.derive import Leak
from studio.datasets.encoding.loading.judge import Verdict, judge
from studio.datasets.encoding.row_encoder import Sequence, Sight
from studio.datasets.files import csv_types, reading
from studio.datasets.files.reading import Row
from studio.datasets.quality import lengths as measuring
from studio.datasets.quality import row_check as checking
from studio.datasets.quality.lengths import Lengths
from studio.datasets.quality.row_check import Report
from studio.datasets.quality.stored_reports import FOLDER, Kept, Reports, stamp_of
from studio.datasets.registry import entries
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema import observed_schema
from studio.datasets.schema.observed_schema import Shape
from studio.models.chat_template_match import template_match
from studio.models.library import library

CUTOFF = 1024
LATE_FIRST = 100  # rows that a clean copy puts first, so that each field that begins late has one of them


@dataclass(frozen=True)
class View:
    """Through what a dataset is seen: a model's tokenizer, a template, a cutoff, and the settings that decide what is
    trained.
    """

    model: str
    template: str
    cutoff: int = CUTOFF
    mask_history: bool = False
    train_on_prompt: bool = False
    packing: bool = False

    def settings(self, stage: str) -> dict:
        """Return LLaMA-Factory's data arguments for a stage."""
        said = {"template": self.template, "cutoff_len": self.cutoff}
        if stage == "sft":
            said |= {
                "mask_history": self.mask_history,
                "train_on_prompt": self.train_on_prompt,
                "packing": self.packing,
            }
        return said


class Study:
    """Everything the tab's closer looks work with. What they found is kept until the data changes; reports also on
    disk.
    """

    def __init__(self, collection: Collection):
        self.collection, self.jobs = collection, collection.jobs
        self._reports = Reports(collection.workspace.saves / FOLDER)
        self._lengths: dict[tuple[str, View], tuple[tuple, Lengths]] = {}

    def view(self, wish: dict[str, str]) -> View:
        """Return the view that a person chose ({model, template, cutoff, mask_history ...}), filled up from the models
        on disk.

        Raises:
            Problem: there is no model on this machine, the one named is not here, no template is known for it, or the
                cutoff is no number.
        """
        found = library.usable(self.collection.workspace)
        if not found:
            raise Problem("datasets.no_model")
        model = library.find(self.collection.workspace, wish["model"]) if wish.get("model") else found[0]
        template = wish.get("template") or template_match.of(model.path, model.name, model.model_type).template
        if not template:
            raise Problem("datasets.no_template", model=model.name)
        cutoff = str(wish.get("cutoff") or CUTOFF)
        if not cutoff.isdecimal() or len(cutoff) > 9 or int(cutoff) < 1:
            raise Problem("datasets.no_number", field="cutoff_len", value=cutoff)
        flags = {name: bool(wish.get(name)) for name in ("mask_history", "train_on_prompt", "packing")}
        return View(model.name, template, int(cutoff), **flags)

    def sight(self, name: str, view: View) -> Sight:
        """Return what sees a dataset through a view. Loads LLaMA-Factory, the first time for seconds. Raises Problem as
        `Sight` does.
        """
        dataset = self._sound(name)
        model = library.find(self.collection.workspace, view.model)
        return _sight(model.path, json.dumps(dataset.entry), dataset.home, dataset.stage, view)

    def tokens(self, name: str, row: int, view: View) -> list[Sequence]:
        """Return what is trained on of row `row` (from 1). Raises Problem where there is none, or it is dropped."""
        rows = self.collection.rows(name)
        rows.wait(row if row > 0 else None)
        part, inner = rows.locate(row)
        found = csv_types.loaded_row(part, inner)
        if found.value is None:
            raise found.problem
        return self.sight(name, view).see(found.value)

    # Jobs
    # ----------------------------------------------------------------------------------------------

    def check(self, name: str, view: View | None) -> Job:
        """Begin to check every row, by its tokens too where a view is given. Raises Problem for a dataset without a
        file.
        """
        dataset = self._on_disk(name)

        def work(job: Job) -> dict:
            stamp = stamp_of(dataset)
            sight = self.sight(name, view) if view else None
            report = checking.check(
                csv_types.loaded(dataset.file),
                dataset.entry,
                dataset.home,
                sight,
                self._told(job, name),
                lambda: self._verdict(dataset, view, job),
            )
            if not report.rows:
                raise Problem("datasets.empty", file=dataset.file)
            self._reports.keep(dataset.home, dataset.name, stamp, report)
            if report.lengths and view:
                self._lengths[name, view] = (stamp, report.lengths)
            return {"rows": report.rows, "ok": report.ok}

        return self.jobs.start("check", "datasets.checking", {"name": name}, work)

    def _verdict(self, dataset: Dataset, view: View | None, job: Job) -> Verdict:
        """Return what LLaMA-Factory makes of a dataset: through a view, or the one that would be chosen by itself."""
        if view is None:
            with contextlib.suppress(Problem):  # no model yet: judged by the strictest template
                view = self.view({})
        settings = {"template": view.template} if view else {}
        with atomic.scratch(self.collection.workspace.saves) as folder:
            return judge(dataset.file, dataset.entry, dataset.home, folder, settings, self._told(job, dataset.name))

    def report(self, name: str) -> Report | None:
        """Return what the last check found, None where there was none or the data changed since."""
        kept = self.kept(name)
        return kept and kept.report

    def kept(self, name: str) -> Kept | None:
        """Return the last check's report with its time, None where there was none or the data changed since."""
        dataset = self.collection.find(name)
        return self._reports.of(dataset.home, dataset.name, stamp_of(dataset))

    def measure(self, name: str, view: View) -> Job:
        """Begin to measure the lengths of all rows. Raises Problem for a dataset without a file."""
        dataset = self._on_disk(name)

        def work(job: Job) -> dict:
            stamp = stamp_of(dataset)
            found = measuring.measure(csv_types.loaded(dataset.file), self.sight(name, view), self._told(job, name))
            self._lengths[name, view] = (stamp, found)
            return {"rows": found.rows, "tokens": found.tokens}

        return self.jobs.start("lengths", "datasets.measuring", {"name": name}, work)

    def lengths(self, name: str, view: View) -> Lengths | None:
        """Return the lengths measured through this view, None where they were not or the data changed since."""
        stamp, found = self._lengths.get((name, view), (None, None))
        return found if found and stamp == stamp_of(self.collection.find(name)) else None

    def working(self, kind: str, name: str) -> Job | None:
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

        return self._making(name, [new], work)

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
            look = Shape.of(dataset.entry)
            readable = [row.number for row in reading.rows(dataset.file) if row.value is not None]
            dealt = derive.hold_out(
                (
                    observed_schema.said(row.value, look)
                    for row in self._counted(reading.rows(dataset.file), job, name)
                    if row.value is not None
                ),
                shares,
                seed,
            )
            made = {}
            for each, indexes in zip(new, dealt, strict=True):
                wanted = {readable[index] for index in indexes}
                made[each] = self._write(
                    dataset, each, (row.value for row in reading.rows(dataset.file) if row.number in wanted)
                )
            return {"names": new, "rows": made}

        return self._making(name, new, work)

    def sample(self, name: str, number: int, new: str, seed: int) -> Job:
        """Begin to write `number` rows drawn at random to a new set called `new`."""
        dataset = self._on_disk(name)

        def work(job: Job) -> dict:
            readable = [
                row.number for row in self._counted(reading.rows(dataset.file), job, name) if row.value is not None
            ]
            wanted = {readable[index] for index in derive.sample(len(readable), number, seed)}
            return {
                "name": new,
                "rows": self._write(
                    dataset, new, (row.value for row in reading.rows(dataset.file) if row.number in wanted)
                ),
            }

        return self._making(name, [new], work)

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
            indexed = [self.collection.indexes.of(each.file) for each in sets]
            for rows in indexed:
                rows.wait(seconds=3600)
            draws = derive.mix([rows.count for rows in indexed], list(weights.values()), total, seed)
            drawn = (indexed[which].page(row, 1)[0] for which, row in draws)
            rows = (row.value for row in self._counted(drawn, job, new, len(draws)) if row.value is not None)
            return {"name": new, "rows": self._write(sets[0], new, rows)}

        return self._making(next(iter(weights)), [new], work)

    def leaks(self, trained: str, held_out: str) -> list[Leak]:
        """Return the rows of one set that are in another too, on which the model is trained."""
        return derive.leaks(self._said(trained), self._said(held_out))

    def _said(self, name: str) -> Iterator[tuple[int, str]]:
        dataset = self._on_disk(name)
        look = Shape.of(dataset.entry)
        return (
            (row.number, observed_schema.said(row.value, look))
            for row in reading.rows(dataset.file)
            if row.value is not None
        )

    def _making(self, name: str, new: list[str], work: Callable[[Job], dict]) -> Job:
        for each in new:
            self.collection.require_free(each)
        return self.jobs.start("derive", "datasets.making", {"name": name, "new": ", ".join(new)}, work)

    def _write(self, like: Dataset, new: str, rows: Iterable[dict]) -> int:
        """Write rows as a new set with the form of another, and register it; return how many."""
        folder = self.collection.folder
        target = self.collection.workspace.inside(folder, f"{new}.jsonl")
        count = derive.write(target, rows)
        entry = {key: value for key, value in like.entry.items() if key in ("formatting", "ranking", "columns", "tags")}
        try:
            entries.add(folder, new, {"file_name": target.name, **entry})
        except Problem:
            target.unlink()
            raise
        return count

    def _sound(self, name: str) -> Dataset:
        dataset = self.collection.find(name)
        if dataset.problem and not dataset.entry:
            raise dataset.problem
        return dataset

    def _on_disk(self, name: str) -> Dataset:
        dataset = self._sound(name)
        if dataset.file is None:
            raise dataset.problem or Problem("datasets.on_a_hub", name=dataset.name)
        return dataset

    def _told(self, job: Job, name: str, total: int | None = None) -> Callable[[int], None]:
        known = total or self.collection.find(name).rows

        def told(done: int) -> None:
            job.check()
            job.report(done / known if known else None, "datasets.rows_done", rows=f"{done:,}")

        return told

    def _counted(self, rows: Iterable[Row], job: Job, name: str, total: int | None = None) -> Iterator[Row]:
        told = self._told(job, name, total) if total else self._told(job, name)
        for number, row in enumerate(rows):
            if number % 1000 == 0:
                told(number)
            yield row


@lru_cache(8)
def _sight(model: Path, entry: str, home: Path, stage: str, view: View) -> Sight:
    return Sight(model, json.loads(entry), home, stage, view.settings(stage))


def library_ready() -> bool:
    """Tell whether LLaMA-Factory is loaded, which takes seconds; begin to load it where it is not."""
    llamafactory.begin()
    return llamafactory.ready()

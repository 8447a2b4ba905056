"""What the Datasets tab works with: every dataset of every data folder, its rows, and how new ones come in."""

import math
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.jobs import Jobs, Places
from studio.core.storage import files
from studio.core.storage.file_cache import FileCache
from studio.core.storage.folders import is_folder
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace
from studio.datasets.files import csv_types, reading
from studio.datasets.files.incoming import packed
from studio.datasets.files.incoming import source as incoming
from studio.datasets.files.reading import Row
from studio.datasets.files.row_edits import Editor
from studio.datasets.files.row_index import Indexes, Rows
from studio.datasets.files.row_search import RowMatches
from studio.datasets.registry import dataset_info, entries, hub_data
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.registry.intake import Intakes
from studio.datasets.schema import conversion, forms
from studio.datasets.schema.conversion import Written
from studio.datasets.schema.forms import Mapping
from studio.datasets.schema.media import MediaFiles

CONVERT = "convert"  # the kind of the jobs in which data is brought in
FIRST_ROWS = 200
# Of a file that is to be read where it lies so many rows are looked at for what LLaMA-Factory would read otherwise.
READ_AS_IT_IS = 5000
# A table of so many bytes is looked through before it is used as it is.
MAX_BYTES_READ = 64 * 2**20
# How long one look at the page may search.
SEARCH_S = 0.7
REFUSED_S = 15.0  # for so long a hub's refusal is believed


@dataclass(frozen=True)
class Preview:
    """Some rows of a dataset. rows: a row that cannot be read is None, and `problems` say why. total: how many rows the
    dataset has, None while they are being counted.
    """

    rows: list[dict[str, object] | None]
    total: int | None
    problems: list[Problem]


class Collection:
    """The datasets of a workspace and of the folders that the person added.

    A dataset of the workspace's own data folder goes by its name, one of another folder by the full path of that folder
    and its name.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs):
        self.workspace, self.jobs = workspace, jobs
        self.indexes = Indexes(workspace.saves / ".rows")
        self.editor = Editor(self.indexes, workspace.saves / ".rows")
        self.intakes = Intakes(workspace.saves / ".rows")
        self._searches: dict[tuple, RowMatches] = {}
        self._searching = threading.Lock()
        self._dropped: set[Path] = set()
        self._observed: FileCache[list[dict]] = FileCache(1)
        # What a hub answered, and until when that is believed (s of the monotonic clock).
        self._hub_rows: dict[tuple, tuple[list[dict] | Problem | None, float]] = {}
        jobs.places(CONVERT, Places(lambda facts: {self.place_of(facts["name"]): ()} if facts["name"] else {}))

    @property
    def folder(self) -> Path:
        """The workspace's own data folder."""
        return self.workspace.data

    def folders(self) -> list[Path]:
        """Return the data folders, the workspace's own first; only that where the list of the others is broken (see
        `fault`).
        """
        return [self.folder, *dataset_info.known_places(self.folder)]

    def fault(self) -> Problem | None:
        """Return why the list of the person's data folders cannot be read, None where it can."""
        try:
            dataset_info.places(self.folder)
        except Problem as problem:
            return problem
        return None

    def trash(self) -> Trash:
        """Return the trash into which entries and files of the data folders go."""
        return Trash(self.workspace, self.folders()[1:])

    def datasets(self, folder: Path) -> list[Dataset]:
        """Return the datasets of one data folder; rows of large files are counted by their index, in the background.

        Raises:
            Problem: `dataset_info.json` is broken, or the folder is gone.
        """
        if not is_folder(folder):
            raise Problem("datasets.no_folder", folder=folder)
        return [self._counted(each) for each in dataset_info.datasets(folder)]

    def find(self, name: str) -> Dataset:
        """Return the dataset of this name (see the class), which may have a problem. Raises Problem where there is
        none.
        """
        home, short = self.home_of(name)
        return self._counted(dataset_info.dataset(home, short))

    def home_of(self, name: str) -> tuple[Path, str]:
        """Return the data folder of a dataset and its name there. Raises Problem for a folder that was not added."""
        if not Path(name).is_absolute():
            return self.folder, name
        home = Path(name).parent
        if home not in self.folders():
            raise Problem("datasets.no_folder", folder=home)
        return home, Path(name).name

    def name_of(self, dataset: Dataset) -> str:
        """Return the name by which `find` finds a dataset."""
        return dataset.name if dataset.home == self.folder else str(dataset.home / dataset.name)

    def instruction_sets(self) -> list[str]:
        """Return the names of the sets of questions and answers that can be read."""
        names = []
        for folder in self.folders():
            try:
                found = self.datasets(folder)
            except Problem:
                continue  # Datasets says what is wrong with the folder
            names += [self.name_of(one) for one in found if one.stage == "sft" and not one.problem]
        return names

    def rows(self, name: str) -> Rows:
        """Return the rows of a dataset that lies on this disk. Raises Problem where it does not, or its file cannot be
        read.
        """
        dataset = self.find(name)
        if dataset.file is None:
            raise dataset.problem or Problem("datasets.on_a_hub", name=dataset.name)
        return self.indexes.of(dataset.file)

    def preview(self, name: str, offset: int = 0, limit: int = 20) -> Preview:
        """Return the rows of a dataset from row `offset` (from 0) on, at most 1,000.

        Waits until the rows asked for are indexed.

        Raises:
            Problem: there is no such dataset on this disk, or none of these rows can be read.
        """
        rows = self.rows(name)
        rows.wait(offset + limit)
        page = rows.page(offset, min(limit, 1000))
        if not page and rows.fault:
            raise rows.fault
        return Preview(
            [row.value for row in page], rows.count if rows.done else None, [row.problem for row in page if row.problem]
        )

    def search(self, rows: Rows, text: str, offset: int, limit: int) -> RowMatches:
        """Return the first `limit` rows from row `offset` (from 0) on that say `text`, as far as was searched.

        Each call searches on for a moment where the last one stopped, so that a page which asks again and again shows
        how far it is.
        """
        key = (rows, text, offset)
        with self._searching:
            found = self._searches.get(key) or RowMatches(next=offset)
            if found.next is not None and len(found.rows) < limit:
                more = rows.find(text, found.next, limit - len(found.rows), SEARCH_S)
                # An index that still grows ends before the file does.
                on = more.next if more.next is not None or rows.done else rows.count
                found = RowMatches(found.rows + more.rows, on, more.share if rows.done else more.share * rows.share)
                self._searches = {**dict(list(self._searches.items())[-15:]), key: found}
        return found

    def _counted(self, dataset: Dataset) -> Dataset:
        if dataset.problem or dataset.file is None or dataset.rows is not None:
            return dataset
        try:
            rows = self.indexes.of(dataset.file)
        except Problem as problem:
            return replace(dataset, problem=problem)
        return replace(dataset, rows=rows.count if rows.done else None, problem=rows.fault if rows.done else None)

    # Bringing in
    # ---------------------------------------------------------------------------------------------------------------

    def drop(self, file: Path) -> Path:
        """Take note of a file that a person dropped on the page, and return it: it may be brought in wherever it
        lies.
        """
        self._dropped.add(file)
        return file

    @contextmanager
    def told_by_name(self) -> Iterator[None]:
        """Let a fault of a dropped file name it as the person does: where it came to lie says nothing to them."""
        try:
            yield
        except Problem as problem:
            facts = {name: self._without_folder(value) for name, value in problem.facts.items()}
            raise Problem(problem.key, **facts) from None

    def _without_folder(self, fact: object) -> object:
        if not isinstance(fact, str | Path):
            return fact
        text = str(fact)
        for folder in {file.parent for file in self._dropped}:
            text = text.replace(f"{folder}/", "")
        return text if text != str(fact) else fact

    def source(self, path: str) -> Path:
        """Return the file or folder that a person named: inside the workspace or a folder they added, or one that they
        dropped.

        A path that is not absolute begins at the data folder, wherever the studio was started.

        Raises:
            Problem: it lies elsewhere, or is not there.
        """
        named = self.folder / files.expanded(path)
        real = files.real(named)
        if named not in self._dropped and not any(
            real.is_relative_to(files.real(each)) for each in (self.workspace.root, *self.folders())
        ):
            raise Problem("datasets.path_outside", path=path)
        if not files.exists(named):
            raise Problem("datasets.no_file", file=named)
        return named

    def first_rows(self, source: Path) -> list[dict]:
        """Return the first rows of a file that can be read, for `formats.recognise`.

        Raises:
            Problem: none can; the reason is that of the first row.
        """
        return self._observed.get(source, incoming.files_of(source), lambda: self._first_rows(source))

    def _first(self, source: Path, count: int) -> list[dict]:
        return [row.value for row in islice(incoming.rows(source, self._beside()), count) if row.value is not None]

    def _notes_on_first_rows(self, source: Path, mapping: Mapping, count: int | None) -> Written:
        """Return what must be told of a file that is read where it lies, of its first rows."""
        first_rows = Written()
        numbered = (Row(number, row) for number, row in enumerate(self._first(source, READ_AS_IT_IS), start=1))
        for _ in conversion.converted(numbered, mapping, first_rows, source):
            pass
        return Written(rows=count, not_taken=first_rows.not_taken, notes=first_rows.notes)

    def _first_rows(self, source: Path) -> list[dict]:
        first = list(islice(incoming.rows(source, self._beside()), FIRST_ROWS))
        rows = [row.value for row in first if row.value is not None]
        if not rows:
            raise next((row.problem for row in first if row.problem), None) or Problem("datasets.empty", file=source)
        return rows

    def bring_in(
        self, source: Path, name: str, mapping: Mapping, options: dict | None = None, progress=None
    ) -> tuple[str, Written]:
        """Write the rows of `source` to a new file of the data folder, register it, and return its name and what was
        written.

        A file inside a data folder that LLaMA-Factory can read as it is becomes an entry without being copied, unless
        `options` say {"copy": true}.

        Raises:
            Problem: the name is bad or taken, or as `convert.convert`; nothing is left behind.
        """
        choices = options or {}
        name = name.strip() or self.free_name(source)
        self.require_free(name)
        extra = {key: choices[key] for key in ("num_samples",) if choices.get(key)}
        if not choices.get("copy") and (entry := self._as_it_is(source, mapping)):
            entries.add(self.folder, name, entry | extra)
            written = self._notes_on_first_rows(source, mapping, self.find(name).rows)
            self.intakes.write(source, source, written)
            return name, written
        target = self.workspace.inside(self.folder, f"{name}.jsonl")
        written = conversion.convert(source, mapping, target, progress)
        try:
            entries.add(self.folder, name, conversion.entry_for(mapping, target.name, written.media) | extra)
        except Problem:
            target.unlink()
            if written.stored:
                shutil.rmtree(written.stored)
            raise
        self.intakes.write(target, source, written)
        return name, written

    def free_name(self, source: Path | str) -> str:
        """Return a name for a new dataset, after its file or its hub address, that is not taken."""
        plain = re.sub(r"[^\w.+-]+", "_", packed.plain_name(Path(source).name)).strip("._-+") or "dataset"
        names = dataset_info.read_info(self.folder)
        number = 1
        while (
            (name := plain if number == 1 else f"{plain}_{number}") in names
            or files.exists(self.folder / f"{name}.jsonl")
            or self.jobs.is_made(self.place_of(name))
        ):
            number += 1
        return name

    def hub_rows(self, address: hub_data.Address, options: dict) -> list[dict] | None:
        """Return the first rows of data on a hub, None while they are being fetched. Raises Problem where they cannot
        be had.
        """
        key = (address, *((name, options.get(name)) for name in ("subset", "split", "folder")))
        found, until = self._hub_rows.get(key, (None, 0.0))
        if time.monotonic() >= until:
            # A refusal stands until the next answer is here: the network, a token or the hub may be mended meanwhile.
            self._hub_rows[key] = (found, math.inf)
            threading.Thread(
                target=self._fetch, args=(key, address, dict(options)), name="hub-rows", daemon=True
            ).start()
        if isinstance(found, Problem):
            raise found
        return found

    def _fetch(self, key: tuple, address: hub_data.Address, options: dict) -> None:
        try:
            found, until = hub_data.first_rows(address, options), math.inf
        except Exception as error:  # whatever a library raised: nobody may be left to wait for rows that never come
            refused = Problem("datasets.hub_refuses", repo=address.repo, reason=reasons.of(error))
            found = error if isinstance(error, Problem) else refused
            until = time.monotonic() + REFUSED_S
        self._hub_rows[key] = (found, until)

    def register_hub(
        self, address: hub_data.Address, name: str, mapping: Mapping | None, options: dict | None = None
    ) -> str:
        """Register data on a hub, which is fetched when a run needs it, and return its name. Raises Problem as
        `entries.add` does.
        """
        name = name.strip() or self.free_name(address.repo)
        entries.add(self.folder, name, hub_data.entry(address, mapping, options or {}))
        return name

    def link(self, name: str) -> str:
        """Register a dataset of another data folder in the workspace's own, without copying it, so that runs can train
        on it.

        Raises:
            Problem: it is unknown, broken, or its name is taken.
        """
        home, short = self.home_of(name)
        self.jobs.require_unmade(self.place_of(short))
        return entries.link(self.folder, home / short)

    def place_of(self, name: str) -> Path:
        """Return the place that stands for a dataset among what jobs make and read: its data folder with its name."""
        return self.folder / name

    def require_free(self, name: str) -> None:
        """Raise Problem for a name that is not plain or is that of a dataset already, or where no entry can be written
        at all.
        """
        self.workspace.inside(self.folder, name)
        if name in entries.changeable(self.folder):
            raise Problem("datasets.name_taken", name=name, file=self.folder / dataset_info.INFO)

    def _as_it_is(self, source: Path, mapping: Mapping) -> dict | None:
        """Return the entry by which LLaMA-Factory reads `source` where it lies, None where it must be converted."""
        real = files.real(source)
        home = next((folder for folder in self.folders() if real.is_relative_to(files.real(folder))), None)
        if home is None or mapping.missing():
            return None
        if not incoming.is_native(source, READ_AS_IT_IS) or any(
            each.suffix not in dataset_info.FILE_TYPES for each in reading.files_of(source)
        ):
            return None
        media = MediaFiles(source if source.is_dir() else source.parent, home)
        entry = forms.entry_as_it_is(mapping, self._first(source, READ_AS_IT_IS), media)
        if entry is None or not self._keeps_texts(source, mapping):
            return None
        inside = home == self.folder
        return {"file_name": str(real.relative_to(files.real(home)) if inside else real), **entry}

    def _keeps_texts(self, source: Path, mapping: Mapping) -> bool:
        """Tell whether LLaMA-Factory reads the texts of a table as they stand: no number, no null is made of one."""
        tables = [each for each in reading.files_of(source) if reading.form_of(each).kind == "csv"]
        # To look through a larger table would take as long as to write it as JSON lines, which keep every text.
        whole = all(files.stamp(each)[0] <= MAX_BYTES_READ for each in tables)
        return not tables or (whole and csv_types.keeps_texts(source, mapping.columns.values()))

    def _beside(self) -> Path:
        folder = self.workspace.saves / ".rows"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

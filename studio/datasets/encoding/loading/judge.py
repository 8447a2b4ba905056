"""What LLaMA-Factory's loader makes of a whole dataset: which rows it trains, leaves out or stops at, and what it reads
otherwise.
"""

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.datasets.encoding.loading import table
from studio.datasets.encoding.loading.kinds import EMPTY, Conflict, Kinds, kind_of
from studio.datasets.encoding.loading.rows import RowJudge
from studio.datasets.encoding.quiet import quiet
from studio.datasets.files import columnar, reading
from studio.datasets.files.reading import Row
from studio.datasets.schema.rules import Fault

_BATCH = 1000
# The map of the datasets library writes so many rows at once; the types of its table are those of the first.
_WRITTEN_AT_ONCE = 1000
MOST = 1000  # conflicts that are told of one field
_COLUMNS = {"_system": "system", "_tools": "tools", "_images": "images", "_videos": "videos", "_audios": "audios"}


@dataclass
class Verdict:
    """What the loader makes of a dataset.

    `faults` are told by row, 0 where they are of the whole set. `kept` says whether each row's fate is known, so that a
    row that is in neither `stopping` nor `left_out` is trained. `template` is the one by which the rows were judged.
    """

    faults: list[tuple[int, Fault]] = field(default_factory=list)
    kept: bool = False
    stopping: set[int] = field(default_factory=set)
    left_out: set[int] = field(default_factory=set)
    template: str = ""

    def trains(self, number: int) -> bool:
        """Tell whether a row is known to be trained."""
        return self.kept and number not in self.stopping and number not in self.left_out


def judge(
    path: Path,
    entry: dict,
    home: Path,
    scratch: Path,
    settings: dict | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verdict:
    """Return what LLaMA-Factory makes of a dataset.

    Args:
        path: its file, or its folder of files.
        entry: its entry of `dataset_info.json`; `num_samples` does not count, all rows are looked at.
        home: its data folder.
        scratch: a folder that is empty, into which the loader writes a copy of the rows.
        settings: data arguments of which `template` and `tool_format` count.
        progress: called with the number of rows done; what it raises ends the work.

    Raises:
        Problem: there is no such template, or the disk is full.
    """
    rows = RowJudge(entry, home, settings or {})
    paths = table.data_files(path)
    try:
        dataset = table.load(paths, rows.attributes.split, scratch)
    except table.Stopped as stop:
        return _stopped(path, rows, str(stop))
    verdict, kinds = Verdict(kept=True, template=rows.name), Kinds()
    conflicts: list[Conflict] = []
    with quiet():
        try:
            for number, row, read in _side_by_side(path, paths, dataset):
                conflicts.extend(_judge_row(verdict, rows, kinds, number, row.value, read))
                if number == _WRITTEN_AT_ONCE:
                    kinds.freeze(number)
                if progress and number % _BATCH == 0:
                    progress(number)
        except _Uneven as uneven:
            return Verdict([(0, Fault("rows_differ", "", {"shown": uneven.shown, "read": uneven.read}))])
        _write(verdict, rows, dataset, conflicts)
    return verdict


class _Uneven(Exception):
    """The page shows another number of rows than the loader reads."""

    def __init__(self, shown: int, read: int):
        self.shown, self.read = shown, read


def _judge_row(
    verdict: Verdict, rows: RowJudge, kinds: Kinds, number: int, shown: dict | None, read: dict
) -> list[Conflict]:
    """Take into the verdict what becomes of one row, and return what of it does not fit into one table with those
    before.
    """
    if shown is not None:
        for name in rows.shape.fields():
            verdict.faults += [(number, fault) for fault in differences(shown.get(name), read.get(name), name)]
    judged = rows.judge(read)
    if judged.fault:
        verdict.stopping.add(number)
        verdict.faults.append((number, judged.fault))
    elif not judged.trained:
        verdict.left_out.add(number)
        verdict.faults.append((number, Fault("left_out", "")))
    if judged.aligned is None:
        return []
    columns = rows.shape.columns
    return list(
        kinds.add({columns.get(name, name): judged.aligned[column] for column, name in _COLUMNS.items()}, number)
    )


def differences(shown: object, read: object, place: str) -> Iterator[Fault]:
    """Yield where the loader reads something else than the file says. What is absent, null or empty is one and the same
    to it.
    """
    if shown == read and type(shown) is type(read):
        return
    if shown in (None, "") and read in (None, ""):
        return
    if isinstance(shown, dict) and isinstance(read, dict):
        for key in shown | read:
            yield from differences(shown.get(key), read.get(key), f"{place}.{key}")
    elif isinstance(shown, list) and isinstance(read, list) and len(shown) == len(read):
        for index, (one, other) in enumerate(zip(shown, read, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif not (kind_of(shown) == kind_of(read) == "number" and shown == read) and shown != (
        plain := columnar.plain(read)
    ):
        kind = "read_as_date" if isinstance(read, datetime.date) else "read_otherwise"
        yield Fault(kind, place, {"field": place, "shown": _short(shown), "read": _short(plain), "kind": kind_of(read)})


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:60] + "…"


def _write(verdict: Verdict, rows: RowJudge, dataset, conflicts: list[Conflict]) -> None:
    """Let LLaMA-Factory write the converted rows as its run does; where that stops, take the fault into the verdict."""
    llamafactory.load()
    from llamafactory.data.converter import align_dataset

    if not verdict.stopping:  # else the run does not come so far
        try:
            with table.without_bars():
                align_dataset(dataset, rows.attributes, rows.arguments, SimpleNamespace(local_process_index=0))
            return
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or "", reason=reasons.of(error)) from error
        except Exception as error:  # whatever it is, the run would end with it
            reason = table.words_of(error)
        verdict.kept = False
        if not conflicts:
            verdict.faults.append((0, Fault("not_loaded", "", {"reason": reason})))
    verdict.faults += [(one.at, _fault(one)) for one in conflicts[:MOST]]


def _stopped(path: Path, rows: RowJudge, reason: str) -> Verdict:
    """Return where the loader stops that could not read the file: the rows and fields that fit into no table."""
    kinds, faults, size = Kinds(), [], 0
    for number, row, part in _numbered(reading.files_of(path)):
        if part is None:  # the end of a file
            kinds.freeze(number)
        elif row.value is not None:
            faults += [(number, _fault(one)) for one in kinds.add(row.value, number)][: MOST - len(faults)]
            size += row.size + 1
            if size >= table.PIECE_BYTES and reading.form_of(part).kind == "lines":
                kinds.freeze(number)
    return Verdict(faults or [(0, Fault("not_loaded", "", {"reason": reason}))])


def _fault(conflict: Conflict) -> Fault:
    facts = {"field": conflict.field, "found": conflict.found, "first": conflict.first, "row": conflict.row}
    return Fault("late_type" if conflict.first == EMPTY else "mixed_types", conflict.field, facts)


def _numbered(parts: list[Path]) -> Iterator[tuple[int, Row | None, Path | None]]:
    """Yield the rows of files, numbered through, each with its file; after each file the number of its last row,
    without a row.
    """
    before = number = 0
    for part in parts:
        for row in reading.rows(part):
            number = before + row.number
            yield number, row, part
        before = number
        yield number, None, None


def _side_by_side(path: Path, paths: list[Path], dataset) -> Iterator[tuple[int, Row, dict]]:
    """Yield the number of each row, the row as the page shows it, and as the loader has it.

    Raises:
        _Uneven: they are not as many.
    """
    parts, start, before = reading.files_of(path), {}, 0
    if len(paths) > 1:  # the loader takes them in the order of the disk
        sizes = {part: sum(1 for _ in reading.rows(part)) for part in parts}
        if sum(sizes.values()) != len(dataset):
            raise _Uneven(sum(sizes.values()), len(dataset))
        for part in paths:
            start[part], before = before, before + sizes[part]
    number = 0
    for part in parts:
        at, page, first = start.get(part, 0), [], 0
        for row in reading.rows(part):
            number += 1
            if at >= len(dataset):
                break
            if not page or at - first >= len(page):
                page, first = _page(dataset, at), at
            yield number, row, page[at - first]
            at += 1
    if number != len(dataset):
        raise _Uneven(sum(1 for _ in reading.rows(path)), len(dataset))


def _page(dataset, first: int) -> list[dict]:
    columns = dataset[first : first + _BATCH]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

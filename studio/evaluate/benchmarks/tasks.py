"""What can be asked: the benchmarks in the workspace, and the known ones that can be had."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.storage import files, folders
from studio.core.storage.file_cache import FileCache
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, is_safe
from studio.evaluate.benchmarks import harness_tasks
from studio.evaluate.benchmarks.sets import incoming, layouts
from studio.evaluate.benchmarks.sets.known import KNOWN, Known, which
from studio.evaluate.benchmarks.sets.layouts import Benchmark

_LICENCE_CHARACTERS = 120


@dataclass(frozen=True)
class Task:
    """A benchmark as it is listed.

    licence: as its authors, or a file beside it, give it; "" where none is told. free: whether it allows commercial
    use, None where that is not known. split: which part of it is scored. subjects: number of questions by subject.
    shots: the fewest examples that a subject has. problem: why it cannot be asked, None where it can.
    is_here: whether it is in the workspace, else it can be fetched.
    """

    name: str
    title: str
    licence: str
    free: bool | None
    language: str = ""
    split: str = ""
    subjects: tuple[tuple[str, int], ...] = ()
    categories: tuple[str, ...] = ()
    shots: int = 0
    problem: Problem | None = None
    is_here: bool = True

    @property
    def questions(self) -> int:
        """How many questions are scored."""
        return sum(count for _, count in self.subjects)


_cache: FileCache[Task] = FileCache(256)


def tasks(workspace: Workspace) -> list[Task]:
    """Return all benchmarks: the sets in the workspace, one's own tasks of lm-eval, then the known sets not here."""
    here = [describe(folder) for folder in folders.entries(incoming.folder_of(workspace)) if folders.is_folder(folder)]
    own = [_own_task(workspace, name, file) for name, file in harness_tasks.own_files(workspace).items()]
    taken = {one.name for one in here}
    return [*here, *own, *(_to_be_had(one) for one in KNOWN.values() if one.name not in taken)]


def require(workspace: Workspace, name: str) -> None:
    """Raise Problem where a part of an evaluation is neither a benchmark of the workspace nor a task of lm-eval.

    Whether a task that comes with lm-eval can be had is seen when its questions are read.
    """
    if not harness_tasks.is_task(name):
        find(workspace, name)
    elif file := harness_tasks.own_files(workspace).get(name):
        harness_tasks.describe(file)
    elif not is_safe(name.removeprefix(harness_tasks.PREFIX)):
        raise Problem("benchmarks.no_task", name=name)


def find(workspace: Workspace, name: str) -> Benchmark:
    """Return a benchmark of the workspace. Raises Problem where there is none of that name, or it holds none."""
    folder = incoming.folder_of(workspace) / name if is_safe(name) else None
    if not folder or not folders.is_folder(folder):
        known = KNOWN.get(name)
        raise Problem("benchmarks.not_here" if known else "benchmarks.missing", name=known.title if known else name)
    return layouts.look(workspace.inside(folder.parent, name))


def delete(workspace: Workspace, jobs: Jobs, name: str) -> str:
    """Move a benchmark, or the description of an own task of lm-eval, into the trash, and return the item's id there.
    Raises Problem where there is none, or a job reads it.
    """
    own = harness_tasks.own_files(workspace).get(name)
    if not own and not (is_safe(name) and folders.is_folder(incoming.folder_of(workspace) / name)):
        raise Problem("benchmarks.missing", name=name)
    path = own or incoming.folder_of(workspace) / name
    with jobs.moving([path]):
        return Trash(workspace).put(path, "benchmark", own.stem if own else name)


def places(workspace: Workspace, names: Sequence[str]) -> list[Path]:
    """Return where the questions of benchmarks stand in the workspace: folders, and files of one's own tasks."""
    found = []
    for name in names:
        if not harness_tasks.is_task(name):
            found.append(incoming.folder_of(workspace) / name)
        elif file := harness_tasks.own_files(workspace).get(name):
            found += harness_tasks.places(file)
    return found


def describe(folder: Path) -> Task:
    """Return what a benchmark in the workspace is; what is wrong with it is its `problem`."""
    paths = [path for path, _ in folders.below(folder)][: layouts.MOST_FILES]
    return _cache.get(folder, [folder, *paths], lambda: _described(folder))


def _described(folder: Path) -> Task:
    licence = _licence_beside(folder)
    try:
        found = layouts.look(folder)
        counts = Counter(question.subject for question in found.questions())
        shots = found.shots()
    except Problem as problem:
        return Task(folder.name, folder.name, licence, None, problem=problem)
    keys = tuple(counts)
    known = which(folder.name, keys)
    return Task(
        name=folder.name,
        title=known.title if known else folder.name,
        licence=known.licence if known else licence,
        free=known.free if known else None,
        language=found.language,
        split=found.split,
        subjects=tuple((found.subject(key).name, counts[key]) for key in keys),
        categories=tuple(sorted({found.subject(key).category for key in keys} - {""})),
        shots=min((len(shots.get(key) or shots.get("", ())) for key in keys), default=0),
        problem=None if counts else Problem("benchmarks.no_questions", names=folder.name),
    )


def _own_task(workspace: Workspace, name: str, file: Path) -> Task:
    """Return what a description of a task in the workspace is."""
    try:
        described = harness_tasks.describe(file)
        data = file.parent / described.dataset_kwargs.data_files.get(described.test_split, "")
    except Problem as problem:
        return Task(name, name, "", None, problem=problem)
    return _cache.get(file, [file, data], lambda: _counted(workspace, name, file))


def _counted(workspace: Workspace, name: str, file: Path) -> Task:
    try:
        described = harness_tasks.describe(file)
        rows = harness_tasks.rows_of(workspace, file, described, described.test_split)
    except Problem as problem:
        return Task(name, name, "", None, problem=problem)
    shots = described.num_fewshot or 0
    return Task(name, name, "", None, split=described.test_split, subjects=((name, len(rows)),), shots=shots)


def _to_be_had(known: Known) -> Task:
    return Task(known.name, known.title, known.licence, known.free, known.language, known.split, is_here=False)


def _licence_beside(folder: Path) -> str:
    """Return the first line of a licence that lies in the folder."""
    for path in folders.entries(folder):
        if path.name.casefold().startswith("licen"):
            try:
                lines = [line.strip() for line in files.read_text(path).splitlines()]
            except OSError:
                continue
            return next((line for line in lines if line), "")[:_LICENCE_CHARACTERS]
    return ""

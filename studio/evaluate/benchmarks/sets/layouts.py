"""A benchmark in a folder: which file holds which questions of which subject, and which of them are scored.

```
dev/<subject>_dev.csv  val/<subject>_val.csv  test/<subject>_test.csv     MMLU, C-Eval
dev/<subject>.csv      test/<subject>.csv                                 CMMLU
<subject>/dev-00000-of-00001.parquet  <subject>/test-...                  as hubs convert them
<any name>.csv, .tsv, .json, .jsonl  dev.csv                              a set of one's own
mapping.json                                                              subject -> {name, category}
```
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import records
from studio.evaluate.benchmarks.sets import known
from studio.evaluate.benchmarks.sets.known import Subject
from studio.evaluate.benchmarks.sets.question_files import ANSWER, ENDINGS, Question, has_answers, questions

MAPPING = "mapping.json"
DEEPEST, MOST_FILES = 4, 5_000
_SPLITS = {"test": "test", "val": "val", "validation": "val", "dev": "dev", "train": "dev", "shots": "dev"}
_SPLIT = re.compile(r"(?:(?P<subject>.+)_)?(?P<split>" + "|".join(_SPLITS) + r")(?:-\d+-of-\d+)?(?:-[0-9a-f]{8,})?")
# What hubs put beside the questions, and configurations that hold all subjects once more.
_BESIDE = (MAPPING, "dataset_infos.json", "dataset_info.json", "configuration.json")
_ALL_AGAIN = ("all", "auxiliary_train", "default")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_LOOKED_AT = 50


@dataclass(frozen=True)
class Part:
    """The files of one subject: those that are scored, and those of the examples. A set of one's own may name the
    subject of each question itself; then `subject` is what is left for those that name none.
    """

    subject: str
    scored: tuple[Path, ...]
    shots: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """A set of questions in a folder.

    split: which of its parts is scored, "test" or "val". language: of its questions, "en" or "zh". subjects: what
    `mapping.json` says, in its order.
    """

    name: str
    folder: Path
    split: str
    language: str
    parts: tuple[Part, ...]
    subjects: dict[str, Subject]

    def questions(self) -> Iterator[Question]:
        """Yield the questions that are scored, each with its subject, numbered within its subject's files. Raises
        Problem.
        """
        for part in self.parts:
            yield from (question for question in _of(part.scored, part.subject) if not question.is_shot)

    def shots(self) -> dict[str, list[Question]]:
        """Return the examples of each subject; those of "" are for all subjects that have none. Raises Problem."""
        found: dict[str, list[Question]] = {}
        for part in self.parts:
            examples = [question for question in _of(part.scored, part.subject) if question.is_shot]
            for question in (*_of(part.shots, part.subject), *examples):
                found.setdefault(question.subject, []).append(question)
        return found

    def subject(self, key: str) -> Subject:
        """Return name and category of a subject; without a `mapping.json` it is called as its file is."""
        return self.subjects.get(key) or Subject(name=(key or self.name).replace("_", " "))


def look(folder: Path) -> Benchmark:
    """Look at a folder, and tell what is scored in it. The questions are not read but the first.

    Raises:
        Problem: it holds no questions, or none that have answers, or what it holds cannot be read.
    """
    found = _files(folder)
    mapping_file = next((file for file in found if file.name == MAPPING), None)
    by_split = _by_split([file for file in found if file.name not in _BESIDE], folder)
    split = _scored_split(by_split, folder)
    keys = list(by_split[split])
    subjects = _mapping(mapping_file) if mapping_file else known.subjects(folder.name, keys)
    shots = by_split.get("dev", {})
    parts = tuple(
        Part(key, tuple(by_split[split][key]), tuple(shots.get(key, ())))
        for key in (*(key for key in subjects if key in keys), *(key for key in keys if key not in subjects))
    )
    common = tuple(shots.get("", ())) if "" not in by_split[split] else ()
    parts = (*parts, Part("", (), common)) if common else parts
    return Benchmark(folder.name, folder, split, _language(parts), parts, subjects)


def _of(paths: tuple[Path, ...], subject: str) -> Iterator[Question]:
    """Yield the questions of files that are scored, or are examples. Raises Problem as `questions` does, and where one
    has no answer.
    """
    before = 0
    for path in paths:
        number = -1
        for question in questions(path):
            number = question.number
            if not question.answer:
                raise Problem("benchmarks.empty", file=path.name, row=number + 1, field=ANSWER[0])
            yield replace(question, number=before + number, subject=question.subject or subject)
        before += number + 1


def files_in_sight(folder: Path) -> Iterator[Path]:
    """Yield what lies under a folder, those at the top first; nothing hidden, and no deeper than a benchmark goes."""
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith((".", "__")))
        if len(Path(place).relative_to(folder).parts) >= DEEPEST:
            below.clear()
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """Return the files of questions under a folder, those at the top first. Raises Problem where there are none, or far
    too many.
    """
    found = []
    for file in files_in_sight(folder):
        if file.suffix.lower() in ENDINGS:
            found.append(file)
        if len(found) > MOST_FILES:
            raise Problem("benchmarks.too_many_files", folder=folder.name, most=f"{MOST_FILES:,}")
    if all(file.name in _BESIDE for file in found):
        raise Problem("benchmarks.no_files", folder=folder.name, types=" ".join(ENDINGS))
    return found


def _by_split(found: list[Path], folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Return the files by split and subject, without what holds all subjects once more."""
    placed = [(*_place(file, folder), file) for file in found]
    if any(subject not in _ALL_AGAIN for _, subject, _ in placed):
        placed = [one for one in placed if one[1] not in _ALL_AGAIN]
    by_split: dict[str, dict[str, list[Path]]] = {}
    for split, subject, file in placed:
        by_split.setdefault(split, {}).setdefault(subject, []).append(file)
    return by_split


def _place(file: Path, folder: Path) -> tuple[str, str]:
    """Return split and subject of a file by where it stands and what it is called."""
    above = file.relative_to(folder).parts[:-1]
    named = _SPLIT.fullmatch(file.stem)
    split = next((_SPLITS[part] for part in reversed(above) if part in _SPLITS), None)
    if split:
        return split, named["subject"] if named and named["subject"] else file.stem
    if named:
        return _SPLITS[named["split"]], named["subject"] or (above[-1] if above else "")
    return "test", file.stem


def _scored_split(by_split: dict[str, dict[str, list[Path]]], folder: Path) -> str:
    """Return which part is scored: the test where it has answers (C-Eval's has none), else the validation."""
    test = next(iter(by_split.get("test", {}).values()), [])
    if test and has_answers(test[0]):
        return "test"
    if by_split.get("val"):
        return "val"
    if test:
        for _ in questions(test[0]):  # tells where the first answer is missing, if there is a place for one
            raise Problem("benchmarks.no_answers", file=test[0].name)
    raise Problem("benchmarks.nothing_to_score", folder=folder.name)


def _mapping(file: Path) -> dict[str, Subject]:
    """Return what `mapping.json` says of the subjects, in its order. Raises Problem."""
    value = records.read(file)
    if not isinstance(value, dict):
        raise Problem("benchmarks.bad_mapping", file=file.name)
    return {key: records.typed(one, Subject, file.name) for key, one in value.items()}


def _language(parts: tuple[Part, ...]) -> str:
    """Return the language of a set, by its first questions."""
    first = islice((question for part in parts for question in _of(part.scored, part.subject)), _LOOKED_AT)
    texts = [question.text for question in first]
    return "zh" if sum(bool(_CHINESE.search(text)) for text in texts) > len(texts) / 2 else "en"

"""One evaluation: a folder with what was asked, the rows, the answers, their scores, and what happened.

```
request.json        who is evaluated, on what, and how (settings.Request)
rows.jsonl          the rows as they were when it began (EvaluatedRow)
predictions.jsonl   every answer as it came (Prediction)
losses.jsonl        the reference answers under each model (ReferenceLoss)
scores.jsonl        what follows from these three (RowScores)
sums.jsonl          what each answer adds to scores that are no mean of rows, as BLEU (RowSums)
judgements.jsonl    what a judge said of two answers (Judged)
events.jsonl        what happened: what was halved, what failed
```

Lines are only ever appended, so that a process may be killed at any time; a line that cannot be used is passed over and
counted.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import Field, ValidationError

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.core.storage import jsonl, records
from studio.core.storage.atomic import write_json
from studio.core.storage.records import Moment, Record, Text
from studio.core.workspace import Workspace
from studio.evaluate.settings import Request
from studio.inference import target_names

Index = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]


class EvaluatedRow(Record):
    """One row: its question, and the answer that is expected.

    row: its number in the evaluation, from 0. source: its number in the dataset `dataset`, from 0. digest: of what
    stood there (see `questions.Conversion`), "" in evaluations of earlier releases and of benchmarks. messages: up to
    and with the question. reference: None where the data has none. trained: the targets whose run was trained on this
    row. Of a benchmark: task, subject, category, the choices and the letter of the right one.
    """

    row: Index
    dataset: Text
    source: Index
    digest: Text = ""
    messages: list[dict[str, object]] = []
    system: Text = ""
    tools: Text = ""
    images: list[Text] = []
    reference: Text | None = None
    trained: list[Text] = []
    task: Text = ""
    subject: Text = ""
    category: Text = ""
    choices: list[Text] = []
    answer: Text = ""


class Prediction(Record):
    """One answer. tokens: the stop token not counted. seconds: of the batch it came with, shared among its rows.

    finished: as in `inference.answer.Answer`. cut: whether the cutoff shortened the prompt or the reference. prompt,
    label: of a model of this machine all that went in, special tokens too, and the reference, both as LLaMA-Factory's
    `generated_predictions.jsonl` has them. Of a benchmark: the letter chosen (None where the answer names none), the
    share of each letter where the model gave them, and how it was asked.
    """

    row: Index
    target: Text
    text: Text = ""
    tokens: Index = 0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    finished: Literal["stop", "length", "failed"] = "stop"
    fault: dict[str, object] | None = None
    cut: bool = False
    prompt: Text | None = None
    label: Text | None = None
    choice: Text | None = None
    shares: list[Share] | None = None
    asked: Literal["", "letters", "probabilities", "text"] = ""


class ReferenceLoss(Record):
    """The reference answer under one model: of each trained token its text and its loss (nats), and their mean."""

    row: Index
    target: Text
    loss: Annotated[float, Field(allow_inf_nan=False)]
    tokens: Index
    losses: list[float] = []
    pieces: list[Text] = []


class RowScores(Record):
    """The scores of one answer by the key of the metric; None where one does not apply."""

    row: Index
    target: Text
    scores: dict[str, float | None]


class RowSums(Record):
    """What one answer adds to the scores that are no mean of its rows: statistics by the key of the score."""

    row: Index
    target: Text
    sums: dict[str, list[Index]]


class Judged(Record):
    """What the judge said of one row: the first target's answer against that of `target`.

    verdict: "first", "second", "tie", or None where the judge gave none. orders: its verdicts with either answer first.
    odd: the beginnings of its answers that are no verdict. fault: why it could not be asked.
    """

    row: Index
    target: Text
    verdict: Literal["first", "second", "tie"] | None
    orders: list[Literal["first", "second", "tie"] | None] = []
    odd: list[Text] = []
    fault: dict[str, object] | None = None


class Event(Record):
    """Something that happened: the key of a sentence and its facts."""

    time: Moment
    event: str
    key: str = ""
    facts: dict[str, object] = {}


FILES = {
    EvaluatedRow: "rows.jsonl",
    Prediction: "predictions.jsonl",
    ReferenceLoss: "losses.jsonl",
    RowScores: "scores.jsonl",
    RowSums: "sums.jsonl",
    Judged: "judgements.jsonl",
    Event: "events.jsonl",
}
Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation by its folder. Any thread may call any method."""

    workspace: Workspace
    folder: Path
    _appending: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def id(self) -> str:
        return self.folder.name

    def label(self, target: str) -> str:
        """Return what a target, or a run, is called now, in few words."""
        return target_names.label(self.workspace, target)

    def file(self, kind: type[Record]) -> Path:
        """Return the file that holds the records of a kind."""
        return self.folder / FILES[kind]

    def request(self) -> Request:
        """Return what was asked. Raises Problem where the file is missing or holds something else."""
        request = records.load(self.folder / "request.json", Request)
        try:
            request.settings  # noqa: B018  (raises)
        except ValueError as error:
            raise Problem("evaluate.no_settings", file="request.json", kind=request.kind) from error
        return request

    def write_request(self, request: Request) -> None:
        """Write what is asked, whole. Raises Problem where the disk refuses."""
        write_json(self.folder / "request.json", request.model_dump())

    def add(self, record: Record) -> None:
        """Append a record to the file of its kind. Raises Problem where the disk refuses; nothing is lost then but
        this record.
        """
        self.add_all([record])

    def add_all(self, added: list[Record]) -> None:
        """Append records of one kind, one after the other. Raises Problem where the disk refuses."""
        try:
            with self._appending:
                for record in added:
                    jsonl.append(self.file(type(record)), json.dumps(record.model_dump(), ensure_ascii=False))
        except OSError as error:
            raise Problem("workspace.unwritable", path=self.folder, reason=reasons.of(error)) from error

    def note(self, event: str, key: str = "", /, **facts: object) -> None:
        """Write down that something happened. Raises Problem where the disk refuses."""
        self.add(Event(time=time.time(), event=event, key=key, facts=plain(facts)))

    def read(self, kind: type[Kind]) -> list[Kind]:
        """Return the records of a kind, in their order, those left out that cannot be used (see `unreadable`)."""
        return [record for record in self._records(kind) if record is not None]

    def unreadable(self, kind: type[Record]) -> int:
        """Return how many lines of a file cannot be used."""
        return sum(record is None for record in self._records(kind))

    def done(self, kind: type[Prediction] | type[ReferenceLoss] | type[Judged]) -> set[tuple[int, str]]:
        """Return (row, target) of what has been answered, measured or judged. What failed is asked for again."""
        return {
            (record.row, record.target)
            for record in self.read(kind)
            if getattr(record, "finished", "") != "failed" and not getattr(record, "fault", None)
        }

    def _records(self, kind: type[Kind]) -> Iterator[Kind | None]:
        for line in jsonl.read(self.file(kind))[0]:
            try:
                yield kind.model_validate(orjson.loads(line)) if line is not None else None
            except orjson.JSONDecodeError:
                if not jsonl.is_torn(line):
                    yield None
            except ValidationError:
                yield None


def latest(found: list[Prediction]) -> dict[tuple[int, str], Prediction]:
    """Return the last answer of each (row, target): one that failed may have been asked for again."""
    return {(one.row, one.target): one for one in found}

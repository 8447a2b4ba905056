"""One load test: a folder with what was asked, and a line for each request that was answered.

```
request.json      which servers, and how (settings.LoadRequest)
begun.jsonl       each step when it began (StepBegun)
requests.jsonl    each request when it was over (SentRequest)
ended.jsonl       each step when it was over (StepEnded)
```

Lines are only ever appended, so that a process may be killed at any time. A step that was broken off is measured anew
under another number; what it had measured stays and counts for nothing.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.storage import jsonl, records
from studio.core.storage.records import Moment, Record, Text
from studio.core.workspace import write_json
from studio.deploy.load_test.load_settings import LoadRequest

Count = Annotated[int, Field(ge=0, lt=2**53)]
Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]


class StepBegun(Record):
    """A step begins: its number, from 0, the server, and how many requests are under way at a time."""

    step: Count
    target: Text
    concurrency: Annotated[int, Field(ge=1, le=512)]
    began: Moment


class SentRequest(Record):
    """A request that is over.

    ended: when. ttft_s: until the first text came, None where none did. latency_s: until the last event. gaps_s:
    between the pieces of text. counted: whether the tokens are the server's count, or the pieces that came. fault: why
    it failed, None if it was answered.
    """

    step: Count
    number: Count
    ended: Moment
    ttft_s: Seconds | None = None
    latency_s: Seconds = 0.0
    gaps_s: list[Seconds] = []
    prompt_tokens: Count | None = None
    tokens: Count = 0
    counted: Literal["usage", "pieces"] = "pieces"
    fault: Sentence | None = None


class StepEnded(Record):
    """A step is over.

    seconds: from its first request to the last event of its last. sent: how many requests. engine_tokens: how many the
    server says that it wrote meanwhile. memory: bytes of its process and those that it started, on this machine. Both
    None where that cannot be known.
    """

    step: Count
    seconds: Seconds
    sent: Count
    engine_tokens: Count | None = None
    memory: Count | None = None


FILES = {StepBegun: "begun.jsonl", SentRequest: "requests.jsonl", StepEnded: "ended.jsonl"}
Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class LoadTest:
    """A load test by its folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def file(self, kind: type[Record]) -> Path:
        """Return the file that holds the records of a kind."""
        return self.folder / FILES[kind]

    def request(self) -> LoadRequest:
        """Return what was asked. Raises Problem where the file is missing or holds something else."""
        return records.load(self.folder / "request.json", LoadRequest)

    def write_request(self, request: LoadRequest) -> None:
        """Write what is asked, whole. Raises Problem where the disk refuses."""
        write_json(self.folder / "request.json", request.model_dump())

    def add(self, record: Record) -> None:
        """Append a record to the file of its kind. Raises Problem where the disk refuses."""
        try:
            jsonl.append(self.file(type(record)), json.dumps(record.model_dump(), ensure_ascii=False))
        except OSError as error:
            raise Problem("workspace.unwritable", path=self.folder, reason=reasons.of(error)) from error

    def read(self, kind: type[Kind]) -> list[Kind]:
        """Return the records of a kind, in their order, those left out that cannot be used."""
        found = []
        for line in jsonl.read(self.file(kind))[0]:
            try:
                found.append(kind.model_validate(records.parse(line or b"")))
            except (ValueError, ValidationError):  # a torn line, or one of another program
                continue
        return found

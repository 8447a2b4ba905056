'''A score of the person's own: a Python file in the workspace's folder `metrics/`, with one function.

```
"""metrics/mentions.py: the share of the reference's numbers that the answer has too."""
import re


def score(prediction: str, reference: str, row: dict) -> float | None:
    wanted = set(re.findall(r"\\d+", reference))
    if not wanted:
        return None                      # says nothing of this row
    return len(wanted & set(re.findall(r"\\d+", prediction))) / len(wanted)
```

`prediction` and `reference` are without a thought. `row` is the row as the evaluation keeps it ("messages", "dataset",
"source", "reference" ...), and in "text" the answer whole, thought and all. What is returned is a number, of which more
is better, or None. The file may import any library of the studio's environment, and no file beside it.

It is code, so it runs only where the person allowed this very file (`core.trust`), and in a process of its own: one
that never returns, takes all memory or ends its process costs the score of that row.
'''

import contextlib
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import psutil

from studio.core import reasons, trust
from studio.core.i18n import Problem
from studio.core.processes.child import Child, Output
from studio.core.workspace import Workspace, is_safe

EXAMPLE = str(__doc__).split("```")[1].strip("\n")  # a whole file
SUFFIX = ".py"
LOAD_SECONDS = 60.0  # its imports
ROW_SECONDS = 10.0
MEMORY_MIB = 4096
STRIKES = 3  # rows one after the other whose process had to be ended
_LOOK_S = 0.1
_CHILD = "studio.evaluate.scores.own_metric_child"


def names(workspace: Workspace) -> list[str]:
    """Return the stems of the files in `metrics/`, as keys of scores have them behind `own:`."""
    if not workspace.metrics.is_dir():
        return []
    files = (path for path in workspace.metrics.iterdir() if path.suffix == SUFFIX and path.is_file())
    return sorted(path.stem for path in files if is_safe(path.name))


def path_of(workspace: Workspace, name: str) -> Path:
    """Return the file of an own metric. Raises Problem where there is none of that name."""
    path = workspace.inside(workspace.metrics, f"{name}{SUFFIX}")
    if not path.is_file():
        raise Problem("evaluate.own_missing", name=name, path=path)
    return path


def source_of(path: Path) -> str:
    """Return the text of a metric's file. Raises Problem where the person did not allow it, or it is no text."""
    code = trust.code_of(path)
    if code.fault:
        raise code.fault
    try:
        source = path.read_bytes()
        text = source.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("evaluate.own_unreadable", path=path, reason=reasons.of(error)) from error
    # What runs is what was just read, not what stands in the file a moment later.
    if not trust.is_granted(path) or code.files.get(path.name) != hashlib.sha256(source).hexdigest():
        raise Problem("evaluate.own_no_consent", file=path.name, path=path)
    return text


class OwnMetric:
    """A metric's file at work in a process of its own.

    ```
    with OwnMetric(path_of(workspace, "mentions")) as metric:
        value = metric.score(7, prediction, reference, row)
    ```
    """

    def __init__(self, path: Path, row_seconds: float = ROW_SECONDS, mib: int = MEMORY_MIB):
        """Take a file that the person allowed; nothing of it runs yet.

        Args:
            row_seconds: of the clock that it may take for one row.
            mib: of memory that its process may take.

        Raises:
            Problem: the person did not allow this file as it is, or it cannot be read.
        """
        self._path, self._row_seconds, self._mib = path, row_seconds, mib
        self._source = source_of(path)
        self._child: Child | None = None
        self._strikes = 0
        self._unfit: Problem | None = None

    def __enter__(self) -> "OwnMetric":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End its process; twice is no fault."""
        if self._child:
            self._child.end()
        self._child = None

    def score(self, number: int, prediction: str, reference: str, row: dict) -> float | None:
        """Return the score of a row, None where the metric says nothing of it.

        Args:
            number: of the row, for a sentence that tells a fault.

        Raises:
            Problem: the file cannot be run at all, which is told for every row; or it failed at this row, by the line
                of the file.
        """
        if self._unfit:
            raise Problem(self._unfit.key, **self._unfit.facts)
        if self._child is None:
            self._start()
        question = {"prediction": prediction, "reference": reference, "row": row}
        try:
            answer = self._ask(question, self._row_seconds, "", row=number)
        except Problem as problem:
            self._strikes += 1
            if self._strikes == STRIKES:
                self._unfit = self._problem("evaluate.own_stopped", times=STRIKES, reason=reasons.of(problem))
            raise
        self._strikes = 0
        if "value" not in answer:
            reason = reasons.original(answer["fault"])
            raise self._problem("evaluate.own_fault", row=number, line=answer["line"], reason=reason)
        return answer["value"]

    def _start(self) -> None:
        command = [sys.executable, "-m", _CHILD, str(os.getpid())]
        try:
            with open(os.devnull, "wb") as nowhere:  # what a metric prints is no answer
                self._child = Child(command, output=Output(errors=nowhere))
            question = {"source": self._source, "file": str(self._path)}
            answer = self._ask(question, LOAD_SECONDS, "_loading")
            if "fault" in answer:
                self.close()
                reason = reasons.original(answer["fault"])
                raise self._problem("evaluate.own_unfit", line=answer["line"], reason=reason)
        except OSError as error:
            self._unfit = self._problem("evaluate.own_no_process", reason=reasons.of(error))
            raise self._unfit from error
        except Problem as problem:
            self._unfit = problem
            raise

    def _ask(self, question: dict, seconds: float, step: str, **at: int) -> dict:
        """Return what its process answers. Raises Problem where it does not; the process is then ended.

        Args:
            step: the end of the keys of the faults.
            at: facts of where it is.
        """
        with contextlib.suppress(OSError):  # it ended, which the answer tells
            self._child.send(json.dumps(question).encode())
        until = time.monotonic() + seconds
        while (line := self._child.next_line(_LOOK_S)) == b"":
            if time.monotonic() > until:
                self.close()
                raise self._problem(f"evaluate.own_slow{step}", seconds=f"{seconds:g}", **at)
            if self._memory_bytes() > self._mib * 2**20:
                self.close()
                raise self._problem(f"evaluate.own_memory{step}", gib=f"{self._mib / 1024:g}", **at)
        if line is None or not line.endswith(b"\n"):
            time.sleep(_LOOK_S)  # its output ends before it does
            code = self._child.code
            self.close()
            raise self._problem(f"evaluate.own_ended{step}", code=reasons.of_end(code), **at)
        return json.loads(line)

    def _memory_bytes(self) -> int:
        try:
            return psutil.Process(self._child.pid).memory_info().rss
        except psutil.Error:
            return 0  # it ended, which the next look tells

    def _problem(self, key: str, **facts: object) -> Problem:
        return Problem(key, file=self._path.name, **facts)

"""What comes from outside is rendered, parsed or loaded in a child process with limits of time and memory, and never in
the studio's own.

```
render = "studio.models.chat_template_match.rendering:render"
limits = limited.Limits(file="chat_template.jinja", of="Qwen3-0.6B")
text = limited.call(render, source, messages, limits=limits)
soon = limited.call(..., stamp=(path, changed), wait=0.1)   # remembered by its stamp; PENDING where it takes longer
```

The children live long and know only light libraries (no torch), so that a call takes a millisecond. One that reaches a
limit is ended, and the next call starts another. Arguments and answers are JSON; what runs is a function of the studio
that is named by its place. What needs torch (`heavy=True`) has a child of its own, which takes seconds to start and is
ended when nobody needed it for a while.
"""

import atexit
import collections
import contextlib
import json
import math
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import psutil

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child, Output

CHILDREN = 2  # one that is busy with something slow must not hold up all others
HEAVY_IDLE_S = 120.0  # a child with torch holds some hundreds of MiB
REMEMBERED = 1024
ANSWER_BYTES = 32 * 2**20
WALL = 5  # a machine that is busy gives a child this many times the seconds of computing that it may take
FORGET_S = 60.0  # what failed by the state of the machine is tried again after so many seconds
POLL_S = 0.02
AT_ONCE_S = 5.0  # a child that is gone so soon after it was asked may have been dying before
PENDING = object()
PASSING = ("limited.waited", "limited.no_child")  # faults of the machine at this moment, not of what was read


@dataclass(frozen=True)
class Limits:
    """What a child may take, and what it reads.

    file: what is read, for the sentence that tells a limit. of: the model, dataset or run to which it belongs. seconds:
    of computing that it may take; WALL times as many by the clock. mib: of memory that it may take beside what the
    child has anyhow. heavy: whether the function needs torch.
    """

    file: str
    of: str
    seconds: float = 5
    mib: int = 1024
    heavy: bool = False

    def problem(self, key: str, **facts: object) -> Problem:
        """Return the fault of a limit that was reached."""
        size = f"{self.mib / 1024:g} GiB" if self.mib >= 1024 else f"{self.mib} MiB"
        return Problem(key, file=self.file, of=self.of, seconds=f"{self.seconds:g}", memory=size, **facts)


def call(
    target: str, *arguments: object, limits: Limits, stamp: Hashable | None = None, wait: float | None = None
) -> Any:
    """Return what `target` gives for these arguments, worked out in a child process.

    Args:
        target: "package.module:function" of the studio; arguments and answer are JSON.
        limits: what it may take.
        stamp: what changes when the answer may; answers, and limits that were reached, are remembered by it.
        wait: with a stamp, how many seconds to wait; PENDING is returned where there is no answer by then, and it is
            worked out on.

    Raises:
        Problem: a limit was reached, the function itself raised it, or it failed.
        ValueError: the function raised it, with its words.
    """

    def work():
        return (_heavy if limits.heavy else _pool).call(target, arguments, limits)

    return work() if stamp is None else _memory.get((target, stamp, limits.seconds, limits.mib), work, wait)


def forget() -> None:
    """Forget every remembered answer."""
    _memory.clear()


class _Memory:
    """Answers by their stamps, the last used kept. What nobody waits for is worked out by two threads, one thing after
    the other.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._answers: collections.OrderedDict[Hashable, tuple[Future, float]] = collections.OrderedDict()
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()

    def get(self, key: Hashable, work: Callable, wait: float | None):
        """Return the answer of that key, worked out now where it is not known. Raises what the work raised."""
        with self._lock:
            answer, began = self._answers.get(key, (None, 0.0))
            new = answer is None or _passed(answer, began)
            if new:
                answer = Future()
                self._answers[key] = (answer, time.monotonic())
                while len(self._answers) > REMEMBERED:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(key)
        if new and wait is None:
            _fulfil(answer, work)
        elif new:
            self._tasks.put((answer, work))
            self._start_workers()
        try:
            return answer.result(wait)
        except TimeoutError:
            return PENDING
        except Problem as problem:
            raise Problem(
                problem.key, **problem.facts
            ) from None  # each who asks gets one of his own, without the frames of others

    def _start_workers(self) -> None:
        with self._lock:
            while len(self._workers) < CHILDREN:
                worker = threading.Thread(target=self._work, name=f"limited-{len(self._workers)}", daemon=True)
                worker.start()
                self._workers.append(worker)

    def _work(self) -> None:
        while True:
            _fulfil(*self._tasks.get())


def _fulfil(answer: Future, work: Callable) -> None:
    try:
        answer.set_result(work())
    except Exception as fault:  # told to each who asks
        answer.set_exception(fault)


def _passed(answer: Future, began: float) -> bool:
    """Tell whether an answer says only how the machine was at that time, which was long ago."""
    if not answer.done() or time.monotonic() - began < FORGET_S:
        return False
    fault = answer.exception()
    return fault is not None and (not isinstance(fault, Problem | ValueError) or getattr(fault, "key", None) in PASSING)


class _Pool:
    """The children, started when they are needed. Those with torch are ended when nobody needed them for a while."""

    def __init__(self, children: int = CHILDREN, heavy: bool = False):
        self._idle: list[_LimitedChild] = []
        self._heavy, self._timer = heavy, None
        self._lock, self._places = threading.Lock(), threading.BoundedSemaphore(children)

    def call(self, target: str, arguments: tuple, limits: Limits):
        """Return what a child answers; one that reached a limit is ended. Raises as the module's `call` does."""
        with self._places:
            if child := self._waiting():
                # It may have been dying when it was taken. What the call itself does to a child, a new one shows.
                with contextlib.suppress(_DiedAtOnce):
                    return _opened(self._ask(child, target, arguments, limits), limits)
            return _opened(self._ask(_LimitedChild(limits, self._heavy), target, arguments, limits), limits)

    def _ask(self, child: "_LimitedChild", target: str, arguments: tuple, limits: Limits) -> dict:
        """Return a child's answer, after which it waits for the next call. Raises as `_LimitedChild.ask`."""
        try:
            answer = child.ask(target, arguments, limits)
        except BaseException:
            child.end()
            raise
        with self._lock:
            self._idle.append(child)
        if self._heavy:
            self._end_later()
        return answer

    def _end_later(self) -> None:
        with self._lock:
            if self._timer:
                self._timer.cancel()
            self._timer = threading.Timer(HEAVY_IDLE_S, self.end)
            self._timer.daemon = True
            self._timer.start()

    def _waiting(self) -> "_LimitedChild | None":
        """Return a child that waits for work, None where there is none."""
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None or child.alive():
                return child
            child.end()

    def end(self) -> None:
        """End the children that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()


def _opened(answer: dict, limits: Limits):
    """Return the result in a child's answer. Raises what the answer says instead."""
    if "problem" in answer:
        raise Problem(answer["problem"], **answer["facts"])
    if "refused" in answer:
        raise ValueError(answer["refused"])
    if "fault" in answer:
        raise limits.problem("limited.failed", reason=reasons.original(answer["fault"]))
    return answer["result"]


class _DiedAtOnce(Problem):
    """A child was gone before it can have done much of what it was asked."""


class _LimitedChild:
    """One process; `ask` may be called by one thread at a time."""

    def __init__(self, limits: Limits, heavy: bool = False):
        self._errors = tempfile.TemporaryFile()
        environment = os.environ | {
            "PYTHONIOENCODING": "utf-8",
            "TOKENIZERS_PARALLELISM": "false",
            "RAYON_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "TQDM_DISABLE": "1",
        }
        command = [sys.executable, "-m", "studio.core.processes.limited_child", str(os.getpid())]
        try:
            self._child = Child(
                [*command, *(["heavy"] if heavy else [])],
                output=Output(errors=self._errors, longest_line=ANSWER_BYTES + 1024),
                environment=environment,
                own_session=False,
            )
            self._watched = psutil.Process(self._child.pid)
        except (OSError, psutil.Error) as error:
            raise limits.problem("limited.no_child", reason=reasons.of(error)) from error
        # Its first word says that it is ready; starting is not counted against what it is to read.
        if self._child.next_line() is None:
            raise limits.problem("limited.no_child", reason=reasons.original(self._last_words()))

    def alive(self) -> bool:
        return self._child.code is None

    def end(self) -> None:
        """End it, whatever it is at."""
        self._child.end()
        self._errors.close()

    def ask(self, target: str, arguments: tuple, limits: Limits) -> dict:
        """Return the child's answer. Raises Problem where a limit is reached; the child must then be ended."""
        began, used, taken = time.monotonic(), self._cpu_seconds(), self._memory_bytes()
        question = {"target": target, "arguments": arguments, "seconds": limits.seconds, "mib": limits.mib}
        try:
            self._child.send(json.dumps(question).encode())
        except OSError:
            raise self._died(limits, began) from None
        until, pause = began + WALL * limits.seconds, POLL_S
        while True:
            if (line := self._child.next_line(pause)) is None:
                raise self._died(limits, began)
            if line:
                return self._heard(line, limits)
            pause = min(0.1, pause * 1.5)
            if self._cpu_seconds() - used > limits.seconds:
                raise limits.problem("limited.too_slow")
            if self._memory_bytes() - taken > limits.mib * 2**20:
                raise limits.problem("limited.too_large")
            if time.monotonic() > until:
                raise limits.problem("limited.waited")

    def _heard(self, line: bytes, limits: Limits) -> dict:
        if not line.endswith(b"\n"):
            raise limits.problem("limited.too_long")
        answer = json.loads(line)
        if "limit" in answer:
            raise limits.problem(answer["limit"])
        return answer

    def _died(self, limits: Limits, began: float) -> Problem:
        code, words = self._child.wait(), self._last_words()
        if "memory allocation" in words or "MemoryError" in words or "bad_alloc" in words:
            return limits.problem("limited.too_large")
        if sys.platform != "win32" and -code == _signal("SIGXCPU"):
            return limits.problem("limited.too_slow")
        told = limits.problem("limited.failed", reason=reasons.of_end(code, words))
        return _DiedAtOnce(told.key, **told.facts) if time.monotonic() - began < AT_ONCE_S else told

    def _last_words(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            size = self._errors.seek(0, 2)
            self._errors.seek(max(0, size - 4096))
            lines = self._errors.read().decode("utf-8", "replace").split("\n")
            return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
        return ""

    def _cpu_seconds(self) -> float:
        try:
            times = self._watched.cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system

    def _memory_bytes(self) -> int:
        try:
            return self._watched.memory_info().rss
        except psutil.Error:
            return 0


def _signal(name: str) -> int:
    import signal

    return int(getattr(signal, name, -1))


def limit_process(seconds: float, mib: int) -> None:
    """Make the system itself hold this process to so much more computing and memory, where it can; the studio watches
    besides.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _soft(resource.RLIMIT_CPU, math.ceil(spent + seconds) + 2)
    with contextlib.suppress(psutil.Error):
        _soft(resource.RLIMIT_AS, psutil.Process().memory_info().vms + mib * 2**20)


def _soft(kind: int, value: int) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    # Some systems refuse some of them, and then what the studio watches is all there is.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


_memory, _pool, _heavy = _Memory(), _Pool(), _Pool(1, heavy=True)
atexit.register(_pool.end)
atexit.register(_heavy.end)

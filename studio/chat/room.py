"""The chat: who is loaded, and one question to all of them at once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from studio.chat.answer import Answer, Batch, Row, Sampling, Seat, failed
from studio.chat.resident import Resident, as_problem
from studio.chat.speaker import Base, Speaker, weight_files
from studio.core.device_lease import Freed, free_memory
from studio.core.i18n import Problem
from studio.core.storage.folders import size_of

Report = Callable[[str, float], None]
LOOK_S = 0.08  # between two looks at answers that grow: who looks takes the processor from who answers


class Chat:
    """The speakers in memory. Loading, unloading and asking may come from any thread."""

    def __init__(self) -> None:
        self._residents: dict[Base, Resident] = {}
        self._seats: dict[Speaker, Seat] = {}
        self._lock = threading.RLock()

    def speakers(self) -> list[Speaker]:
        """Return who can be asked now."""
        return list(self._seats)

    def memory_bytes(self) -> int:
        """Return the bytes that all weights of the chat take, shared ones once."""
        return sum(resident.memory_bytes() for resident in list(self._residents.values()))

    def bytes_needed(self, speakers: list[Speaker]) -> int:
        """Return about how many bytes these speakers will take, by the size of their files; one in 4 or 8 bits takes
        its share.

        Raises:
            Problem: a folder of weights is gone.
        """
        folders = {(speaker.base, speaker.base.folder): (speaker.bits or 16) / 16 for speaker in speakers}
        folders |= {(speaker.base, speaker.adapter): 1.0 for speaker in speakers if speaker.adapter}
        return int(
            sum(share * sum(size_of(file) for file in weight_files(folder)) for (_, folder), share in folders.items())
        )

    def load(self, speakers: list[Speaker], report: Report = lambda key, fraction: None) -> None:
        """Make these the speakers. What is in memory and still wanted stays there; what is not goes first.

        Args:
            speakers: no two of one name.
            report: is told the key of a sentence and how much is done (0 to 1).

        Raises:
            Problem: one of them cannot be loaded; then nobody can be asked until a load succeeds, but what is in memory
                stays.
        """
        with self._lock:
            wanted: dict[Base, list[Speaker]] = {}
            for speaker in speakers:
                wanted.setdefault(speaker.base, []).append(speaker)
            self._seats = {}
            for base in [base for base in self._residents if base not in wanted]:
                report("chat.putting_away", 0.0)
                self._residents.pop(base).unload()
                free_memory()
            seats = {}
            for done, (base, group) in enumerate(wanted.items()):
                report("chat.loading_base", done / len(wanted))
                if base not in self._residents or not self._residents[base].loaded:
                    self._residents[base] = Resident(base)
                resident = self._residents[base]
                report("chat.loading_adapters", (done + 0.8) / len(wanted))
                resident.keep([speaker.adapter for speaker in group if speaker.adapter])
                seats |= {
                    speaker: Seat(speaker, resident, resident.adapter(speaker), resident.encoder(speaker))
                    for speaker in group
                }
            self._seats = {speaker: seats[speaker] for speaker in speakers}
            report("chat.loaded", 1.0)

    def unload(self) -> Freed:
        """End what is being answered, give up all weights, and return the memory in use before and after."""
        with self._lock:
            before = free_memory()
            for resident in self._residents.values():
                resident.unload()
            self._residents, self._seats = {}, {}
            after = free_memory()
            return Freed(before.memory_after, after.memory_after, before.gpu_after, after.gpu_after)

    def compare(
        self,
        speakers: list[Speaker],
        messages: list[list[dict]],
        system: str | None = None,
        sampling: Sampling = Sampling(),
        stop: threading.Event | None = None,
        tools: str = "",
    ) -> Iterator[list[Answer]]:
        """Ask every speaker, and yield all answers as they grow, in the order of `speakers`, the finished ones last.

        Speakers of one base answer in one batch. Those of different bases answer at the same time, each at its own
        pace; the few that cannot share a batch answer one after the other. Who stops reading, stops the answers.

        Args:
            messages: the conversation of each speaker, ending with the question (see `Encoder.encode`).
            stop: set it to end the answers within a token.
            tools: JSON of the tools that may be called, "" for none.

        Raises:
            Problem: nobody was asked, or every answer failed; where only some did, `Answer.fault` says why and the
                others go on.
        """
        if not speakers:
            raise Problem("chat.nobody")
        sampling.draw()
        asked, news, leave = time.perf_counter(), threading.Event(), threading.Event()
        said = [
            self._row(speaker, talk, system, sampling, tools) for speaker, talk in zip(speakers, messages, strict=True)
        ]
        rows = [one for one in said if isinstance(one, Row)]
        work = [
            partial(_answer, batches, sampling) for batches in _batches(rows, news, [leave, *([stop] if stop else [])])
        ]
        with side_by_side(work, leave) as over:
            while not over.wait(LOOK_S):
                if news.is_set():
                    news.clear()
                    yield _pictures(said, asked)
        answers = _pictures(said, asked)
        if any(answer.fault for answer in answers):
            free_memory()
        if all(answer.fault for answer in answers):
            raise answers[0].fault
        yield answers

    def _row(
        self, speaker: Speaker, messages: list[dict], system: str | None, sampling: Sampling, tools: str
    ) -> Row | Answer:
        with self._lock:
            seat = self._seats.get(speaker)
        try:
            if not seat:
                raise Problem("chat.not_loaded", speaker=speaker.name)
            return Row(seat, messages, system, sampling, tools)
        except Problem as fault:
            return failed(speaker.name, fault)


@contextmanager
def side_by_side(work: list[Callable[[], None]], leave: threading.Event) -> Iterator[threading.Event]:
    """Do all of `work` in threads of their own; give an event that is set when all are done. At the end of the block
    `leave` is set, and they are waited for."""
    left, over = set(range(len(work))), threading.Event()

    def do(number: int) -> None:
        try:
            work[number]()
        finally:
            left.discard(number)
            if not left:
                over.set()

    threads = [threading.Thread(target=do, args=(number,), name="chat", daemon=True) for number in range(len(work))]
    for thread in threads:
        thread.start()
    if not threads:
        over.set()
    try:
        yield over
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def _pictures(said: list[Row | Answer], asked: float) -> list[Answer]:
    return [one.answer(asked) if isinstance(one, Row) else one for one in said]


def _batches(rows: list[Row], news: threading.Event, stops: list[threading.Event]) -> list[list[Batch]]:
    """Return for each base the batches it has to answer: first all rows that can share one, then the others one by one.

    One with images goes by itself: the tensors of several have no common shape.
    """
    groups: dict[int, list[list[Row]]] = {}
    for row in rows:
        batches = groups.setdefault(id(row.resident), [[]])
        if row.resident.mixes(row.adapter) and not row.prompt.inputs:
            batches[0].append(row)
        else:
            batches.append([row])
    return [[Batch(batch, news, stops) for batch in batches if batch] for batches in groups.values()]


def _answer(batches: list[Batch], sampling: Sampling) -> None:
    for batch in batches:
        try:
            batch.run(sampling)
        except Problem as problem:
            fault = problem
        except Exception as error:
            fault = as_problem(error, "chat.failed", kind=type(error).__name__)
        else:
            continue
        for row in batch.rows:
            row.fail(fault)

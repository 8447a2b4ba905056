"""Lists of prompts: a list of prompts asked of every column at one go, each answer on disk as soon as it is there."""

import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from studio.chat.history import append_only
from studio.chat.history.chat_records import MOST_PROMPTS, AnsweredRow, PromptListFacts, StoredPromptList
from studio.chat.history.conversations import sampling_of
from studio.core.i18n import Problem, Reason
from studio.core.jobs import Job, Jobs, Places, sentence
from studio.core.plain import plain
from studio.core.storage import files, folders, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, safe_name, write_json
from studio.inference import target_names
from studio.inference.answer import Answer
from studio.inference.sampling import STANDARD, Sampling

KIND = "chat-sheet"
# So many prompts in a row that nobody could answer end the list: what is wrong is then not the prompts.
GIVE_UP_AFTER = 3
Ask = Callable[..., Iterator[list[Answer]]]


@dataclass(frozen=True)
class PromptList:
    """What is asked of whom, kept in `<id>.json`. prompts: {"prompt", "system"}, where "" takes the list's own system
    prompt.
    """

    id: str
    columns: list[str]
    prompts: list[dict]
    system: str = ""
    tools: str = ""
    settings: dict = field(default_factory=lambda: asdict(Sampling()))
    title: str = ""
    created: float = field(default_factory=time.time)
    job: str = ""
    bits: int | None = None


class PromptLists:
    """The prompt lists of a workspace, in `saves/.chats/sheets/`.

    Args:
        ask: `ask({column: messages}, system, sampling, stop, tools, bits)` yields the answers of all columns as they
            grow, the finished
            ones last (see `InferenceService.ask`). A column that fails says so in its answer.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs, ask: Ask):
        self.workspace, self._jobs, self._ask = workspace, jobs, ask
        self.folder = workspace.saves / ".chats" / "sheets"
        self._files: FileCache[PromptList | Problem] = FileCache()
        self._answered: FileCache[tuple[dict[int, dict[str, dict]], int]] = FileCache(1)
        jobs.offer(KIND, self._work, facts=PromptListFacts)
        jobs.places(
            KIND, Places(reads=lambda facts: target_names.folders(workspace, self.open(facts["sheet"]).columns))
        )

    def start(
        self,
        columns: list[str],
        prompts: list[dict],
        sampling: Sampling = STANDARD,
        system: str = "",
        tools: str = "",
        bits: int | None = None,
    ) -> Job:
        """Queue a new list and return its job, whose facts name the list.

        Args:
            prompts: {"prompt", "system"}; see `typed` and `of_dataset`.
            bits: 4 or 8 to load the models of this machine quantised.

        Raises:
            Problem: nobody is to answer, there are no prompts or too many, a setting is out of range, or the disk
                refuses.
        """
        if not columns:
            raise Problem("chat.nobody")
        if not 1 <= len(prompts) <= MOST_PROMPTS:
            raise Problem("sheet.no_prompts", most=MOST_PROMPTS)
        sampling.check()
        id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        title = prompts[0]["prompt"].strip().split("\n")[0][:60]
        prompt_list = PromptList(id, list(columns), list(prompts), system, tools, asdict(sampling), title, bits=bits)
        path = self.folder / f"{id}.json"
        records.typed(asdict(prompt_list), StoredPromptList, path.name)  # what could not be read again is not written
        write_json(path, asdict(prompt_list))
        job = self._jobs.start(KIND, "sheet.job", {"sheet": id, "title": title, "count": len(prompts)})
        write_json(path, asdict(prompt_list) | {"job": job.id})
        return job

    def resume(self, id: str) -> Job:
        """Take a stopped, failed or interrupted list up where it stood, and return its job. Raises Problem where it
        cannot be.
        """
        return self._jobs.resume(self.open(id).job)

    def job(self, id: str) -> Job | None:
        """Return the job of a list, None where its record is gone. Raises Problem where there is no such sheet."""
        job = self.open(id).job
        return next((one for one in self._jobs.all(KIND) if one.id == job), None)

    def all(self) -> list[PromptList]:
        """Return the lists, newest first; see `faults` for those that cannot be read."""
        return sorted(
            (one for one in self._all() if isinstance(one, PromptList)),
            key=lambda prompt_list: prompt_list.created,
            reverse=True,
        )

    def faults(self) -> list[Problem]:
        """Return why files of lists cannot be read, one for each."""
        return [one for one in self._all() if isinstance(one, Problem)]

    def _all(self) -> list[PromptList | Problem]:
        lists = [(path, self._read(path)) for path in folders.matching(self.folder, "*.json")]
        return [one for path, one in lists if isinstance(one, PromptList) or os.path.lexists(path)]

    def _read(self, path: Path) -> PromptList | Problem:
        return self._files.get(path, [path], lambda: _read(path))

    def open(self, id: str) -> PromptList:
        """Return a list. Raises Problem where there is none, or it cannot be read."""
        path = self.folder / f"{safe_name(id)}.json"
        if not files.exists(path):
            raise Problem("sheet.missing", sheet=id)
        stored = self._read(path)
        if isinstance(stored, Problem):
            raise Problem(stored.key, **stored.facts)
        return stored

    def delete(self, id: str) -> None:
        """Move a list with its answers into the trash. Raises Problem while it is at work, where there is none, or the
        disk refuses.
        """
        job = self.job(id)
        if job and job.active:
            raise Problem("sheet.busy")
        files = [self.folder / f"{safe_name(id)}.json", self._file(id)]
        Trash(self.workspace).put(
            [path for path in files if os.path.lexists(path)], "prompts", self.open(id).title or id
        )

    def answers(self, id: str) -> dict[int, dict[str, dict]]:
        """Return for each prompt (from 0) that was asked the answers by column: {text, tokens, first_token_s,
        tokens_per_s, finished, calls, fault}, where fault is None or a sentence as {"key", "facts"}. Raises Problem
        where they cannot be read."""
        return dict(self._answers(id)[0])

    def unreadable(self, id: str) -> int:
        """Return how many lines of a list's answers are none. Raises Problem where they cannot be read."""
        return self._answers(id)[1]

    def _answers(self, id: str) -> tuple[dict[int, dict[str, dict]], int]:
        path = self._file(id)
        return self._answered.get(path, [path], lambda: _read_answers(path))

    def _file(self, id: str) -> Path:
        return self.folder / f"{safe_name(id)}.jsonl"

    def _work(self, job: Job) -> dict:
        prompt_list = self.open(job.facts["sheet"])
        done = {row for row, answers in self.answers(prompt_list.id).items() if _is_answered(answers)}
        count, failed = len(prompt_list.prompts), 0
        for row in (row for row in range(count) if row not in done):
            job.check()
            job.report(len(done) / count, "sheet.progress", done=len(done), count=count)
            answers = self._ask_row(job, prompt_list, prompt_list.prompts[row])
            append_only.append(
                self._file(prompt_list.id), {"row": row, "answers": {one.target: _as_record(one) for one in answers}}
            )
            done.add(row)
            failed = 0 if any(one.finished != "failed" for one in answers) else failed + 1
            if failed == GIVE_UP_AFTER:
                raise next((one.fault for one in answers if one.fault), None) or Problem(
                    "sheet.nobody_answers", count=failed
                )
        return {"sheet": prompt_list.id, "prompts": count}

    def _ask_row(self, job: Job, prompt_list: PromptList, prompt: dict) -> list[Answer]:
        """Return the whole answers to a prompt; while one is cut off because its model had to make room, all are asked
        for again. Raises Stopped where the job is stopped.
        """
        questions = {name: [{"role": "user", "content": prompt["prompt"]}] for name in prompt_list.columns}
        while True:
            answers = self._ask(
                questions,
                prompt.get("system") or prompt_list.system,
                Sampling(**prompt_list.settings),
                job.cancelled,
                prompt_list.tools,
                prompt_list.bits,
            )
            last = deque(answers, maxlen=1)
            job.check()  # what was cut off by that is asked when the list is taken up again
            if not last or all(one.finished != "stopped" for one in last[0]):
                return last[0] if last else []


def _read_answers(path: Path) -> tuple[dict[int, dict[str, dict]], int]:
    rows, unreadable = append_only.read(path, AnsweredRow)
    answers = {
        one.row: {name: answer.model_dump(by_alias=True) for name, answer in one.answers.items()} for one in rows
    }
    return answers, unreadable


def _read(path: Path) -> PromptList | Problem:
    try:
        stored = records.load(path, StoredPromptList)
    except Problem as fault:
        return fault
    if stored.id != path.stem:
        return Problem(
            "records.wrong_field", file=path.name, field="id", reason=Reason("reasons.other_id", id=stored.id[:100])
        )
    return PromptList(**stored.model_dump() | {"settings": sampling_of(stored.settings)})


def _is_answered(answers: dict[str, dict]) -> bool:
    """Tell whether a row is done: no answer was cut off, as an earlier release kept it, and somebody answered."""
    ends = {one.get("finished") for one in answers.values()}
    return "stopped" not in ends and bool(ends - {"failed"})


def _as_record(answer: Answer) -> dict:
    fault = sentence(answer.fault.key, answer.fault.facts) if answer.fault else None
    return plain(
        {
            "text": answer.text,
            "tokens": answer.tokens,
            "first_token_s": answer.first_token_s,
            "tokens_per_s": answer.tokens_per_s,
            "finished": answer.finished,
            "calls": list(answer.calls),
            "fault": fault,
        }
    )

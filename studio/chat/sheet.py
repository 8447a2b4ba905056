"""Prompt sheets: a list of prompts asked of every column at one go, each answer on disk as soon as it is there."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from studio.chat import lines
from studio.chat.answer import Answer, Sampling
from studio.chat.conversation import sampling_of
from studio.chat.stored import MOST_PROMPTS, AnsweredRow, SheetFacts, StoredSheet
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs, sentence
from studio.core.plain import plain
from studio.core.storage import files, folders, records
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, safe_name, write_json
from studio.datasets.registry.collection import Collection
from studio.datasets.schema.observed_schema import Shape

KIND = "chat-sheet"
# So many prompts in a row that nobody could answer end the sheet: what is wrong is then not the prompts.
GIVE_UP_AFTER = 3
Ask = Callable[..., Iterator[list[Answer]]]


@dataclass(frozen=True)
class Sheet:
    """What is asked of whom, kept in `<id>.json`. prompts: {"prompt", "system"}, where "" takes the sheet's own system
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


class Sheets:
    """The prompt sheets of a workspace, in `saves/.chats/sheets/`.

    Args:
        ask: `ask({column: messages}, system, sampling, stop, tools, bits)` yields the answers of all columns as they
            grow, the finished
            ones last (see `Table.ask`). A column that fails says so in its answer.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs, ask: Ask):
        self._workspace, self._jobs, self._ask = workspace, jobs, ask
        self.folder = workspace.saves / ".chats" / "sheets"
        self._files: dict[Path, tuple[tuple[int, int, int], Sheet | Problem]] = {}
        self._answered: dict[Path, tuple[tuple[int, int, int], dict, int]] = {}
        jobs.offer(KIND, self._work, facts=SheetFacts)

    def start(
        self,
        columns: list[str],
        prompts: list[dict],
        sampling: Sampling = Sampling(),
        system: str = "",
        tools: str = "",
        bits: int | None = None,
    ) -> Job:
        """Queue a new sheet and return its job, whose facts name the sheet.

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
        sampling.draw()
        id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        title = prompts[0]["prompt"].strip().split("\n")[0][:60]
        sheet = Sheet(id, list(columns), list(prompts), system, tools, asdict(sampling), title, bits=bits)
        write_json(self.folder / f"{id}.json", asdict(sheet))
        job = self._jobs.start(KIND, "sheet.job", {"sheet": id, "title": title, "count": len(prompts)})
        write_json(self.folder / f"{id}.json", asdict(sheet) | {"job": job.id})
        return job

    def resume(self, id: str) -> Job:
        """Take a stopped, failed or interrupted sheet up where it stood, and return its job. Raises Problem where it
        cannot be.
        """
        return self._jobs.resume(self.open(id).job)

    def job(self, id: str) -> Job | None:
        """Return the job of a sheet, None where its record is gone. Raises Problem where there is no such sheet."""
        job = self.open(id).job
        return next((one for one in self._jobs.all(KIND) if one.id == job), None)

    def all(self) -> list[Sheet]:
        """Return the sheets, newest first; see `faults` for those that cannot be read."""
        return sorted(
            (one for one in self._all() if isinstance(one, Sheet)), key=lambda sheet: sheet.created, reverse=True
        )

    def faults(self) -> list[Problem]:
        """Return why files of sheets cannot be read, one for each."""
        return [one for one in self._all() if isinstance(one, Problem)]

    def _all(self) -> list[Sheet | Problem]:
        found = [(path, self._read(path)) for path in folders.matching(self.folder, "*.json")]
        return [one for path, one in found if isinstance(one, Sheet) or os.path.lexists(path)]

    def _read(self, path: Path) -> Sheet | Problem:
        stamp = files.stamp(path)
        if self._files.get(path, (None,))[0] != stamp or stamp[2] == 0:
            try:
                self._files[path] = (stamp, _read(path))
            except Problem as fault:
                self._files[path] = (stamp, fault)
        return self._files[path][1]

    def open(self, id: str) -> Sheet:
        """Return a sheet. Raises Problem where there is none, or it cannot be read."""
        path = self.folder / f"{safe_name(id)}.json"
        if not files.exists(path):
            raise Problem("sheet.missing", sheet=id)
        found = self._read(path)
        if isinstance(found, Problem):
            raise Problem(found.key, **found.facts)
        return found

    def delete(self, id: str) -> None:
        """Move a sheet with its answers into the trash. Raises Problem while it is at work, where there is none, or the
        disk refuses.
        """
        job = self.job(id)
        if job and job.active:
            raise Problem("sheet.busy")
        files = [self.folder / f"{safe_name(id)}.json", self._file(id)]
        Trash(self._workspace).put(
            [path for path in files if os.path.lexists(path)], "prompts", self.open(id).title or id
        )

    def answers(self, id: str) -> dict[int, dict[str, dict]]:
        """Return for each prompt (from 0) that was asked the answers by column: {text, tokens, first_token_s,
        tokens_per_s, finished, calls, fault}, where fault is None or a sentence as {"key", "facts"}. Raises Problem
        where they cannot be read."""
        return self._answers(id)[0]

    def unreadable(self, id: str) -> int:
        """Return how many lines of a sheet's answers are none. Raises Problem where they cannot be read."""
        return self._answers(id)[1]

    def _answers(self, id: str) -> tuple[dict[int, dict[str, dict]], int]:
        path = self._file(id)
        stamp = files.stamp(path)
        if self._answered.get(path, (None,))[0] != stamp:
            found, unreadable = lines.read(path, AnsweredRow)
            kept = {
                one.row: {name: answer.model_dump(by_alias=True) for name, answer in one.answers.items()}
                for one in found
            }
            self._answered = {path: (stamp, kept, unreadable)}
        return dict(self._answered[path][1]), self._answered[path][2]

    def _file(self, id: str) -> Path:
        return self.folder / f"{safe_name(id)}.jsonl"

    def _work(self, job: Job) -> dict:
        sheet = self.open(job.facts["sheet"])
        done = {row for row, answers in self.answers(sheet.id).items() if _somebody(answers)}
        count, failed = len(sheet.prompts), 0
        for row in (row for row in range(count) if row not in done):
            job.check()
            job.report(len(done) / count, "sheet.progress", done=len(done), count=count)
            answers = self._ask_row(sheet, sheet.prompts[row], job.cancelled)
            job.check()  # an answer that was cut off is asked again
            lines.append(self._file(sheet.id), {"row": row, "answers": {one.speaker: _kept(one) for one in answers}})
            done.add(row)
            failed = 0 if any(one.finished != "failed" for one in answers) else failed + 1
            if failed == GIVE_UP_AFTER:
                raise next((one.fault for one in answers if one.fault), None) or Problem(
                    "sheet.nobody_answers", count=failed
                )
        return {"sheet": sheet.id, "prompts": count}

    def _ask_row(self, sheet: Sheet, prompt: dict, stop: threading.Event) -> list[Answer]:
        talks = {name: [{"role": "user", "content": prompt["prompt"]}] for name in sheet.columns}
        answers: list[Answer] = []
        for answers in self._ask(
            talks, prompt.get("system") or sheet.system, Sampling(**sheet.settings), stop, sheet.tools, sheet.bits
        ):
            pass
        return answers


def typed(text: str) -> list[dict]:
    """Return the prompts that a person typed: one a line, or a JSON list of texts or of {"prompt", "system"}.

    Raises:
        Problem: the text looks like a JSON list and is none, or an item of it is no prompt.
    """
    if not text.lstrip().startswith("["):
        return [{"prompt": line.strip(), "system": ""} for line in text.splitlines() if line.strip()]
    try:
        listed = records.parse(text)
    except ValueError as error:
        raise Problem(
            "sheet.not_json", line=getattr(error, "lineno", 1), reason=getattr(error, "msg", error)
        ) from error
    prompts = []
    for number, item in enumerate(listed, 1):
        one = {"prompt": item} if isinstance(item, str) else item if isinstance(item, dict) else {}
        asked, system = one.get("prompt"), one.get("system") or ""
        if not isinstance(asked, str) or not asked.strip() or not isinstance(system, str):
            raise Problem("sheet.bad_item", number=number)
        prompts.append({"prompt": asked, "system": system})
    return prompts


def of_dataset(collection: Collection, name: str, first: int) -> list[dict]:
    """Return as prompts the first user message and the system prompt of the first rows of a registered dataset; rows
    without are left out.

    Raises:
        Problem: there is no such dataset on this disk, or it cannot be read.
    """
    shape = Shape.of(collection.find(name).entry)
    asked: list[dict] = []
    for offset in range(0, first, 1000):
        rows = collection.preview(name, offset, min(1000, first - offset))["rows"]
        asked += [prompt for row in rows if row is not None and (prompt := _first(row, shape))["prompt"].strip()]
        if not rows:
            break
    return asked


def _first(row: dict, shape: Shape) -> dict:
    def text(column: str) -> str:
        value = shape.value(row, column)
        return value if isinstance(value, str) else ""

    if shape.format == "alpaca":
        return {"prompt": "\n".join(part for part in (text("prompt"), text("query")) if part), "system": text("system")}
    role, content = shape.tags.get("role_tag", "from"), shape.tags.get("content_tag", "value")
    talk = shape.value(row, "messages")
    said = [message for message in talk if isinstance(message, dict)] if isinstance(talk, list) else []

    def first(tag: str) -> str:
        return next(
            (str(message.get(content) or "") for message in said if message.get(role) == shape.tags.get(tag)), ""
        )

    return {"prompt": first("user_tag"), "system": text("system") or first("system_tag")}


def _read(path: Path) -> Sheet:
    stored = records.load(path, StoredSheet)
    if stored.id != path.stem:
        raise Problem("records.wrong_field", file=path.name, field="id", reason=f"it is {stored.id[:100]}")
    return Sheet(**stored.model_dump() | {"settings": sampling_of(stored.settings)})


def _somebody(answers: dict[str, dict]) -> bool:
    return any(one.get("finished") != "failed" for one in answers.values())


def _kept(answer: Answer) -> dict:
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

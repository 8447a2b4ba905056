"""Writes that a studio acknowledges: made by several callers at once, remembered when they were answered, and looked
for afterwards.
"""

import http.client
import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.commands import MODEL
from benchmarks.faulty.victim import Refused, Tally, Victim

ROWS, CHATS = 12, 6
SETTINGS = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64, "seed": 0}
RECIPE = {"max_steps": 6, "cutoff_len": 64, "per_device_train_batch_size": 1, "save_steps": 2, "logging_steps": 1}
EXECUTORS = ("in-process", "worker")
Write = tuple[str, object, Callable[[Victim], object]]


class Ledger:
    """What was acknowledged, by what it is of. A write that was not answered may or may not have been done."""

    def __init__(self, workspace: Path, seed: int):
        self.workspace, self.chance = workspace, random.Random(seed)
        self.acknowledged: dict[str, object] = {}
        self.possible: dict[str, list] = {}
        self.count, self.number, self.refused = 0, 0, []
        self._lock = threading.Lock()
        seeded(workspace)

    def do(self, victim: Victim, write: Write) -> bool:
        """Do a write and remember it when it was answered; False where it was refused. Raises OSError where the studio
        is gone.
        """
        key, value, work = write
        with self._lock:
            self.possible.setdefault(key, []).append(value)
        try:
            work(victim)
        except Refused as refused:
            self.refused.append(f"{key}: {refused}")
            return False
        with self._lock:
            self.acknowledged[key], self.possible[key] = value, [one for one in self.possible[key] if one != value]
            self.count += 1
        return True

    def next(self) -> int:
        """Return a number that was never given."""
        with self._lock:
            self.number += 1
            return self.number

    def look(self, victim: Victim, tally: Tally, after: str) -> None:
        """Count what was acknowledged and is not there."""
        found = stored(victim, self.workspace)
        for key, value in list(self.acknowledged.items()):
            if found.get(key) != value and found.get(key) not in self.possible.get(key, []):
                tally.lost += 1
                tally.note(f"{after}: {key} is {found.get(key)!r}, acknowledged was {value!r}")
                del self.acknowledged[key]
        for key in self.possible:
            self.possible[key] = []
            if key in self.acknowledged:
                self.acknowledged[key] = found.get(key)


def seeded(workspace: Path) -> None:
    """Write what is edited: rows, and conversations of which each turn has two answers."""
    (workspace / "data" / "kept.json").write_text(
        json.dumps([{"instruction": f"{n}", "input": "", "output": "0"} for n in range(ROWS)])
    )
    info = json.loads((workspace / "data" / "dataset_info.json").read_text())
    (workspace / "data" / "dataset_info.json").write_text(json.dumps(info | {"kept": {"file_name": "kept.json"}}))
    chats = workspace / "saves" / ".chats"
    chats.mkdir(parents=True, exist_ok=True)
    for number in range(CHATS):
        id, columns = chat(number), ["a", "b"]
        messages = {
            name: [{"role": "user", "content": "Hi", "turn": 1}, {"role": "assistant", "content": name, "turn": 1}]
            for name in columns
        }
        whole = {
            "id": id,
            "columns": columns,
            "title": "0",
            "created": 1.0,
            "changed": 1.0,
            "settings": SETTINGS,
            "messages": messages,
        }
        (chats / f"{id}.json").write_text(json.dumps(whole))


def chat(number: int) -> str:
    """Return the id of a conversation that was there before."""
    return f"20261125-1200{number:02d}-abcdef"


def stored(victim: Victim, workspace: Path) -> dict[str, object]:
    """Return what the studio says that it holds, and of votes what stands on disk."""
    found = {}
    for offset in range(0, 10_000, 100):
        shown = victim.call("datasets_preview", "kept", offset, 100)["rows"]
        for row in filter(None, shown):
            added = row["instruction"].startswith("added")
            found[f"row {row['instruction']}"] = True if added else row["output"]
        if len(shown) < 100:
            break
    found |= {f"set {one['name'].rpartition('_')[2]}": one["name"] for one in victim.call("datasets_list")}
    found |= {f"title {one['id']}": one["title"] for one in victim.call("chat_conversations", "")}
    votes = workspace / "saves" / ".chats" / "votes.jsonl"
    for line in votes.read_bytes().splitlines() if votes.exists() else []:
        try:
            vote = json.loads(line)
        except ValueError:
            continue  # the line that a kill cut off
        found[f"vote {vote['conversation']}"] = vote["note"]
    for run in victim.call("train_runs"):
        info = json.loads((workspace / "saves" / run["run"] / "run.json").read_bytes())
        found |= {f"run {info.get('title')}": True, f"note {run['run']}": info.get("note")}
    return found


def writes(ledger: Ledger, part: int) -> Iterator[Write]:
    """Yield writes for one of three callers, each with things of its own."""
    mine_rows, mine_chats = range(part, ROWS, 3), range(part, CHATS, 3)
    while True:
        number, chance = ledger.next(), ledger.chance
        row, id = chance.choice(mine_rows), chat(chance.choice(mine_chats))
        value = {"instruction": str(row), "input": "", "output": str(number)}
        yield (
            f"row {row}",
            str(number),
            lambda to, row=row, value=value: to.call("datasets_edit_row", "kept", row + 1, value, None),
        )
        yield f"title {id}", f"t{number}", lambda to, id=id, number=number: to.call("chat_rename", id, f"t{number}")
        yield (
            f"vote {id}",
            f"v{number}",
            lambda to, id=id, number=number: to.call("chat_vote", id, 1, "a", f"v{number}"),
        )
        added = {"instruction": f"added {number}", "input": "", "output": "x"}
        if number % 4 == 0:
            yield f"row added {number}", True, lambda to, added=added: to.call("datasets_add_row", "kept", added, None)
        if number % 3 == 0:
            put_file(ledger.workspace, number)
            file, name = f"new_{number}.json", f"new_{number}"
            yield (
                f"set {number}",
                name,
                lambda to, file=file, name=name: to.call("datasets_register", file, name, None, None, None),
            )
            yield (
                f"set {number}",
                f"renamed_{number}",
                lambda to, number=number: to.call("datasets_rename", f"new_{number}", f"renamed_{number}"),
            )


def put_file(workspace: Path, number: int) -> None:
    """Put a file into the data folder, as a person does who will register it. Raises OSError where the disk is full."""
    (workspace / "data" / f"new_{number}.json").write_text(
        json.dumps([{"instruction": "a", "input": "", "output": "b"}])
    )


def begin_run(ledger: Ledger, victim: Victim, number: int) -> None:
    """Queue a run, in this process or a worker by turns, and give it a note. Raises OSError if the studio is gone."""
    executor = EXECUTORS[number % len(EXECUTORS)]
    made = []
    named = {"name": "Xiaoju", "author": "the studio", "title": f"run {number}"}
    recipe = RECIPE | {"model_name_or_path": MODEL}
    ledger.do(
        victim,
        (f"run run {number}", True, lambda to: made.append(to.call("train_start", recipe, executor, named)["run"])),
    )
    for run in made:
        ledger.do(victim, (f"note {run}", f"n{number}", lambda to, run=run: to.call("train_note", run, f"n{number}")))


def keep_writing(ledger: Ledger, victim: Victim, part: int) -> threading.Thread:
    """Start a caller that writes until the studio is gone."""

    def work() -> None:
        try:
            for write in writes(ledger, part):
                ledger.do(victim, write)
        except (OSError, http.client.HTTPException):
            return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread

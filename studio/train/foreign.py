"""Runs that LlamaBoard or the command line made in the same folder: read from LLaMA-Factory's own log, since they have no events."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from studio.core import files, jsonl, records
from studio.core.records import Record
from studio.train import events as own
from studio.train.stored.listing import LOG

NAMES = {"loss": "loss", "eval_loss": "eval_loss", "lr": "learning_rate", "reward": "reward", "accuracy": "rewards/accuracies",
         "throughput": "tokens_per_second"}
QUIET_S = 120
_CLOCK = re.compile(r"(?:(-?\d{1,6}) days?, )?(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")


def _measured(value: object) -> object:
    return None if value is None else own.measured(value)


Value = Annotated[float | str | None, BeforeValidator(_measured)]


class Entry(Record):
    """A line of LLaMA-Factory's log, as far as it is read."""

    current_steps: own.Step = 0
    total_steps: own.Step = 0
    epoch: Annotated[float, Field(allow_inf_nan=False)] | None = None
    elapsed_time: str | None = None
    loss: Value = None
    eval_loss: Value = None
    lr: Value = None
    reward: Value = None
    accuracy: Value = None
    throughput: Value = None


def events(folder: Path) -> list[dict]:
    """Return what the log of a foreign run says, in the words of our own events.

    The log keeps no times, so the file's own stand for the beginning and the end. For each line that is no entry there is `own.UNREADABLE`.
    """
    path = folder / LOG
    lines, _ = jsonl.read(path, last_too=True)
    entries = [entry for entry in map(_entry, lines) if entry]
    whole = [entry for entry in entries if isinstance(entry, Entry)]
    found = [own.UNREADABLE for entry in entries if entry is own.UNREADABLE]
    if not whole:
        return found
    ended = files.stamp(path)[1] / 1e9
    seconds = [_seconds(entry.elapsed_time) for entry in whole]
    began = max(0.0, ended - max(seconds))
    found += [{"time": began, "event": "state", "state": "preparing"}, {"time": began, "event": "state", "state": "running"}]
    for entry, after in zip(whole, seconds, strict=True):
        values = {ours: value for theirs, ours in NAMES.items() if (value := getattr(entry, theirs)) is not None}
        found.append({"time": began + after, "event": "metrics", "step": entry.current_steps, "epoch": entry.epoch,
                      "total_steps": whole[-1].total_steps, "values": values})
    return found


def state(folder: Path, step: int, total: int, quiet: float) -> str:
    """Return the state of a foreign run: one that has not reached its last step and wrote nothing for two minutes counts as interrupted."""
    if files.is_file(folder / "train_results.json") or step >= (total or 1):
        return "finished"
    return "running" if quiet < QUIET_S else "interrupted"


def _entry(line: bytes | None) -> "Entry | dict | None":
    if line is None:
        return own.UNREADABLE
    try:
        return Entry.model_validate(records.parse(line))
    except ValidationError:
        return own.UNREADABLE
    except ValueError:
        return None if jsonl.is_torn(line) else own.UNREADABLE


def _seconds(text: str | None) -> float:
    """Return the seconds of LLaMA-Factory's elapsed time, `1 day, 2:03:04` or `2:03:04`; 0 for what is none."""
    if not (match := _CLOCK.fullmatch((text or "").strip())):
        return 0.0
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds

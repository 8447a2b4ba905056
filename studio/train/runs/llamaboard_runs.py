"""Runs that LlamaBoard or the command line made in the same folder: read from LLaMA-Factory's own log, since they have
no events.

Where that log is missing, as in a folder that holds only checkpoints, the trainer's state stands for it.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from studio.core import formatting
from studio.core.i18n import Problem
from studio.core.storage import files, jsonl, records
from studio.core.storage.records import Record
from studio.train.runs import events as own
from studio.train.runs.stored.listing import LOG, TRACES, checkpoint_folders

NAMES = {
    "loss": "loss",
    "eval_loss": "eval_loss",
    "lr": "learning_rate",
    "reward": "reward",
    "accuracy": "rewards/accuracies",
    "throughput": "tokens_per_second",
}
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


STATE = "trainer_state.json"


class TrainerState(Record):
    """What transformers' trainer writes of itself beside the weights."""

    global_step: own.Step = 0
    max_steps: own.Step = 0
    log_history: list[dict[str, object]] = []


def source(folder: Path) -> Path:
    """Return the file that tells of another program's run's steps, the best that is there; where there is none,
    another trace of it.
    """
    places = [folder, *reversed(checkpoint_folders(folder))]
    logs = [folder / LOG, *(place / STATE for place in places)]
    traces = [place / name for place in places for name in TRACES]
    return next((path for path in (*logs, *traces) if files.is_file(path)), folder / LOG)


def events(folder: Path) -> list[dict[str, object]]:
    """Return what is told of another program's run's steps, in the words of our own events.

    No times are kept there, so the file's own stand for the beginning and the end. For each line that is no entry there
    is `own.UNREADABLE`.
    """
    path = source(folder)
    if path.name == LOG:
        return _of_log(path)
    return _of_state(path) if path.name == STATE else []


def _of_state(path: Path) -> list[dict[str, object]]:
    ended = files.stamp(path)[1] / 1e9
    try:
        state = records.load(path, TrainerState)
    except Problem:
        return [own.UNREADABLE]
    found = [
        {"time": ended, "event": "state", "state": "preparing"},
        {"time": ended, "event": "state", "state": "running"},
    ]
    found += [{"time": ended, "event": "step", "step": state.global_step, "total_steps": state.max_steps}]
    for entry in state.log_history:
        values = {
            name: own.measured(value)
            for name, value in entry.items()
            if name not in ("epoch", "step") and isinstance(value, (int, float))
        }
        step, epoch = entry.get("step"), entry.get("epoch")
        if isinstance(step, int) and 0 <= step <= own.MOST_STEPS:
            found.append(
                {
                    "time": ended,
                    "event": "metrics",
                    "step": step,
                    "epoch": formatting.finite(epoch),
                    "total_steps": state.max_steps,
                    "values": values,
                }
            )
    return found


def _of_log(path: Path) -> list[dict[str, object]]:
    lines, _ = jsonl.read(path, last_too=True)
    entries = [entry for entry in map(_entry, lines) if entry]
    whole = [entry for entry in entries if isinstance(entry, Entry)]
    found = [own.UNREADABLE for entry in entries if entry is own.UNREADABLE]
    if not whole:
        return found
    ended = files.stamp(path)[1] / 1e9
    seconds = [_seconds(entry.elapsed_time) for entry in whole]
    began = max(0.0, ended - max(seconds))
    found += [
        {"time": began, "event": "state", "state": "preparing"},
        {"time": began, "event": "state", "state": "running"},
    ]
    for entry, after in zip(whole, seconds, strict=True):
        values = {ours: value for theirs, ours in NAMES.items() if (value := getattr(entry, theirs)) is not None}
        found.append(
            {
                "time": began + after,
                "event": "metrics",
                "step": entry.current_steps,
                "epoch": entry.epoch,
                "total_steps": whole[-1].total_steps,
                "values": values,
            }
        )
    return found


def state(folder: Path, step: int, total: int, quiet: float) -> str:
    """Return the state of a run of another program: one that has not reached its last step and wrote nothing for
    two minutes counts as interrupted.

    The files at its top, which are written when training is over, end it too; an adapter or a model that somebody put
    there has no steps.
    """
    if any(files.is_file(folder / name) for name in ("train_results.json", STATE, "adapter_config.json")) or step >= (
        total or 1
    ):
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

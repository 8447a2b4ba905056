"""Runs that LlamaBoard or the command line made in the same folder: read from LLaMA-Factory's own log, since they have no events."""

import json
import time
from pathlib import Path

LOG = "trainer_log.jsonl"
NAMES = {"loss": "loss", "eval_loss": "eval_loss", "lr": "learning_rate", "reward": "reward", "accuracy": "rewards/accuracies",
         "throughput": "tokens_per_second"}
QUIET_S = 120


def events(folder: Path) -> list[dict]:
    """Return what the log of a foreign run says, in the words of our own events.

    The log keeps no times, so the file's own stand for the beginning and the end. A run whose log has not grown for two minutes and that
    has not reached its last step counts as interrupted.
    """
    path = folder / LOG
    entries = [entry for entry in map(_parse, path.read_text(encoding="utf-8", errors="replace").splitlines()) if entry]
    if not entries:
        return []
    total, ended = entries[-1].get("total_steps", 0), path.stat().st_mtime
    seconds = [_seconds(entry.get("elapsed_time")) for entry in entries]
    began = ended - max(seconds)
    found = [{"time": began, "event": "state", "state": "preparing"}, {"time": began, "event": "state", "state": "running"}]
    for entry, after in zip(entries, seconds, strict=True):
        values = {ours: entry[theirs] for theirs, ours in NAMES.items() if theirs in entry}
        found.append({"time": began + after, "event": "metrics", "step": entry.get("current_steps", 0), "epoch": entry.get("epoch"),
                      "total_steps": total, "values": values})
    found.append({"time": ended, "event": "state", "state": _state(folder, entries[-1], ended)})
    return found


def _state(folder: Path, last: dict, ended: float) -> str:
    if (folder / "train_results.json").exists() or last.get("current_steps", 0) >= last.get("total_steps", 1):
        return "finished"
    return "running" if time.time() - ended < QUIET_S else "interrupted"


def _parse(line: str) -> dict | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _seconds(text: object) -> float:
    """Return the seconds of LLaMA-Factory's elapsed time, `1 day, 2:03:04` or `2:03:04`."""
    days, _, clock = str(text or "0:00:00").rpartition(" day")
    parts = clock.split(", ")[-1].split(":")
    hours, minutes, rest = (float(part) for part in parts) if len(parts) == 3 else (0.0, 0.0, 0.0)
    return (float(days) if days else 0.0) * 86400 + hours * 3600 + minutes * 60 + rest

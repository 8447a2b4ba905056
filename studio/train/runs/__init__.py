"""Runs on disk: a folder each, `saves/<model>/<method>/<run>/`, and what can be read from it at any time, by anybody.

| what | where |
|---|---|
| one run and its files | run.py, stored/ |
| which runs there are, a new one | run_folders.py |
| state, progress and curves, from the events | progress.py, run_status.py, events.py |
| what a person does with runs that are over | manage_runs.py |
| checkpoints, adapters, what a model is made of | checkpoints.py, adapters.py, lineage.py |
| runs of LlamaBoard and the command line | llamaboard_runs.py |
"""

from studio.train.runs.progress import RunSummary, alive, forget, metrics, status, summary, written
from studio.train.runs.run import Run, has_weights
from studio.train.runs.run_folders import (
    all_runs,
    find,
    free_name,
    learned,
    make,
    make_named,
    remove_half_written,
    require_free,
    usable_and_odd,
)
from studio.train.runs.run_status import ACTIVE, Status

__all__ = [
    "ACTIVE",
    "Run",
    "RunSummary",
    "Status",
    "alive",
    "all_runs",
    "find",
    "forget",
    "free_name",
    "has_weights",
    "learned",
    "make",
    "make_named",
    "metrics",
    "remove_half_written",
    "require_free",
    "status",
    "summary",
    "usable_and_odd",
    "written",
]

"""A merge from the first look to the model in its place: made beside it, verified, and only then moved."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from studio.core import reasons
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.processes import memory_faults
from studio.core.storage import folders
from studio.core.storage.atomic import scratch, write_json
from studio.core.workspace import Workspace
from studio.export import child_run
from studio.export.merge import merge_plan as plans
from studio.export.merge.merge_plan import Plan
from studio.export.model_card import write_cards
from studio.export.record import ExportRecord, Verified
from studio.models.library import library, model_names
from studio.models.weights import completeness

_turns: dict[str, threading.Lock] = {}
_LOOK_S = 0.3


@contextlib.contextmanager
def turn(job: Job, name: str) -> Iterator[None]:
    """Wait until no other job merges a model of that name: runs are also merged on the way to other forms of them.
    Raises Stopped.
    """
    lock = _turns.setdefault(name.casefold(), threading.Lock())
    while not lock.acquire(timeout=_LOOK_S):
        job.check()
        job.report(None, "merge.waiting", name=name)
    try:
        yield
    finally:
        lock.release()


def merge(job: Job, workspace: Workspace, device: DeviceLease, plan: Plan) -> dict:
    """Merge, verify, and put the model in its place; returns {name, folder, verified}.

    Nothing is left where it fails, is stopped, or is killed: what is being made lies where no list looks.

    Raises:
        Problem: there is no room, LLaMA-Factory fails, or the merged model is not the same model.
        Stopped: the person stopped the job.
    """
    target = model_names.require_free(workspace, plan.name)
    plans.require_room(workspace, plan)
    needed = plans.size(workspace, plan).needed
    device.acquire(f"{child_run.HOLDER}{plan.name}", 2 * needed)
    try:
        with scratch(target) as made:
            folder = made / plan.name
            write_json(made / "plan.json", json.loads(plan.model_dump_json()))
            _run(job, "merge_child", made, folder, lambda: _report_bytes(job, folder, needed - plans.SPARE_BYTES))
            job.check()
            job.report(None, "merge.verifying")
            verified = _verify(job, made, folder)
            _finish(workspace, plan, folder, verified)
            job.check()
            with contextlib.suppress(FileNotFoundError):
                (made / "plan.json").unlink()
            model_names.put(folder, model_names.require_free(workspace, plan.name))
    finally:
        device.release(f"{child_run.HOLDER}{plan.name}")
    return {"name": plan.name, "folder": str(target), "verified": verified.model_dump()}


def _run(job: Job, module: str, made: Path, folder: Path, look: Callable[[], None]) -> str:
    """Run one of the two processes, and return its last line. Raises Problem where it fails."""
    command = [sys.executable, "-m", f"studio.export.merge.{module}", str(made / "plan.json"), str(folder)]
    log = made / f"{module}.log"
    code, last = child_run.follow(job, [*command, str(os.getpid())], log, _environment(), look)
    if code:
        raise _fault(module, code, last)
    return last


def _environment() -> dict[str, str]:
    # No library of a child may ask a hub for what lies on this disk.
    return os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def _fault(module: str, code: int, last: str) -> Problem:
    try:
        reason = json.loads(last)["fault"]
    except (ValueError, KeyError, TypeError):
        reason = last[:300]
    if code == -9:
        return Problem("merge.killed")
    if "No space left" in reason:
        return Problem("merge.disk_full")
    if memory_faults.says_so(reason):
        return Problem("forms.no_memory")
    key = "merge.failed" if module == "merge_child" else "merge.not_verified"
    return Problem(key, reason=reasons.of_end(code, reason))


def _report_bytes(job: Job, folder: Path, expected: int) -> None:
    written = folders.size_below(folder)
    # Loading takes about as long as writing, and shows no bytes.
    share = min(0.8, 0.1 + 0.7 * written / max(1, expected)) if written else 0.05
    job.report(share, "merge.writing" if written else "merge.loading", written=written / 2**30, total=expected / 2**30)


def _verify(job: Job, made: Path, folder: Path) -> Verified:
    """Return what the verification found. Raises Problem where the merged model is not the same model."""
    if fault := completeness.fault_of(library.scan(folder, folder.name)):
        raise fault if isinstance(fault, Problem) else Problem("merge.not_verified", reason="")
    values = json.loads(_run(job, "verify_child", made, folder, lambda: None))
    problems = values.pop("problems")
    if problems:
        key, facts = problems[0]
        raise Problem(key, **facts)
    return Verified.model_validate(values)


def _finish(workspace: Workspace, plan: Plan, folder: Path, verified: Verified) -> None:
    """Write what the model came from beside it: the record, and the model card in both languages."""
    record = ExportRecord.of(workspace, plan, verified)
    write_json(folder / "export.json", json.loads(record.model_dump_json()))
    write_cards(folder, record)

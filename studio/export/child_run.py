"""The steps of an export that run in processes of their own: how they are started, stopped, and tell what went wrong.

A child is `python -m studio.export... SPEC PARENT`: SPEC is a JSON file, and its last line is its result as JSON, or
`{"fault": "..."}`.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.processes import memory_faults
from studio.core.processes.child import Child, Output, end_with_parent
from studio.core.storage import files, records
from studio.core.storage.atomic import write_json

HOLDER = "export:"  # begins the name of an export among the holders of the device: several run at once
LOOK_S = 0.1
LOG_END = 64 * 2**10
FULL = 2**20  # bytes: a disk that has no more is full


class Spec(BaseModel):
    """What such a process is to do; written for it alone, and gone with it."""


def run(
    job: Job,
    module: str,
    spec: Spec,
    scratch: Path,
    look: Callable[[], None] = lambda: None,
    libraries: Sequence[Path] = (),
) -> dict:
    """Run a module of the export in a process, and return its result.

    Args:
        job: whose stop ends the process; what it prints goes into the job's log.
        spec: what the process is to do.
        scratch: where spec and log are written.
        look: is called while it works, to report.
        libraries: folders of packages that take the place of the studio's own.

    Raises:
        Problem: it failed, was killed, or the disk is full.
        Stopped: the person stopped the job.
    """
    name = f"{module.rpartition('.')[2]}-{time.monotonic_ns()}"
    described, log = scratch / f"{name}.json", scratch / f"{name}.log"
    write_json(described, json.loads(spec.model_dump_json()))
    command = [sys.executable, "-m", module, str(described), str(os.getpid())]
    # No library of a child may ask a hub for what lies on this disk.
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["TMPDIR"] = str(scratch)  # what a killed one leaves goes with the rest
    if libraries:
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        environment["PYTHONPATH"] = os.pathsep.join([*map(str, libraries), *inherited])
    code, last = follow(job, command, log, environment, look)
    if code:
        raise _fault(module, code, last, is_full=shutil.disk_usage(scratch).free < FULL)
    return json.loads(last)


def follow(
    job: Job, command: Sequence[str], log: Path, environment: Mapping[str, str], look: Callable[[], None]
) -> tuple[int, str]:
    """Run a command until it ends, and return its code and the last line that it printed; all goes into the job's log.

    Raises:
        Stopped: the person stopped the job.
    """
    with Child(command, output=Output(log=log), environment=environment) as child:
        while child.code is None:
            job.check()
            look()
            time.sleep(LOOK_S)
    text = files.end_of(log, LOG_END).decode("utf-8", "replace").strip()
    job.log(text)
    return child.code, text.splitlines()[-1] if text else ""


def main(work: Callable[[Path], dict]) -> None:
    """Be such a child: do the work on the spec, and print its result, or a fault, as the last line."""
    end_with_parent(int(sys.argv[2]))
    spec = Path(sys.argv[1]).resolve()
    os.chdir(spec.parent)  # gptqmodel writes its logs to where it runs
    try:
        result = work(spec)
    except Exception as error:  # of any library: told by the process that started this one
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        print("\n" + json.dumps({"fault": reason}), flush=True)
        sys.exit(1)
    print("\n" + json.dumps(result), flush=True)


def _fault(module: str, code: int, last: str, is_full: bool) -> Problem:
    value = records.parse_or(None, last)
    reason = str(value["fault"]) if isinstance(value, dict) and "fault" in value else last[:300]
    if code == -9:
        return Problem("forms.killed")
    if is_full or "No space left" in reason:  # llama.cpp says of a full disk that its stream failed
        return Problem("forms.disk_full")
    if memory_faults.says_so(reason):
        return Problem("forms.no_memory")
    for sign, key in _SIGNS.items():
        if sign in reason:
            return Problem(key, reason=reason)
    step = module.rpartition(".")[2].removesuffix("_child")
    return Problem("forms.failed", reason=reasons.of_end(code, reason), step=step)


_SIGNS = {
    "not supported!": "gguf_files.architecture",
    "is not supported": "gguf_files.architecture",
    "BPE pre-tokenizer was not recognized": "gguf_files.tokenizer",
    "importance matrix": "gguf_files.no_importance",
    "requires an imatrix": "gguf_files.no_importance",
    "no group size of": "quantize.width",
}

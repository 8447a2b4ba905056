"""Training one run in the process that calls: the same for every executor."""

import gc
import sys
import traceback
from pathlib import Path

import psutil

from studio.train import output
from studio.train.faults import explain
from studio.train.recorder import Stopped, StopWish, recorder
from studio.train.runs import Run, remove_half_written


def execute(run: Run, wish: StopWish, resume: Path | None = None) -> None:
    """Train `run` by its recipe until it is finished, stopped or failed, and write its last state.

    Args:
        run: its folder holds the recipe; all that is printed goes to its log.
        wish: looked at during training; see `StopWish`.
        resume: the checkpoint folder to go on from, or None to start at the beginning.
    """
    with output.kept_in(run.log_file):
        try:
            run.say("state", state="preparing", resumed_from=resume.name if resume else None)
            _train(run, wish, resume)
            last = {"state": "stopped", "saved": True} if wish.asked.is_set() else {"state": "finished"}
        except Stopped:
            last = {"state": "stopped", "saved": False}
        except BaseException as error:  # SystemExit too: LLaMA-Factory leaves by it, and the studio must live on
            last = _tell(run, error)
            del error
        _give_memory_back(run)
        _say_last(run, last)


def _train(run: Run, wish: StopWish, resume: Path | None) -> None:
    from llamafactory.train.tuner import run_exp

    recipe = {**run.recipe(), "disable_tqdm": True}
    if resume:
        recipe |= {"resume_from_checkpoint": str(resume), "overwrite_output_dir": False}
    run_exp(recipe, callbacks=[recorder(run, wish)])


def _tell(run: Run, error: BaseException) -> dict:
    """Print the traceback into the log, drop the frames (they hold tensors), and return the last state with the reason."""
    traceback.print_exception(error)
    problem = explain(error)
    _drop_frames(error)
    return {"state": "failed", "error": {"key": problem.key, "facts": problem.facts, "sentence": str(problem)}}


def _drop_frames(error: BaseException | None) -> None:
    while error is not None:
        if error.__traceback__:
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _give_memory_back(run: Run) -> None:
    before = psutil.Process().memory_info().rss
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()
    _trim_heap()
    print(f"memory of the process: {before / 2**20:.0f} MB before, {psutil.Process().memory_info().rss / 2**20:.0f} MB after collecting")


def _trim_heap() -> None:
    """Ask glibc to hand freed pages back to the system; other C libraries do so by themselves or not at all."""
    if sys.platform == "linux":
        import ctypes
        import ctypes.util

        libc = ctypes.CDLL(ctypes.util.find_library("c"))
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


def _say_last(run: Run, last: dict) -> None:
    """Write the last state; on a full disk make room first by removing the checkpoint that was being written."""
    error = last.pop("error", None)
    try:
        if error:
            run.say("error", **error)
        run.say("state", **last)
    except OSError:
        removed = remove_half_written(run)
        print(f"removed half-written {', '.join(removed) or 'nothing'} to make room for the last state")
        if error:
            run.say("error", **error)
        run.say("state", **last)

"""Training one run in the process that calls: the same for every executor."""

import traceback
from pathlib import Path

from studio.accelerator import give_back
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
        fault = None
        try:
            run.say("state", state="preparing", resumed_from=resume.name if resume else None)
            _train(run, wish, resume)
            last = {"state": "stopped", "saved": True} if wish.asked.is_set() else {"state": "finished"}
        except Stopped:
            last = {"state": "stopped", "saved": False}
        except BaseException as error:  # SystemExit too: LLaMA-Factory leaves by it, and the studio must live on
            last, fault = {"state": "failed"}, _tell(run, error)
        freed = give_back()
        print(f"memory of the process: {freed.memory_before / 2**20:.0f} MB before, {freed.memory_after / 2**20:.0f} MB after collecting")
        if fault:
            run.say("error", **fault)
        run.say("state", **last)


def _train(run: Run, wish: StopWish, resume: Path | None) -> None:
    from llamafactory.train.tuner import run_exp

    recipe = {**run.recipe(), "disable_tqdm": True}
    if resume:
        recipe |= {"resume_from_checkpoint": str(resume), "overwrite_output_dir": False}
    run_exp(recipe, callbacks=[recorder(run, wish)])


def _tell(run: Run, error: BaseException) -> dict:
    """Print the traceback into the log, drop the frames (they hold tensors), and return what is said of it."""
    traceback.print_exception(error)
    problem = explain(error)
    if problem.key == "train.disk_full":
        print("removed half-written:", ", ".join(remove_half_written(run)) or "nothing")  # also makes room for the last state
    _drop_frames(error)
    return {"key": problem.key, "facts": problem.facts, "sentence": str(problem)}


def _drop_frames(error: BaseException | None) -> None:
    while error is not None:
        if error.__traceback__:
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
        error = error.__cause__ or error.__context__

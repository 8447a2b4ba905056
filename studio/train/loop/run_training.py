"""Training one run in the process that calls: the same for every executor."""

import copy
import traceback
from functools import cache, wraps
from pathlib import Path

from studio.core import code_guard, llamafactory
from studio.core.device_lease import free_memory
from studio.core.processes.imported import imported
from studio.models.hub import logins
from studio.train.faults import explain, search
from studio.train.loop import output
from studio.train.loop.callback import training_callback
from studio.train.recipe import arguments, code_consent
from studio.train.runs import Run, remove_half_written
from studio.train.runs.stop_request import ABORT, INTERRUPT, Stopped, StopRequest


def run_training(run: Run, resume: Path | None = None, stop_request: StopRequest | None = None) -> str:
    """Train `run` by its recipe until it is finished, stopped, interrupted or failed; write its last state and return
    it.

    Args:
        run: its folder holds the recipe and the request to stop (see `StopRequest`); what is printed goes to its log.
        resume: the checkpoint folder to go on from, or None to start at the beginning.
        stop_request: that of whoever may interrupt the run because this process ends; one that nobody else has where
            none is given.
    """
    stop_request = stop_request or StopRequest(run.folder)
    remove_half_written(run)
    with output.kept_in(run.log_file):
        fault = None
        try:
            run.say("state", state="preparing", resumed_from=resume.name if resume else None)
            last = {"state": "stopped", "saved": True} if _train(run, stop_request, resume) else {"state": "finished"}
        except Stopped as end:
            last = {"state": "interrupted" if stop_request.asked() == INTERRUPT else "stopped", "saved": end.saved}
        except BaseException as error:  # SystemExit too: LLaMA-Factory leaves by it, and the studio must live on
            last, fault = {"state": "failed"}, _tell(run, error)
        _close_figures()
        _forget_optimizers()
        freed = free_memory()
        print(
            f"memory of the process: {freed.memory_before / 2**20:.0f} MB before, {freed.memory_after / 2**20:.0f} MB"
            " after collecting"
        )
        if fault:
            run.say("error", **fault)
        run.say("state", **last)
        return last["state"]


def _train(run: Run, stop_request: StopRequest, resume: Path | None) -> bool:
    """Train, and tell whether a request to stop ended it before its last step."""
    if stop_request.asked() == ABORT:
        raise Stopped
    # What is asked here was asked when the run was started; the files of the model, or of the run, may be others since.
    recipe = code_consent.settled(run.recipe(), otherwise=False)
    llamafactory.load()
    from llamafactory.train.tuner import run_exp

    code_guard.install()
    # The folder is the run's own from the first moment, so that files in it never stand in the way of a start. Its
    # recipe may have come from another place: it writes into no other folder, and goes on from no other checkpoint.
    recipe |= {
        "disable_tqdm": True,
        "overwrite_output_dir": resume is None,
        "output_dir": str(run.folder),
        "resume_from_checkpoint": str(resume) if resume else None,
    }
    for name in arguments.NEVER:
        recipe.pop(name, None)
    # A loss that is no number would otherwise be told as the average of those before it, which is 0 at each step.
    recipe.setdefault("logging_nan_inf_filter", False)
    _sum_losses_from_zero()
    if resume:
        _read_numbered_cpus()
    _restore_templates()
    callback = training_callback(run, stop_request)
    with logins.kept():
        run_exp(recipe, callbacks=[callback])
    return callback.stopped_early


@cache
def _read_numbered_cpus() -> None:
    """Let torch load an optimizer onto "cpu:0", as accelerate calls the CPU where several processes train and torch's
    loader does not.
    """
    llamafactory.load()
    from torch import serialization

    serialization.register_package(
        15, lambda storage: None, lambda storage, location: storage if location.startswith("cpu:") else None
    )


@cache
def _sum_losses_from_zero() -> None:
    """Let transformers begin the sum of the losses at 0 after each log, also where a loss was no number.

    It takes the sum from itself, which leaves NaN: one batch without a token to learn from, or one step that fp16
    skips, would make every later loss NaN.
    """
    llamafactory.load()
    from transformers import Trainer

    log = Trainer._maybe_log_save_evaluate

    @wraps(log)
    def summed_from_zero(trainer, tr_loss, *args, **kwargs):
        before = trainer._globalstep_last_logged
        log(trainer, tr_loss, *args, **kwargs)
        if trainer._globalstep_last_logged != before:
            tr_loss.zero_()

    Trainer._maybe_log_save_evaluate = summed_from_zero


def _close_figures() -> None:
    # LLaMA-Factory draws the loss on a figure that it never closes; pyplot keeps every open one, 4 MB a run.
    if pyplot := imported("matplotlib.pyplot"):
        pyplot.close("all")


def _forget_optimizers() -> None:
    """Let go of the modules whose optimizers bitsandbytes was told to keep in 32 bits.

    transformers tells it of the embeddings of every run with an 8-bit optimizer, and it keeps them as long as the
    process lives: 86 to 172 MB of the card for each run, measured with a model of half a billion parameters.
    """
    if optimizers := imported("bitsandbytes.optim"):
        optimizers.GlobalOptimManager.get_instance().initialize()


def _restore_templates() -> None:
    """Put LLaMA-Factory's templates back as they were shipped: a run changes them in place (`default_system`,
    `enable_thinking`).
    """
    llamafactory.load()
    from llamafactory.data.template import TEMPLATES

    TEMPLATES.update(copy.deepcopy(_shipped_templates()))


@cache
def _shipped_templates() -> dict[str, object]:
    llamafactory.load()
    from llamafactory.data.template import TEMPLATES

    return copy.deepcopy(TEMPLATES)


def _tell(run: Run, error: BaseException) -> dict[str, object]:
    """Print the traceback into the log, drop the frames (they hold tensors), and return what is said of it."""
    traceback.print_exception(error)
    recipe = run.recipe_if_any()
    problem = explain(error, recipe)
    if problem.key == "train.disk_full":
        print(
            "removed half-written:", ", ".join(remove_half_written(run)) or "nothing"
        )  # also makes room for the last state
    _drop_frames(error)
    problem = search.better(problem, recipe, run.folder)
    return {"key": problem.key, "facts": problem.facts, "sentence": str(problem)}


def _drop_frames(error: BaseException | None) -> None:
    while error is not None:
        if error.__traceback__:
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
        error = error.__cause__ or error.__context__

"""The largest batch that fits: real training steps at the full length, in a process of their own, until one does not
fit.

`python -m studio.train.execution.batch_search PLAN.json` is the child: it trains one step with each batch size in
turn, each on made-up rows that fill the cutoff length, and appends what it saw to the file the plan names. The parent
doubles the size until the child runs out of memory, is killed, leaves too little for the rest of the machine, or takes
too long for one step.
"""

import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import Field

from studio.core import llamafactory, reasons
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Job
from studio.core.processes.child import Child, Output
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.records import Record
from studio.core.workspace import Workspace, write_json
from studio.models.hub import logins
from studio.models.library import library
from studio.train.recipe import recipes
from studio.train.runs import adapters

KIND = "batch"  # of the job
MOST = 256
LAST_WORDS = 4096  # bytes at the end of a log in which its last line is looked for
STEP_LIMIT_S = 90
SPARE = 0.08
WORD = "many "
ELSEWHERE = ("ppo",)  # trained in an environment of its own
# The settings that a search is of: with others of these another batch fits.
SUBJECT = ("model_name_or_path", "stage", "finetuning_type", "quantization_bit", "cutoff_len")
# What a recipe says of its own data, of measuring and of what becomes of the run: the one step has made-up rows and
# measures nothing.
APART = {
    "eval_dataset",
    "tokenized_path",
    "mix_strategy",
    "max_samples",
    "streaming",
    "buffer_size",
    "dataset_shards",
    "media_dir",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "early_stopping_steps",
    "eval_steps",
    "eval_delay",
    "eval_on_start",
    "eval_on_each_dataset",
    "do_eval",
    "do_predict",
    "predict_with_generate",
    "compute_accuracy",
    "save_total_limit",
    "push_to_hub",
    "use_swanlab",
    "resume_from_checkpoint",
    "dataloader_prefetch_factor",
    "dataloader_persistent_workers",
    "enable_torch_profiler",
}


class TriedBatch(Record):
    """A batch size that trained a step: the step's seconds and the most memory in GiB."""

    batch: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    gib: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LargestBatch(Record):
    """The result of a search: the largest size that trained, 0 for none, all that were tried, and why it ended."""

    batch: Annotated[int, Field(ge=0)]
    tried: list[TriedBatch]
    reason: str


class MeasuredStep(Record):
    """What the child measured of one size: the figures, or the reason why it did not end well."""

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    gib: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    reason: str | None = None
    fault: Sentence | None = None


def trainable_recipe(workspace: Workspace, overrides: dict[str, object]) -> dict[str, object]:
    """Return the whole recipe that `overrides` come to; they may name runs and models. Raises Problem where it cannot
    be trained, or not in this environment.
    """
    recipe = recipes.complete(workspace, adapters.resolved(workspace, overrides), recipes.this_machine())
    if recipe["stage"] in ELSEWHERE:
        raise Problem("batch.not_for_stage", field="stage", stage=recipe["stage"].upper())
    return recipe


def subject(recipe: dict[str, object]) -> dict[str, str]:
    """Return what a search with a recipe is of, as text: SUBJECT, the model by its title, "" for what is not said."""
    found = {name: str(recipe.get(name) or "") for name in SUBJECT}
    return found | {"model_name_or_path": library.title(Path(found["model_name_or_path"]))}


def find(
    workspace: Workspace, accelerator: DeviceLease, overrides: dict[str, object], job: Job, most: int = MOST
) -> LargestBatch:
    """Return the largest size that trained a step, 0 where not even one row fits.

    Args:
        overrides: a recipe as for a run; its batch size is what is looked for.
        job: is told how it goes, and may be cancelled.
        most: no size above this is tried.

    Raises:
        Problem: the recipe cannot be trained, or a run is at work, whose memory would be in the way.
    """
    recipe = trainable_recipe(workspace, overrides)  # asks for the consent to a model's code once more
    if accelerator.holders():
        raise Problem("batch.busy", holder=", ".join(holder.who for holder in accelerator.holders()))
    accelerator.acquire("batch", 0)
    try:
        with tempfile.TemporaryDirectory(prefix="batch-") as folder:
            return _search(Path(folder), recipe, job, most)
    finally:
        accelerator.release("batch")


def _search(folder: Path, recipe: dict[str, object], job: Job, most: int) -> LargestBatch:
    tried, size, reason = [], 1, "enough"
    while size <= most:
        job.check()
        job.report(None, "batch.trying", batch=size)
        step = _try(folder, recipe, size, job)
        if step.seconds is None or step.gib is None:
            reason = step.reason or "memory"
            break
        tried.append(TriedBatch(batch=size, seconds=step.seconds, gib=step.gib))
        job.log(f"batch {size}: {step.seconds} s a step, {step.gib} GiB at the most")
        if step.seconds > STEP_LIMIT_S:
            reason = "slow"
            break
        size *= 2
    return LargestBatch(batch=tried[-1].batch if tried else 0, tried=tried, reason=reason)


def _try(folder: Path, recipe: dict[str, object], size: int, job: Job) -> MeasuredStep:
    """Train one step with a batch of `size` in a child; return what it measured, or why it did not end well."""
    here = folder / str(size)
    _make_data(here / "data", recipe, rows=size)
    report = here / "step.json"
    plan = one_step(recipe, here, size)
    write_json(here / "plan.json", {"recipe": plan, "report": str(report)})
    command = [sys.executable, "-m", "studio.train.execution.batch_search", str(here / "plan.json")]
    with Child(command, output=Output(here / "log")) as child:
        while child.code is None:
            job.check()
            if psutil.virtual_memory().available < SPARE * psutil.virtual_memory().total:
                return MeasuredStep(reason="memory")
            time.sleep(0.1)
    if report.exists():
        step = records.load(report, MeasuredStep)
        if step.fault:
            raise step.fault.problem()
        return step
    if child.code == -9:
        return MeasuredStep(reason="memory")  # the system kills the process that asks for more than there is
    last = files.end_of(here / "log", LAST_WORDS).decode("utf-8", "replace").strip().splitlines()[-1:]
    raise Problem("batch.failed", reason=reasons.of_end(child.code, " ".join(last)))


def one_step(recipe: dict[str, object], here: Path, size: int) -> dict[str, object]:
    """Return the recipe of one step on the made-up rows in `here/data`, with a batch of `size` and nothing that
    measures or saves.
    """
    own = {
        name: value
        for name, value in recipe.items()
        if name not in APART and not name.startswith(("hub_", "swanlab_", "interleave_"))
    }
    return own | {
        "dataset": "filled",
        "dataset_dir": str(here / "data"),
        "output_dir": str(here / "out"),
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": 1,
        "max_steps": 1,
        "save_strategy": "no",
        "eval_strategy": "no",
        "val_size": 0,
        "plot_loss": False,
        "report_to": "none",
        "preprocessing_num_workers": None,
        "dataloader_num_workers": 0,
    }


def _make_data(folder: Path, recipe: dict[str, object], rows: int) -> None:
    """Write rows that are longer than the cutoff in the form that the stage reads, and the entry that names them."""
    text = WORD * int(recipe["cutoff_len"])
    columns = {"prompt": "instruction", "response": "output"}
    row, more = {"instruction": text, "output": text}, {}
    if recipe["stage"] == "pt":
        columns, row = {"prompt": "text"}, {"text": text}
    if recipe["stage"] in ("dpo", "rm"):
        columns, more = {"prompt": "instruction", "chosen": "output", "rejected": "worse"}, {"ranking": True}
        row["worse"] = text
    if recipe["stage"] == "kto":
        columns, row["good"] = {**columns, "kto_tag": "good"}, True
    folder.mkdir(parents=True)
    data = [row | ({"good": bool(number % 2)} if "good" in row else {}) for number in range(max(2, rows))]
    write_json(folder / "filled.json", data)
    write_json(folder / "dataset_info.json", {"filled": {"file_name": "filled.json", "columns": columns, **more}})


def _child(plan_file: Path) -> int:
    """Train the one step of a plan and write {seconds, gib}, or {reason} where the memory was not enough."""
    llamafactory.load()
    from llamafactory.train.tuner import run_exp

    from studio.train.faults import explain

    plan = records.read(plan_file)
    timer = _step_timer()
    try:
        with logins.kept():
            run_exp(plan["recipe"], callbacks=[timer])
    except Exception as error:
        fault = explain(error, plan["recipe"])
        memory = fault.key == "train.out_of_memory"
        step = {"reason": "memory"} if memory else {"fault": {"key": fault.key, "facts": fault.facts}}
        Path(plan["report"]).write_text(json.dumps(step, default=str))
        if not memory:
            traceback.print_exception(error)
        return 0
    Path(plan["report"]).write_text(json.dumps({"seconds": round(timer.seconds, 2), "gib": round(_peak() / 2**30, 2)}))
    return 0


def _step_timer():
    from transformers import TrainerCallback

    class StepTimer(TrainerCallback):
        seconds = 0.0

        def on_step_begin(self, args, state, control, **kwargs):
            self.began = time.monotonic()

        def on_step_end(self, args, state, control, **kwargs):
            self.seconds = time.monotonic() - self.began

    return StepTimer()


def _peak() -> int:
    """Return the most bytes in use: torch's on a GPU, else of this process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    try:
        import resource
    except ImportError:  # Windows, where the process itself is asked
        return psutil.Process().memory_info().peak_wset
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(_child(Path(sys.argv[1])))

"""The callback that writes down what happens while LLaMA-Factory trains, and carries a request to stop into the
trainer.
"""

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.train import notifications
from studio.train.loop import samples, tied_weights
from studio.train.loop.anomalies import AnomalyDetector
from studio.train.runs import Run
from studio.train.runs.stop_request import ABORT, INTERRUPT, SAVE, Stopped, StopRequest

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback

STOP_REQUESTS = (None, SAVE, ABORT, INTERRUPT)


def training_callback(run: Run, stop_request: StopRequest) -> "TrainerCallback":
    """Return a transformers callback that appends to the run's events and obeys `stop_request`."""
    llamafactory.load()
    from transformers import TrainerCallback

    return type("TrainingCallback", (RunCallback, TrainerCallback), {})(run, stop_request)


class RunCallback:
    """The callback, without its base class, which only comes with the heavy libraries.

    Where several processes train together, each has one of these, but only the first writes (the others' run is a
    `Silent` one). `stopped_early` tells afterwards whether a request to stop ended the training. Where the process is
    about to end, the run is left by `Stopped` as soon as its checkpoint is written: the weights at the run's end, an
    evaluation and the curves take time that is not there.
    """

    def __init__(self, run: Run, stop_request: StopRequest):
        self.run, self.stop_request, self.anomalies = run, stop_request, AnomalyDetector(run.folder)
        self.stopped_early = self.interrupted = False
        self.probes: list[str] = run.info().probes
        self.template: str = run.recipe().get("template", "")
        self.newest: Path | None = None
        self.last_tokens: tuple[float, int] | None = None

    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
        """Write the facts a person checks: examples, epochs, total batch, steps, parameters. Raises Stopped where the
        run was to be aborted before it began.
        """
        llamafactory.load()
        from llamafactory.extras.misc import count_parameters

        tied_weights.save_once(model)
        trainable, parameters = count_parameters(model)
        data = getattr(train_dataloader, "dataset", None)  # not every trainer shows what it reads from
        self.run.say(
            "facts",
            examples=len(data) if hasattr(data, "__len__") else None,
            epochs=(
                state.num_train_epochs if state.num_train_epochs < sys.maxsize else None
            ),  # that many: as often as max_steps asks
            batch=args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size,
            step=state.global_step,
            total_steps=state.max_steps,
            trainable=trainable,
            parameters=parameters,
            device=str(args.device),
            processes=args.world_size,
        )
        self.run.say("state", state="running")
        if 0 < args.save_steps < 1:
            # A share of the steps, which every trainer but PPO's has counted out by now; that one would save at every
            # step.
            args.save_steps = math.ceil(state.max_steps * args.save_steps)
        if self._abort_if_asked(args) == INTERRUPT:
            raise Stopped
        self.stop_request.at_step = True

    def on_substep_end(self, args, state, control, **kwargs):
        """Obey an abort within a step."""
        self._abort_if_asked(args)

    def on_step_end(self, args, state, control, **kwargs):
        """Obey a request to stop, with a checkpoint; write the number of a step that is not logged."""
        self._close_checkpoint(state)
        stop = self._abort_if_asked(args)
        if stop in (SAVE, INTERRUPT):
            self.stopped_early, self.interrupted = state.global_step < state.max_steps, stop == INTERRUPT
            control.should_save = control.should_training_stop = True
            control.should_evaluate = control.should_evaluate and not self.interrupted
        elif not control.should_log:
            self.run.say("step", step=state.global_step)

    def on_prediction_step(self, args, state, control, **kwargs):
        """Obey an abort within an evaluation, where no other process would be left waiting."""
        if args.world_size == 1:
            self._abort_if_asked(args)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Write all numbers that the trainer reports, the pace and the memory beside them, and what is wrong with
        them.
        """
        # PPO's trainer puts its own count of steps, from 0, among the numbers.
        values = {name: value for name, value in (logs or {}).items() if name not in ("epoch", "step")}
        if "loss" in values:
            values |= self._pace(state) | readings(args.device)
        self.run.say("metrics", step=state.global_step, epoch=(logs or {}).get("epoch"), values=values)
        for key, facts in self.anomalies.take(state.global_step, values):
            self.run.say("warning", step=state.global_step, key=key, facts=facts)
            print(f"warning: {Problem(key, **facts)}")
            if state.is_world_process_zero:
                notifications.tell(self.run, key, facts)

    def on_save(self, args, state, control, model=None, processing_class=None, **kwargs):
        """Write down a checkpoint, after its last file is there, and let the model answer the probe questions."""
        name = f"checkpoint-{state.global_step}"
        self.run.say("checkpoint", step=state.global_step, name=name)
        self.newest = self.run.folder / name
        # Sharded weights (ZeRO-3, FSDP) answer only where all processes ask together.
        if self.probes and state.is_world_process_zero and not args.deepspeed and not args.fsdp:
            for answer in samples.ask(
                model, getattr(processing_class, "tokenizer", processing_class), self.template, self.probes
            ):
                self.run.say("probe", step=state.global_step, **answer)

    def on_epoch_end(self, args, state, control, **kwargs):
        """Leave where the process is about to end: the checkpoint is written, and Stopped raised."""
        if self.interrupted:
            self._close_checkpoint(state)
            raise Stopped(saved=True)

    def on_train_end(self, args, state, control, **kwargs):
        """Say that early stopping ended the run, where nobody else did. Raises Stopped where the process ends."""
        self._close_checkpoint(state)
        if self.interrupted:
            raise Stopped(saved=True)  # PPO's trainer tells of no epochs
        if state.global_step < state.max_steps and not self.stopped_early and state.best_metric is not None:
            facts = {"step": state.global_step, "best": round(state.best_metric, 4)}
            self.run.say("warning", step=state.global_step, key="checkpoints.early", facts=facts)

    def _close_checkpoint(self, state) -> None:
        # PPO's trainer saves weights alone, which another callback then mends; by this file a checkpoint is known to be
        # whole.
        if (
            self.newest
            and state.is_world_process_zero
            and self.newest.is_dir()
            and not (self.newest / "trainer_state.json").exists()
        ):
            state.save_to_json(str(self.newest / "trainer_state.json"))
        self.newest = None

    def _pace(self, state) -> dict[str, object]:
        now, before = (time.monotonic(), state.num_input_tokens_seen), self.last_tokens
        self.last_tokens = now
        if not before or now[1] <= before[1]:
            return {}
        return {"tokens_per_second": round((now[1] - before[1]) / max(now[0] - before[0], 1e-9), 1)}

    def _abort_if_asked(self, args) -> str | None:
        stop = agreed(self.stop_request.asked(), args)
        if stop == ABORT:
            raise Stopped
        return stop


def readings(device: "torch.device") -> dict[str, float]:
    """Return {memory} in GiB that this process holds on a device, and on a GPU {utilisation} in percent where the
    driver tells it.
    """
    if device.type != "cuda":
        return {"memory": round(psutil.Process().memory_info().rss / 2**30, 3)}
    llamafactory.load()
    import torch

    found = {"memory": round(torch.cuda.memory_reserved(device) / 2**30, 3)}
    try:
        return found | {"utilisation": torch.cuda.utilization(device)}
    except (
        Exception
    ):  # NVML refuses in many ways (no driver, a slice of a GPU, no permission), and a reading must not end a run
        return found


def agreed(stop: str | None, args) -> str | None:
    """Return what the first of the processes that train together has seen, the same in all of them at the same
    sub-step.

    A process that stopped while the others went on would leave them waiting for its gradients for ever.
    """
    if args.world_size == 1:
        return stop
    llamafactory.load()
    import torch
    from torch import distributed

    chosen = torch.tensor([STOP_REQUESTS.index(stop)], device=args.device)
    distributed.broadcast(chosen, src=0)
    return STOP_REQUESTS[chosen.item()]

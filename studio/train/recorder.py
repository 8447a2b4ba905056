"""The callback that writes down what happens while LLaMA-Factory trains, and carries a wish to stop into the trainer."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from studio.train.runs import Run

if TYPE_CHECKING:
    from transformers import TrainerCallback


class Stopped(Exception):
    """Raised out of the trainer when a run is aborted without a checkpoint."""


@dataclass
class StopWish:
    """A wish to stop a run, set by any thread and looked at by the recorder at every sub-step."""

    asked: threading.Event = field(default_factory=threading.Event)
    save: bool = True

    def ask(self, save: bool) -> None:
        """Ask the run to stop: with a checkpoint at the end of its step, or at once and without one."""
        self.save = save
        self.asked.set()


def recorder(run: Run, wish: StopWish) -> "TrainerCallback":
    """Return a transformers callback that appends to the run's events and obeys `wish`."""
    from transformers import TrainerCallback

    return type("Recorder", (Recording, TrainerCallback), {})(run, wish)


class Recording:
    """The callback, without its base class, which only comes with the heavy libraries."""

    def __init__(self, run: Run, wish: StopWish):
        self.run, self.wish = run, wish

    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
        """Write the facts a person checks: examples, epochs, total batch, steps, parameters."""
        from llamafactory.extras.misc import count_parameters

        trainable, parameters = count_parameters(model)
        self.run.say(
            "facts",
            examples=len(train_dataloader.dataset) if hasattr(train_dataloader.dataset, "__len__") else None,
            epochs=state.num_train_epochs,
            batch=args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size,
            step=state.global_step,
            total_steps=state.max_steps,
            trainable=trainable,
            parameters=parameters,
            device=str(args.device),
        )
        self.run.say("state", state="running")
        self._abort_if_asked()

    def on_substep_end(self, args, state, control, **kwargs):
        """Obey an abort within a step."""
        self._abort_if_asked()

    def on_step_end(self, args, state, control, **kwargs):
        """Obey a wish to stop, with a checkpoint; write the number of a step that is not logged."""
        self._abort_if_asked()
        if self.wish.asked.is_set():
            control.should_save = control.should_training_stop = True
        elif not control.should_log:
            self.run.say("step", step=state.global_step)

    def on_prediction_step(self, args, state, control, **kwargs):
        """Obey an abort within an evaluation."""
        self._abort_if_asked()

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Write all numbers that the trainer reports."""
        values = {name: value for name, value in (logs or {}).items() if name != "epoch"}
        self.run.say("metrics", step=state.global_step, epoch=(logs or {}).get("epoch"), values=values)

    def on_save(self, args, state, control, **kwargs):
        """Write down a checkpoint, after its last file is there."""
        self.run.say("checkpoint", step=state.global_step, name=f"checkpoint-{state.global_step}")

    def _abort_if_asked(self) -> None:
        if self.wish.asked.is_set() and not self.wish.save:
            raise Stopped

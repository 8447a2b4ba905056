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
    """Return a transformers callback that appends to the run's events and obeys `wish`.

    Written down are, once, the facts a person checks (examples, epochs, total batch, steps, parameters); at every step its number; at
    every logging step all numbers the trainer reports; and each checkpoint after its last file is written.
    """
    from llamafactory.extras.misc import count_parameters
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
            trainable, parameters = count_parameters(model)
            run.say(
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
            run.say("state", state="running")
            self._abort_if_asked()

        def on_substep_end(self, args, state, control, **kwargs):
            self._abort_if_asked()

        def on_step_end(self, args, state, control, **kwargs):
            self._abort_if_asked()
            if wish.asked.is_set():
                control.should_save = control.should_training_stop = True
            elif not control.should_log:
                run.say("step", step=state.global_step)

        def on_prediction_step(self, args, state, control, **kwargs):
            self._abort_if_asked()

        def on_log(self, args, state, control, logs=None, **kwargs):
            values = {name: value for name, value in (logs or {}).items() if name != "epoch"}
            run.say("metrics", step=state.global_step, epoch=(logs or {}).get("epoch"), values=values)

        def on_save(self, args, state, control, **kwargs):
            run.say("checkpoint", step=state.global_step, name=f"checkpoint-{state.global_step}")

        def _abort_if_asked(self):
            if wish.asked.is_set() and not wish.save:
                raise Stopped

    return Recorder()

"""The judge of the preview: LLaMA-Factory itself, which really starts each recipe. Run as `python
tests/train_verdicts.py`.

Reads a recipe a line, and answers a line: {ok, error, steps}. A recipe is ok when its first step is trained; `steps`
are those that the trainer was going to train in all.
"""

import json
import os
import sys
import tempfile

from studio.core.processes import collector


def main() -> None:
    """Answer until there are no more recipes."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with collector.paused():
        import llamafactory.train.tuner as tuner
        from transformers import TrainerCallback

    class Watch(TrainerCallback):
        steps = trained = None

        def on_train_begin(self, args, state, control, **kwargs):
            self.steps = state.max_steps

        def on_step_end(self, args, state, control, **kwargs):
            self.trained = state.global_step
            control.should_training_stop = True

    for line in sys.stdin:
        watch, error = Watch(), None
        with tempfile.TemporaryDirectory() as folder:
            try:
                tuner.run_exp(json.loads(line) | {"output_dir": folder, "plot_loss": False}, callbacks=[watch])
            except BaseException as fault:
                error = f"{type(fault).__name__}: {fault}"
        print(
            json.dumps({"ok": error is None and watch.trained is not None, "error": error, "steps": watch.steps}),
            file=out,
            flush=True,
        )


if __name__ == "__main__":
    main()

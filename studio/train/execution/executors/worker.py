"""`python -m studio.train.execution.executors.worker RUN_FOLDER [--resume CHECKPOINT]`: trains one run, alone or as
one of the processes of torchrun.

Needs little beside LLaMA-Factory, so that an environment with another release of it can run it too.
"""

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

from studio.core.processes import collector
from studio.train.execution.executors.termination import save_first
from studio.train.loop.run_training import run_training
from studio.train.runs import Run
from studio.train.runs.stop_request import StopRequest

_PR_SET_PDEATHSIG = 1  # Linux, sys/prctl.h


class Silent(Run):
    """A run as the second and later processes of a group see it: they write nothing but the fault that ends them."""

    def say(self, event: str, /, **facts: object) -> None:
        """Append an error and the failed state that follows it; the first process writes all else."""
        if event == "error" or facts.get("state") == "failed":
            super().say(event, **facts)


def seen_from(rank: int, folder: Path, order: str = "") -> Run:
    """Return the run in a folder as the process of this rank sees it, which trains it by an id of the queue, if by
    any.
    """
    return (Silent if rank else Run)("/".join(folder.parts[-3:]), folder, order)


def main(argv: list[str] | None = None) -> int:
    """Train the run; return 1 where it failed, so that a launcher ends the others."""
    parser = argparse.ArgumentParser(
        prog="python -m studio.train.execution.executors.worker", description="Train one run of the studio."
    )
    parser.add_argument("folder", type=Path, help="the run's folder, with its recipe.yaml")
    parser.add_argument("--resume", metavar="CHECKPOINT", help="name of the checkpoint in it to go on from")
    parser.add_argument("--order", metavar="ID", default="", help="the id in the studio's queue by which this trains")
    flags = parser.parse_args(argv)
    run = seen_from(int(os.environ.get("RANK", "0")), flags.folder.absolute(), flags.order)
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    if launched:
        _die_with_parent()
    stop_request = StopRequest(run.folder)
    if not isinstance(run, Silent):
        run.own(os.getppid() if launched else None)
        if run.is_by_hand:
            stop_request.withdraw()  # what was asked before it began; of other runs the queue has withdrawn it
    _read_newer_configs()
    save_first(run, stop_request)
    state = run_training(run, run.folder / flags.resume if flags.resume else None, stop_request)
    return 1 if state == "failed" else 0


def _read_newer_configs() -> None:
    """Let a transformers older than 5 find the rotary base in a config.json that a newer one wrote, where it would
    silently take 10000.
    """
    with collector.paused():
        from transformers import PretrainedConfig

    read = PretrainedConfig.get_config_dict.__func__

    def both_names(cls, *args, **kwargs):
        config, rest = read(cls, *args, **kwargs)
        rope = config.get("rope_parameters") or {}
        if "rope_theta" in rope and "rope_theta" not in config:
            config["rope_theta"] = rope["rope_theta"]
            if rope.get("rope_type", "default") != "default":
                config["rope_scaling"] = {key: value for key, value in rope.items() if key != "rope_theta"}
        return config, rest

    if not hasattr(PretrainedConfig, "convert_rope_params_to_dict"):
        PretrainedConfig.get_config_dict = classmethod(both_names)


def _die_with_parent() -> None:
    # torchrun gives each process a session of its own; one whose torchrun was killed would train on with nobody to stop
    # it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())

"""Trains one run by processes on a Ray cluster:
`python -m studio.train.execution.executors.ray_cluster RUN_FOLDER [--resume CHECKPOINT]`.

LLaMA-Factory's own Ray path asks for ten CPUs beside every device, so that it can never be placed on a cluster without
GPUs. Ray Train's TorchTrainer makes the processes and their group instead, and LLaMA-Factory trains in it as it does
under torchrun.

The cluster is that of RAY_ADDRESS, else one that was started on this machine, else one of this machine alone for this
run. The project and the run's folder must lie at the same path on all its machines.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from studio.core import locations, trust
from studio.train.execution.executors.worker import seen_from
from studio.train.loop.run_training import run_training
from studio.train.recipe import code_consent


def main(argv: list[str] | None = None) -> int:
    """Train the run; return 1 where it failed."""
    parser = argparse.ArgumentParser(
        prog="python -m studio.train.execution.executors.ray_cluster",
        description="Train one run of the studio on a Ray cluster.",
    )
    parser.add_argument("folder", type=Path, help="the run's folder, with its recipe.yaml")
    parser.add_argument("--resume", metavar="CHECKPOINT", help="name of the checkpoint in it to go on from")
    parser.add_argument("--order", metavar="ID", default="", help="the id in the studio's queue by which this trains")
    flags = parser.parse_args(argv)
    run = seen_from(0, flags.folder.absolute(), flags.order)
    run.own()
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.base_trainer import TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    cuda, processes = not run.recipe().get("use_cpu"), run.info().processes
    ray.init(include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": str(locations.ROOT)}})
    trainer = TorchTrainer(
        train,
        train_loop_config={
            "folder": str(run.folder),
            "resume": flags.resume,
            "order": flags.order,
            "consents": code_consent.digests(run.recipe()),
        },
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=cuda),
        torch_config=TorchConfig(backend="nccl" if cuda else "gloo"),
        run_config=RunConfig(name="ray", storage_path=str(run.folder)),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        print(error)
        return 1
    finally:
        shutil.rmtree(run.folder / "ray", ignore_errors=True)  # Ray's own bookkeeping; the run's files are its record
        ray.shutdown()
    return 0


def train(config: dict[str, object]) -> None:
    """Train as one of the processes that Ray made. Raises RuntimeError where the run failed, so that Ray ends the
    others.
    """
    folder = Path(config["folder"])
    trust.carry(config["consents"])
    run = seen_from(int(os.environ["RANK"]), folder, config.get("order", ""))
    if run_training(run, folder / config["resume"] if config["resume"] else None) == "failed":
        raise RuntimeError(f"{run.name} failed; its log says why")


if __name__ == "__main__":
    sys.exit(main())

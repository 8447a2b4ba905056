"""A run's pace on a real card, in a process of its own, against `llamafactory-cli train` with the same recipe.

Nothing else may work on the card meanwhile.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import yaml
from card_recipes import FEW_STEPS
from conftest import ended

pytest_plugins = ["card"]

RECIPE = FEW_STEPS | {"max_steps": 30, "cutoff_len": 1024, "per_device_train_batch_size": 8}
PAIRS = 2


def runtime(folder: Path) -> float:
    """Return the seconds that a training took, as LLaMA-Factory wrote them down."""
    return json.loads((folder / "train_results.json").read_text(encoding="utf-8"))["train_runtime"]


def by_command_line(recipe_file: Path, folder: Path) -> float:
    """Return the seconds that the same recipe takes without the studio."""
    recipe = yaml.safe_load(recipe_file.read_text(encoding="utf-8")) | {"output_dir": str(folder)}
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "llamafactory.cli", "train", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return runtime(folder)


def test_a_run_is_as_fast_as_by_the_command_line(service, tmp_path, record):
    ours, theirs = [], []
    for number in range(1 + PAIRS):
        run = service.start(RECIPE, {}, "worker")
        status = ended(run)
        assert status.state == "finished", (status.error, run.log_file.read_text()[-3000:])
        other = by_command_line(run.recipe_file, tmp_path / f"cli-{number}")
        if number:  # the first pair reads the libraries and the model from the disk, and ours comes first
            ours.append(runtime(run.folder))
            theirs.append(other)
    ratio = statistics.median(ours) / statistics.median(theirs)
    record(
        f"{RECIPE['max_steps']} steps of 8 x 1,024 tokens, LoRA, 0.5 B, in a worker, against `llamafactory-cli train`",
        f"{statistics.median(ours):.2f} s ({min(ours):.2f}–{max(ours):.2f})",
        f"{statistics.median(theirs):.2f} s ({min(theirs):.2f}–{max(theirs):.2f})",
        f"{ratio:.3f}",
        "at most 1.02",
        ratio <= 1.02,
    )
    assert ratio <= 1.1

"""What the tests on a graphics card share: they are skipped where there is none, and write down what they measured.

Each of them names this file as a plugin: a second `conftest` would stand in the way of the first.
`STUDIO_GPU_ROWS` names a file to which every measured row is added, as JSON; `python -m benchmarks gpu` makes the table
of it.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from card_recipes import NOISE
from conftest import STARTER, new_workspace

from benchmarks.report import Row
from benchmarks.shapes import SHAPES
from studio.core.device_lease import DeviceLease, free_memory
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace, write_json
from studio.train.execution.training_service import TrainingService

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Skip what stands in this folder where torch finds no graphics card."""
    ours = [item for item in items if HERE in item.path.parents]
    if not ours:
        return
    import torch

    if not torch.cuda.is_available():
        for item in ours:
            item.add_marker(pytest.mark.skip(reason="torch finds no graphics card on this machine"))


@pytest.fixture(scope="session")
def record() -> Callable[..., None]:
    """What writes down a measured row: what, ours, theirs, ratio, reach, reached (see `benchmarks.report.Row`)."""

    def write(what: str, ours: str, theirs: str = "", ratio: str = "", reach: str = "", reached: bool | None = None):
        row = Row("gpu", what, ours, theirs, ratio, reach, reached)
        print(row.line())
        if file := os.environ.get("STUDIO_GPU_ROWS"):
            with open(file, "a", encoding="utf-8") as rows:
                rows.write(json.dumps(asdict(row)) + "\n")

    return write


def in_threads(count: int) -> None:
    """Multiply in so many threads at once, and free what can be: cuBLAS keeps 32 MiB for each that ever did, which are
    nobody's leak.
    """
    import torch

    together = threading.Barrier(count)

    def multiply() -> None:
        one = torch.ones(64, 64, device="cuda", dtype=torch.bfloat16)
        together.wait(60)
        one @ one
        together.wait(60)

    threads = [threading.Thread(target=multiply) for _ in range(count)]
    for thread in threads:
        thread.start()
    multiply_here = torch.ones(64, 64, device="cuda", dtype=torch.bfloat16)
    multiply_here @ multiply_here
    for thread in threads:
        thread.join()
    free_memory()


@pytest.fixture(scope="session")
def noise_model(tmp_path_factory) -> Path:
    """A model of half a billion random numbers, made on the card, with the starter's tokenizer and no more words than
    that knows.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("models") / NOISE
    tokens = {"vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    with torch.random.fork_rng(), torch.device("cuda"):
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(**SHAPES["0.5B"][1] | tokens), dtype=torch.bfloat16
        )
    model.save_pretrained(folder)
    for file in STARTER.iterdir():
        if not (folder / file.name).exists() and file.suffix != ".safetensors":
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def card_workspace(tmp_path_factory, noise_model) -> Workspace:
    """A workspace with that model, and rows of many words."""
    workspace = new_workspace(tmp_path_factory.mktemp("card") / "workspace")
    (workspace.models / NOISE).symlink_to(noise_model)
    rows = [
        {"instruction": f"{number} " + "word " * 2048, "input": "", "output": "word " * 64} for number in range(256)
    ]
    write_json(workspace.data / "noise.json", rows)
    listed = json.loads((workspace.data / "dataset_info.json").read_text(encoding="utf-8"))
    write_json(workspace.data / "dataset_info.json", listed | {"noise": {"file_name": "noise.json"}})
    return workspace


@pytest.fixture(scope="module")
def service(card_workspace) -> TrainingService:
    """Training in that workspace."""
    return TrainingService(card_workspace, DeviceLease(), Jobs(card_workspace))

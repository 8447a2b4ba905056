"""Merging on a real card: the same model as merged on the CPU, proved by the verification of every export."""

import time

import pytest
from card_recipes import FEW_STEPS
from conftest import ended

from studio.export.export_service import ExportService

pytest_plugins = ["card"]


@pytest.fixture(scope="module")
def tuned(service) -> str:
    """A run that was trained on the card."""
    run = service.start(FEW_STEPS | {"learning_rate": 1e-2}, {})
    assert ended(run).state == "finished"
    return run.name


def test_a_merge_on_the_card_is_the_merge_on_the_cpu(service, tuned, record):
    from safetensors.torch import load_file

    export = ExportService(service.workspace, service.accelerator, service.jobs)
    merged, seconds = {}, {}
    for device in ("auto", "cpu"):
        began = time.monotonic()
        job = service.jobs.wait(export.merge([tuned], f"merged-{device}", device=device).id, 240)
        assert job.state == "finished", (job.error, service.jobs.log(job.id))
        seconds[device] = time.monotonic() - began
        folder = service.workspace.models / f"merged-{device}"
        merged[device] = load_file(next(folder.glob("*.safetensors")))
        verified = job.result["verified"]
        record(
            f"merge on {'the card' if device == 'auto' else 'the CPU'}: Kullback-Leibler divergence from base and"
            " adapter, against what storing in bf16 costs by itself",
            f"{verified['kl']:.2g}",
            f"{verified['stored_kl']:.2g}",
        )
    record("merge on the card and its proof, against on the CPU", f"{seconds['auto']:.0f} s", f"{seconds['cpu']:.0f} s")
    assert merged["auto"].keys() == merged["cpu"].keys()
    for name, weights in merged["auto"].items():
        far = (weights.float() - merged["cpu"][name].float()).abs().max()
        assert far <= 2**-8 * weights.float().abs().max(), name

"""Quantising on a real card, by bitsandbytes and by GPTQ, and what each form costs against the 16 bits."""

import os
from pathlib import Path

import pytest
from card_recipes import NOISE

from studio.core.device_lease import DeviceLease
from studio.datasets.registry.collection import Collection
from studio.export.form_service import FormService
from studio.export.quantize import gptq_libraries
from studio.inference.llama_cpp.toolkit import Toolkit

pytest_plugins = ["card"]

METHODS = ["bnb-8bit", "bnb-4bit", "gptq-4bit"]


@pytest.fixture(scope="module")
def forms(service) -> FormService:
    """Quantising in the card's workspace."""
    workspace, jobs = service.workspace, service.jobs
    return FormService(workspace, DeviceLease(), jobs, Collection(workspace, jobs), Toolkit(jobs))


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_quantised_on_the_card_and_answer(forms, service, method, record):
    if method.startswith("gptq") and not (gptq_libraries.is_ready() or os.environ.get("STUDIO_SLOW_TESTS")):
        pytest.skip("fetches GPTQ's libraries; STUDIO_SLOW_TESTS=1 runs it")
    calibration = {"calibration": "identity_en"} if method.startswith("gptq") else {}
    job = service.jobs.wait(forms.quantize([NOISE], method, **calibration).id, 240)
    assert job.state == "finished", (job.error, service.jobs.log(job.id)[-20:])
    stored = sum(file.stat().st_size for file in Path(job.result["folder"]).glob("*.safetensors"))
    whole = sum(file.stat().st_size for file in (service.workspace.models / NOISE).glob("*.safetensors"))
    assert stored < whole
    job = service.jobs.wait(forms.cost([NOISE], "identity_en").id, 240)
    assert job.state == "finished", (job.error, service.jobs.log(job.id)[-20:])
    reference, *others = job.result["forms"]
    assert reference["cost"]["kl"] < 1e-5
    (form,) = (one for one in others if one["type"] == method)
    assert not form.get("fault"), form
    cost = form["cost"]
    record(
        f"{method} on the card, 0.5 B of random numbers: Kullback-Leibler divergence from the 16 bits, and its pace",
        f"{cost['kl']:.2g}, {cost['tokens_per_s']:.0f} tokens/s",
        f"{reference['cost']['tokens_per_s']:.0f} tokens/s",
    )
    assert 0 < cost["kl"] < 1 and cost["tokens_per_s"] > 1

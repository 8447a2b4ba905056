"""Models that several threads load at once: the chat's, and those of a run beside it."""

import threading

import pytest
from conftest import STARTER

from studio.inference.local import base_loading

MODEL = STARTER


def test_threads_that_load_at_once_do_not_spoil_each_others_model():
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedModel

    base_loading.one_load_at_a_time()
    models, tie_weights = [], PreTrainedModel.tie_weights
    ready = threading.Barrier(4)

    def load():
        ready.wait()
        models.extend(AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16) for _ in range(3))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(models) == 12
    assert not [
        name for model in models for name, weight in model.named_parameters(remove_duplicate=False) if weight.is_meta
    ]
    assert torch.get_default_dtype() == torch.float32
    assert PreTrainedModel.tie_weights is tie_weights


@pytest.mark.parametrize(
    "stored, device, asked, stays",
    [
        ("float16", "cuda", "", True),
        ("bfloat16", "cuda", "", False),  # an old card cannot compute in it; on a new one nothing is copied
        ("float32", "cuda", "", False),
        ("float16", "cuda", "float32", False),
        ("bfloat16", "cuda", "float32", False),
        ("float16", "cpu", "", False),
    ],
)
def test_weights_are_computed_in_as_asked_on_every_device(stored, device, asked, stays):
    import torch

    assert base_loading._may_stay(getattr(torch, stored), device, asked) == stays

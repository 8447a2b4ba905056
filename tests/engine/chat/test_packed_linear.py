"""Packed weights multiply as the weights themselves, wherever they may be used, and nowhere else."""

import copy

import psutil
import pytest
import torch

from studio.inference.local import packed_linear


@pytest.fixture
def faster(monkeypatch):
    """Pack whatever the measurement says of this machine."""
    monkeypatch.setattr(packed_linear, "_is_faster", lambda layer: True)


def _model(kind=torch.float32) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(48, 64, bias=False), torch.nn.GELU(), torch.nn.Linear(64, 32)).to(kind)


@pytest.mark.parametrize("kind, near", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (3, 1, 48), (2, 7, 48)])
def test_packed_layers_say_what_plain_ones_say(faster, kind, near, shape):
    model, x = _model(kind), torch.randn(shape).to(kind)
    with torch.inference_mode():
        expected = model(x)
        assert packed_linear.pack(model) == 2
        assert all(type(layer) is not torch.nn.Linear for layer in model)
        torch.testing.assert_close(model(x), expected, rtol=near, atol=near)
        strided = torch.randn(2, 48, 9).to(kind).transpose(1, 2)
        torch.testing.assert_close(model(strided), model(strided.contiguous()))
    assert packed_linear.packed_bytes(model) == (48 * 64 + 64 * 32) * x.element_size()


def test_a_layer_with_other_weights_multiplies_by_those(faster):
    """peft copies a layer that was trained whole and loads its weights into the copy."""
    model = _model()
    packed_linear.pack(model)
    copied, x = copy.deepcopy(model), torch.randn(5, 48)
    with torch.no_grad():
        for layer in (copied[0], copied[2]):
            layer.weight.copy_(2 * layer.weight)
        expected = torch.nn.functional.linear(x, copied[0].weight)
        torch.testing.assert_close(copied[0](x), expected)
        model[0].weight.data = 3 * model[0].weight.data
        torch.testing.assert_close(model[0](x), torch.nn.functional.linear(x, model[0].weight))
    assert packed_linear.packed_bytes(copied) == 0


def test_nothing_is_packed_that_is_slower_so_or_does_not_fit(monkeypatch):
    monkeypatch.setattr(packed_linear, "_is_faster", lambda layer: False)
    assert packed_linear.pack(_model()) == 0
    monkeypatch.setattr(packed_linear, "_is_faster", lambda layer: True)
    monkeypatch.setattr(packed_linear, "MEMORY_SHARE", 1000 / psutil.virtual_memory().available)
    model = _model()
    assert packed_linear.pack(model) == 0 and packed_linear.packed_bytes(model) == 0
    assert packed_linear.pack(_model(torch.float16)) == 0


def test_the_measurement_tells_the_faster_way():
    layer = torch.nn.Linear(576, 1536, bias=False)
    assert packed_linear._is_faster(layer) in (True, False)
    assert 0 < packed_linear._seconds(lambda: layer(torch.zeros(1, 576))) < 1

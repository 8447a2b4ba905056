"""Every way to multiply says what torch's own says, wherever it may be used, and is used nowhere else."""

import copy

import psutil
import pytest
import torch

from studio.inference.local import linear_products

WAYS = [linear_products._by_packed, linear_products._turned]


@pytest.fixture
def by(monkeypatch):
    """Let all rows be multiplied by one way, whatever the measurement says of this machine."""

    def set_to(way):
        monkeypatch.setattr(linear_products, "_fastest", lambda layers, may_pack: (way,) * 3)

    return set_to


def _model(kind=torch.float32) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(48, 64, bias=False), torch.nn.GELU(), torch.nn.Linear(64, 32)).to(kind)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind, near", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (3, 1, 48), (2, 7, 48), (0, 48)])
def test_layers_say_what_plain_ones_say(by, way, kind, near, shape):
    if way is linear_products._by_packed and linear_products._packed([torch.zeros(8, 8, dtype=kind)]) is None:
        pytest.skip(f"this processor has no packed products of {kind}")
    by(way)
    model, x = _model(kind), torch.randn(shape).to(kind)
    with torch.inference_mode():
        expected = model(x)
        assert linear_products.choose(model) == 2
        assert all(type(layer) is not torch.nn.Linear for layer in model)
        said = model(x)
        assert said.is_contiguous() and said.shape == expected.shape
        torch.testing.assert_close(said, expected, rtol=near, atol=near)
        strided = torch.randn(2, 48, 9).to(kind).transpose(1, 2)
        torch.testing.assert_close(model(strided), model(strided.contiguous()))
    packed = (48 * 64 + 64 * 32) * x.element_size() if way is linear_products._by_packed else 0
    assert linear_products.packed_bytes(model) == packed


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_with_other_weights_multiplies_by_those(by, way):
    """peft copies a layer that was trained whole and loads its weights into the copy."""
    by(way)
    model = _model()
    linear_products.choose(model)
    copied, x = copy.deepcopy(model), torch.randn(5, 48)
    with torch.no_grad():
        for layer in (copied[0], copied[2]):
            layer.weight.copy_(2 * layer.weight)
        expected = torch.nn.functional.linear(x, copied[0].weight)
        torch.testing.assert_close(copied[0](x), expected)
        model[0].weight.data = 3 * model[0].weight.data
        torch.testing.assert_close(model[0](x), torch.nn.functional.linear(x, model[0].weight))
    assert linear_products.packed_bytes(copied) == 0


def test_each_number_of_rows_has_its_way(monkeypatch):
    asked = []

    def noting(name):
        return lambda x, weight, packed, bias: asked.append(name) or torch.nn.functional.linear(x, weight, bias)

    monkeypatch.setattr(
        linear_products, "_fastest", lambda layers, may_pack: (noting("one"), noting("few"), noting("many"))
    )
    layer = torch.nn.Sequential(torch.nn.Linear(8, 8))
    linear_products.choose(layer)
    for shape in ((8,), (1, 8), (2, 1, 8), (4, 8), (5, 8), (16, 8), (3, 40, 8)):
        layer(torch.zeros(shape))
    assert asked == ["one", "one", "few", "few", "many", "many", "many"]


def test_torch_multiplies_where_nothing_is_faster_and_nothing_is_packed_that_has_no_room(by, monkeypatch):
    with monkeypatch.context() as measured_as_equal:
        measured_as_equal.setattr(linear_products, "_seconds", lambda *_: 1.0)
        assert linear_products.choose(_model()) == 0
    assert linear_products.choose(_model(torch.float16)) == 0
    with monkeypatch.context() as full:
        full.setattr(linear_products, "MEMORY_SHARE", 1000 / psutil.virtual_memory().available)
        full.setattr(linear_products, "_seconds", lambda way, *_: 1.0 if way is linear_products._by_packed else 2.0)
        assert linear_products.choose(_model()) == 0


def test_the_fastest_way_is_chosen_for_each_number_of_rows(monkeypatch):
    fastest = {1: linear_products._by_packed, 4: linear_products._turned, 16: linear_products._plain}
    monkeypatch.setattr(linear_products, "_seconds", lambda way, x, *_: 1.0 if way is fastest[len(x)] else 2.0)
    assert linear_products._fastest([torch.nn.Linear(48, 64)], may_pack=True) == tuple(fastest.values())


def test_a_type_that_the_processor_cannot_pack_is_multiplied_all_the_same(monkeypatch):
    def refused(weight):
        raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx512bw")

    monkeypatch.setattr(linear_products, "_pack", refused)
    ways = linear_products._fastest([torch.nn.Linear(48, 64).bfloat16()], may_pack=True)
    assert linear_products._by_packed not in ways
    model, x = _model(torch.bfloat16), torch.ones(2, 48, dtype=torch.bfloat16)
    expected = model(x)
    linear_products.choose(model)
    torch.testing.assert_close(model(x), expected, rtol=2e-2, atol=2e-2)


def test_the_measurement_is_of_the_shape_with_the_most_weights_and_takes_a_moment():
    asked = []

    def way(x, weight, packed, bias):
        asked.append(weight.shape)
        return torch.nn.functional.linear(x, weight)

    weights = [torch.randn(64, 48) for _ in range(3)]
    assert 0 < linear_products._seconds(way, torch.zeros(1, 48), weights, weights) < 1
    assert len(asked) == 3 * linear_products._REPEATS
    layers = [torch.nn.Linear(8, 8), *(torch.nn.Linear(576, 1536, bias=False) for _ in range(4))]
    assert set(linear_products._fastest(layers, may_pack=True)) <= {linear_products._plain, *WAYS}

"""Drawing tokens, and text that never shows half a character."""

import pytest
from conftest import STARTER

from studio.inference.local.generation import IncrementalDecoder
from studio.inference.sampling import Sampling

MODEL = STARTER


class _Encoder:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer


@pytest.fixture(scope="module")
def encoder():
    from transformers import AutoTokenizer

    return _Encoder(AutoTokenizer.from_pretrained(MODEL))


@pytest.mark.parametrize(
    "said", ["你好，世界。鑫森淼焱垚", "Hi 👩‍🚀🎉 héllo 🇨🇳", "  two  spaces\n\n\tand a tab", "plain words"]
)
def test_text_grows_by_whole_characters(encoder, said):
    ids = encoder.tokenizer.encode(said, add_special_tokens=False)
    text, seen = IncrementalDecoder(encoder), []
    for count in range(len(ids) + 1):
        seen.append(text.of(ids[:count], whole=False))
    assert seen[-1] == said
    assert all(said.startswith(piece) and "\ufffd" not in piece for piece in seen)
    assert text.of(ids, whole=True) == said


def test_a_character_cut_off_for_good_is_left_out(encoder):
    ids = encoder.tokenizer.encode("ok 🎉", add_special_tokens=False)
    assert encoder.tokenizer.decode(ids[:-1]).endswith("\ufffd")
    assert IncrementalDecoder(encoder).of(ids[:-1], whole=True).strip() == "ok"


def test_special_tokens_are_not_shown(encoder):
    ids = encoder.tokenizer.encode("<|im_start|>yes", add_special_tokens=False)
    assert IncrementalDecoder(encoder).of(ids, whole=False) == "yes"


def _drawn(sampling: Sampling, scores, times: int):
    import torch

    draw = sampling.logits_processor()
    return torch.stack([draw(None, scores).argmax(-1) for _ in range(times)])


def test_tokens_are_drawn_by_their_shares():
    import torch

    scores = torch.tensor([[0.0, 1.0, 2.0, -3.0]])
    drawn = _drawn(Sampling(temperature=0.5, top_p=1), scores, 4000)
    shares = torch.bincount(drawn[:, 0], minlength=4) / 4000
    assert torch.allclose(shares, torch.softmax(scores[0] / 0.5, -1), atol=0.03)


@pytest.mark.parametrize("spread", [0.01, 3.0])
def test_top_p_keeps_what_transformers_keeps(spread):
    """A flat distribution needs more tokens than are looked at first; a steep one a handful."""
    import torch
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    scores = spread * torch.randn((2, 2000), generator=torch.Generator().manual_seed(0))
    kept = torch.isfinite(TopPLogitsWarper(0.8)(None, TemperatureLogitsWarper(0.9)(None, scores)))
    drawn = _drawn(Sampling(temperature=0.9, top_p=0.8), scores, 1500)
    for row in (0, 1):
        assert kept[row][drawn[:, row]].all()
        assert len(drawn[:, row].unique()) > min(800, 0.5 * kept[row].sum())


def test_rows_share_their_luck_and_not_their_neighbours():
    import torch

    scores = torch.randn((3, 500), generator=torch.Generator().manual_seed(1))
    together = _drawn(Sampling(seed=7), scores[[0, 0, 2]], 50)
    alone = _drawn(Sampling(seed=7), scores[:1], 50)
    assert torch.equal(together[:, 0], together[:, 1])
    assert torch.equal(together[:, 0], alone[:, 0])
    assert not torch.equal(together[:, 0], together[:, 2])
    assert not torch.equal(alone, _drawn(Sampling(seed=8), scores[:1], 50))

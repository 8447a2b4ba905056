"""Adapters of every make answer beside the base as peft lets each answer alone, whether peft is passed by or not."""

import pytest
import torch

from studio.inference.local.lora_batch import LoraBatch

MAKES = {
    "plain": ({"target_modules": ["q_proj", "down_proj"]}, True),
    "embedding": ({"target_modules": ["q_proj", "embed_tokens"]}, False),
    "whole layer": ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, False),
    "bias": ({"target_modules": ["q_proj"], "lora_bias": True}, False),
}


def _model():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=97, num_key_value_heads=2, tie_word_embeddings=False, **sizes))


def _tuned(more: dict):
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(_model(), LoraConfig(r=3, task_type="CAUSAL_LM", init_lora_weights=False, **more)).eval()
    if "modules_to_save" in more:
        with torch.no_grad():
            tuned.get_output_embeddings().weight.mul_(-1)
    return tuned


@pytest.mark.parametrize("make", MAKES)
def test_a_row_says_what_peft_says_of_it_alone(make):
    more, passed_by = MAKES[make]
    tuned, ids = _tuned(more), torch.tensor([[5, 7, 11, 13]])
    with torch.inference_mode():
        expected = tuned(input_ids=ids).logits[0]
        with tuned.disable_adapter():
            base = tuned(input_ids=ids).logits[0]
        assert not torch.allclose(expected, base)
        batch, rows = LoraBatch(tuned), ["__base__", "default"]
        assert batch.fits(rows) is passed_by
        batch.set_adapters(rows)
        if passed_by:
            with batch.in_place():
                together = tuned(input_ids=ids.repeat(2, 1)).logits
        else:
            together = tuned(input_ids=ids.repeat(2, 1), adapter_names=rows).logits
        torch.testing.assert_close(together, torch.stack([base, expected]), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(tuned(input_ids=ids).logits[0], expected)  # nothing stays behind


def test_an_adapter_of_another_kind_leaves_the_rows_of_the_others_to_the_short_way():
    from peft import LoraConfig

    tuned, ids = _tuned({"target_modules": ["q_proj"]}), torch.tensor([[5, 7, 11]])
    expected = tuned(input_ids=ids).logits[0]
    odd = LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], use_dora=True)
    tuned.add_adapter("dora", odd)
    batch = LoraBatch(tuned)
    assert batch.fits(["__base__", "default"]) and not batch.fits(["__base__", "dora"])
    batch.set_adapters(["default"])
    with torch.inference_mode(), batch.in_place():
        torch.testing.assert_close(tuned(input_ids=ids).logits[0], expected, rtol=1e-4, atol=1e-4)

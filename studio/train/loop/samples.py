"""Probe questions: the model that trains answers the same few questions again and again, so that one sees it learn."""

import time
from typing import TYPE_CHECKING

from studio.core import llamafactory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST = 5
TOKENS = 64


def ask(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", template: str, questions: list[str]
) -> list[dict[str, object]]:
    """Let the model in training answer, greedily, and return [{question, answer, tokens, seconds}].

    The prompt is encoded by LLaMA-Factory's template of the run, which the run has made ready itself. Nothing is drawn
    at random and the model is put back as it was, so that the losses are those of a run without probes.

    Args:
        template: the name of the template.
        questions: at most MOST of them are asked, each alone.

    Raises:
        KeyError: LLaMA-Factory has no such template.
    """
    llamafactory.load()
    import torch
    from llamafactory.data.template import TEMPLATES

    shape, was_training = TEMPLATES[template], model.training
    stops = [token for token in shape.get_stop_token_ids(tokenizer) if token is not None]
    model.eval()
    try:
        with torch.no_grad():
            return [_answer(model, tokenizer, shape, stops, question) for question in questions[:MOST]]
    finally:
        model.train(was_training)


def _answer(model, tokenizer, shape, stops: list[int], question: str) -> dict[str, object]:
    llamafactory.load()
    import torch

    began = time.perf_counter()
    talk = [{"role": "user", "content": question}, {"role": "assistant", "content": ""}]
    prompt, _ = shape.encode_oneturn(tokenizer, talk)
    ids = torch.tensor([prompt], device=next(model.parameters()).device)
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=TOKENS,
        do_sample=False,
        eos_token_id=stops,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=True,
        temperature=None,
        top_p=None,
        top_k=None,
    )[0, len(prompt) :]
    return {
        "question": question,
        "answer": tokenizer.decode(out, skip_special_tokens=True).strip(),
        "tokens": len(out),
        "seconds": round(time.perf_counter() - began, 2),
    }

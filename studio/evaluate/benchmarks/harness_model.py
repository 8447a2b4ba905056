"""A loaded model as lm-eval asks one: its own class for models of transformers, on weights that are in memory already,
with prompts as training spells them."""

import copy
import threading

from studio.core import llamafactory
from studio.inference.local.generation import Batch, GrowingAnswer, LoadedTarget
from studio.inference.local.prompt_encoding import Prompt
from studio.inference.messages import Message
from studio.inference.sampling import Sampling

LONGEST_ANSWER = 1024


class SpelledPrompts:
    """Conversations as texts, and the token ids that they are: lm-eval passes texts around, and another encoding of the
    same text may be other tokens.
    """

    def __init__(self, loaded: LoadedTarget):
        self._encoder = loaded.encoder
        self._ids: dict[str, list[int]] = {}

    def spell(self, history: list[Message], goes_on: bool) -> str:
        """Return a conversation as the target's template spells it, up to where the answer begins.

        Args:
            goes_on: whether its last message is the begin of the answer, which the model goes on with.
        """
        begun = history[-1]["content"] if goes_on and history[-1]["role"] == "assistant" else ""
        asked = history[:-1] if begun else history
        ids = list(self._encoder.encode([dict(one) for one in asked]))
        if begun:
            ids += self._encoder.tokenizer.encode(begun, add_special_tokens=False)
        text = self._encoder.tokenizer.decode(ids)
        self._ids[text] = ids
        return text

    def ids(self, text: str) -> list[int] | None:
        """Return the tokens of a conversation that was spelled; None for any other text."""
        return self._ids.get(text)


def language_model(loaded: LoadedTarget, batch: int, stop: threading.Event):
    """Return a loaded model as an `lm_eval.models.huggingface.HFLM`; its weights are not touched.

    Args:
        batch: prompts at a time.
        stop: ends the answers under way.
    """
    llamafactory.load()
    from lm_eval.models.huggingface import HFLM

    prompts = SpelledPrompts(loaded)

    class LoadedModelLM(HFLM):
        """lm-eval's own, but for where the prompts come from and through which adapter they go."""

        def apply_chat_template(self, chat_history: list[Message], add_generation_prompt: bool = True) -> str:
            return prompts.spell(chat_history, not add_generation_prompt)

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **more) -> list[int]:
            known = prompts.ids(string)
            return list(known) if known else super().tok_encode(string, add_special_tokens, **more)

        def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
            if known := prompts.ids(context):
                return list(known), self.tokenizer.encode(continuation, add_special_tokens=False)
            return super()._encode_pair(context, continuation)

        def _model_call(self, inps, attn_mask=None, labels=None):
            with loaded.model.forward([loaded.adapter] * len(inps)) as forward:
                return forward(input_ids=inps).logits

        def generate_until(self, requests, disable_tqdm: bool = False) -> list[str]:
            return [text for at in range(0, len(requests), batch) for text in self._answers(requests[at : at + batch])]

        def _answers(self, requests) -> list[str]:
            asked = [(self.tok_encode(one.args[0]), one.args[1]) for one in requests]
            most = max(int(options.get("max_gen_toks") or LONGEST_ANSWER) for _, options in asked)
            sampling = Sampling(0.0, 1.0, min(most, LONGEST_ANSWER), 0)
            rows = [GrowingAnswer(loaded, Prompt(ids), sampling) for ids, _ in asked]
            Batch(rows, threading.Event(), [stop]).run(sampling)
            texts = [self.tokenizer.decode(row.tokens, skip_special_tokens=True) for row in rows]
            return [_until(text, options) for text, (_, options) in zip(texts, asked, strict=True)]

    tokenizer = copy.deepcopy(loaded.encoder.tokenizer)  # it sets the padding of what it gets
    return LoadedModelLM(
        pretrained=loaded.model.transformers_model, tokenizer=tokenizer, batch_size=batch, softmax_dtype="float32"
    )


def _until(text: str, options: dict) -> str:
    """Return what stands before the first of the texts at which a task's answers end."""
    until = options.get("until") or []
    for end in [until] if isinstance(until, str) else until:
        text = text.split(end)[0] if end else text
    return text

"""The starter's tokenizer with the special tokens of any template, so that prompts can be compared token for token."""

import copy
import re
from functools import cache
from pathlib import Path

from studio.core import llamafactory
from studio.export.templates.slots import SpecialTokens, slots_of

STARTER = Path(__file__).parents[1] / "models" / "SmolLM2-135M-Instruct"
_TOKEN = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|\[\|[a-z]+\|\]|◁/?think▷|\]~!?b\[?|\[e~\[")


def tokenizer_for(template):
    """Return a tokenizer as training with this template has it: BOS `<s>`, every mark of the template one token, and
    what `fix_special_tokens` does.
    """
    tokenizer = copy.deepcopy(_starter())
    marks = slots_of(template, SpecialTokens(tokenizer.bos_token, tokenizer.eos_token))
    blocks = (marks.system, marks.user, marks.assistant, marks.function, marks.observation)
    texts = [marks.prefix, *(text for one in blocks for text in (one.before, one.after, one.head))]
    found = {token for text in [*texts, *template.thought_words] for token in _TOKEN.findall(text)}
    tokenizer.add_special_tokens({"additional_special_tokens": sorted(found)})
    template.fix_special_tokens(tokenizer)
    return tokenizer


@cache
def _starter():
    llamafactory.load()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>"})  # its own are those of chatml
    return tokenizer

"""The trained template as the engines take it: made of LLaMA-Factory's, by what Export makes of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.records import Record
from studio.deploy.served_source import Source
from studio.export.templates.jinja import jinja_template
from studio.export.templates.training import special_tokens
from studio.inference.local.base_loading import encoder_of

JINJA = "chat_template.jinja"


@dataclass(frozen=True)
class TrainedPrompt:
    """What makes a prompt of training: LLaMA-Factory's template, the tokenizer as training left it, its processor."""

    template: object
    tokenizer: object
    processor: object


def trained_prompt(source: Source) -> TrainedPrompt:
    """Return the prompt of what is served; the tokenizer is loaded for it. Raises Problem where it cannot be."""
    encoder = encoder_of(source.target.base, source.target)
    return TrainedPrompt(encoder.template, encoder.tokenizer, encoder.processor)


def jinja_text(source: Source) -> str:
    """Return the chat template of training in Jinja. Raises Problem where it cannot be made."""
    prompt = trained_prompt(source)
    try:
        return jinja_template(prompt.template, special_tokens(prompt.tokenizer), prompt.processor).text
    except ValueError as error:
        raise Problem("deploy.no_jinja", template=source.target.template, reason=reasons.of(error)) from error


class AdapterRank(Record):
    """What an adapter's description says of its size."""

    r: int = 8
    rank_pattern: dict[str, int] = {}


RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM knows


def largest_rank(adapters: Iterable[Path]) -> int:
    """Return the smallest rank that vLLM knows and that none of the adapters exceeds. Raises Problem where one cannot
    be read.
    """
    found = [records.load(folder / "adapter_config.json", AdapterRank) for folder in adapters]
    largest = max([1, *(max([one.r, *one.rank_pattern.values()]) for one in found)])
    return next((rank for rank in RANKS if rank >= largest), largest)

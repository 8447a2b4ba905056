"""LLaMA-Factory's templates by number. To ask for their names while tests are collected would import the engine."""

import copy
from functools import cache

from conftest import one_in

from benchmarks.template_tokenizer import tokenizer_for
from studio.export.templates import training
from studio.models.chat_template_match.template_match import shipped

# Each eighth is always tried, all of them with the long tests and by `python -m benchmarks parity`.
NUMBERS = one_in(8, range(121))


def template_name(number: int) -> str:
    """Return the name of one of them."""
    return sorted(shipped())[number]


@cache
def made(name: str):
    """Return a template, a tokenizer for it, and its special tokens: made once, and only read."""
    return changed(name)


def changed(name: str, **settings):
    """Return the same of a template of which some settings are others."""
    template = copy.deepcopy(shipped()[name])
    for key, value in settings.items():
        setattr(template, key, value)
    tokenizer = tokenizer_for(template)
    return template, tokenizer, training.special_tokens(tokenizer)

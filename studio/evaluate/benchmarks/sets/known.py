"""The benchmarks that are known by name: their licence, where they are to be had, and what their subjects are called.

The names and categories of the subjects, and their order, are those of LLaMA-Factory's evaluation (Apache 2.0).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from studio.core.storage.records import Record

_MANY = 10  # so many subjects that are all of one benchmark are no coincidence


class Subject(Record):
    """What a subject is called in the prompt, and the category that it counts to ("" for none)."""

    name: str
    category: str = ""


@dataclass(frozen=True)
class Known:
    """A benchmark that is known by name.

    licence: as its authors give it. free: whether that allows commercial use. language: of its questions. split: which
    of its parts has answers. huggingface, modelscope: the repositories of data sets that hold it.
    """

    name: str
    title: str
    licence: str
    free: bool
    language: str
    split: str
    huggingface: str
    modelscope: str


KNOWN = {
    one.name: one
    for one in (
        Known("mmlu", "MMLU", "MIT", True, "en", "test", "cais/mmlu", "cais/mmlu"),
        Known("ceval", "C-Eval", "CC BY-NC-SA 4.0", False, "zh", "val", "ceval/ceval-exam", "evalscope/ceval"),
        Known("cmmlu", "CMMLU", "CC BY-NC-SA 4.0", False, "zh", "test", "haonan-li/cmmlu", "evalscope/cmmlu"),
    )
}


def which(name: str, keys: Iterable[str]) -> Known | None:
    """Return the known benchmark that a set is, by its name or by its subjects; None for any other set."""
    found = set(keys)
    for one in KNOWN.values():
        named = name.casefold().replace("-", "").startswith(one.name)
        if found and found <= _subjects(one.name).keys() and (named or len(found) >= _MANY):
            return one
    return None


def subjects(name: str, keys: Iterable[str]) -> dict[str, Subject]:
    """Return names and categories of the subjects of a set that is known and has no `mapping.json`, in the order of
    LLaMA-Factory's evaluation; {} for any other set.
    """
    found = which(name, keys)
    return dict(_subjects(found.name)) if found else {}


@cache
def _subjects(name: str) -> dict[str, Subject]:
    text = resources.files(__package__).joinpath("subjects", f"{name}.json").read_text(encoding="utf-8")
    return {key: Subject.model_validate(value) for key, value in json.loads(text).items()}

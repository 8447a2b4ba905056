"""The words on the page, in English and Simplified Chinese, and the faults that are told to a person in them.

Words live in `words/<language>/<room>.json`: flat objects of `name: sentence`. The key of a sentence is `room.name`;
facts are put in with `str.format`.
"""

import json
from functools import cache
from pathlib import Path

from studio.core.plain import fact

FOLDER = Path(__file__).parent / "words"
LANGUAGES = ("en", "zh")
REASON_PARTS = {"key", "facts"}


@cache
def sentences(language: str) -> dict[str, str]:
    """Return every sentence of one language, as `room.name` -> text. Raises KeyError for one that has no words."""
    if language not in LANGUAGES:
        raise KeyError(language)
    return {
        f"{path.stem}.{name}": text
        for path in sorted((FOLDER / language).glob("*.json"))
        for name, text in json.loads(path.read_text(encoding="utf-8")).items()
    }


class Words:
    """The words of one language: `words("train.start")`, `words("train.left", minutes=3)`."""

    def __init__(self, language: str):
        self.language = language
        self._sentences = sentences(language)

    def __call__(self, key: str, /, **facts: object) -> str:
        """Return the sentence of `key` with `facts` put in, whatever they hold. Raises KeyError for a key that is in no
        word file.
        """
        if not facts:
            return self._sentences[key]
        told = {name: fact(self._reason(value) or value) for name, value in facts.items()}
        return self._sentences[key].format(**told)

    def _reason(self, value: object) -> str | None:
        """Return a fact that is a Reason, or one that stood on disk, in this language; None for any other fact."""
        if not isinstance(value, dict) or value.keys() != REASON_PARTS or not isinstance(value["facts"], dict):
            return None
        known = isinstance(value["key"], str) and self.has(value["key"])
        return self(value["key"], **value["facts"]) if known else None

    def has(self, key: str) -> bool:
        """Tell whether there is a sentence for `key`."""
        return key in self._sentences

    def tell(self, error: BaseException) -> str:
        """Return what a person should read of `error`: a Problem in this language, else type and message."""
        if isinstance(error, Problem):
            return self(error.key, **error.facts)
        return f"{type(error).__name__}: {fact(error)}"


class Reason(dict):
    """A part of a sentence that is told in the language of the page too: why a library failed (see `core.reasons`).

    `key` is one of the room `reasons`, or that of a whole sentence, and `facts` fill it. It is a plain
    {"key", "facts"}, so that it goes to disk and comes back as what it is; `str()` is the English one.
    """

    def __init__(self, key: str, /, **facts: object):
        super().__init__(key=key, facts=facts)

    @property
    def key(self) -> str:
        return self["key"]

    @property
    def facts(self) -> dict:
        return self["facts"]

    def __str__(self) -> str:
        return Words("en")(self.key, **self.facts)


class Problem(Exception):
    """A fault told to a person in one sentence: what is wrong, where, and what to do.

    `key` names the sentence in the word files and `facts` fill it, so that each page tells it in its own language;
    `str()` is the English one, for the API and the log.
    """

    def __init__(self, key: str, /, **facts: object):
        super().__init__(key)
        self.key, self.facts = key, facts

    def __str__(self) -> str:
        return Words("en")(self.key, **self.facts)

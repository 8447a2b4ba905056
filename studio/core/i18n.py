"""The words on the page, in English and Simplified Chinese, and the faults that are told to a person in them.

Words live in `words/<language>/<room>.json`: flat objects of `name: sentence`. The key of a sentence is `room.name`;
facts are put in with `str.format`. `{field:setting}` stands for a setting of LLaMA-Factory by the label that the form
has for it, in the room `settings`, and `{cutoff_len:setting}` for that one.
"""

import json
import re
from functools import cache
from pathlib import Path

from studio.core.plain import fact

FOLDER = Path(__file__).parent / "words"
LANGUAGES = ("en", "zh")
REASON_PARTS = {"key", "facts"}
SETTING = re.compile(r"( ?)\{(\w+):setting\}( ?)")


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
        sentence = self._sentences[key]
        shown = {name: fact(self._reason(value) or value) for name, value in facts.items()}
        if ":setting}" in sentence:
            sentence = SETTING.sub(lambda part: self._setting(part, str(shown.get(part[2], part[2]))), sentence)
        return sentence.format(**shown) if facts else sentence

    def _setting(self, part: re.Match[str], name: str) -> str:
        """Return what the form calls a setting of LLaMA-Factory, with its name in brackets, for its part of a sentence
        that has facts yet to be put in; its name alone where it has no label.
        """
        label = self._sentences.get(f"settings.{name}")
        text = self("settings.named", label=label, name=name) if label else name
        before = "" if label and not text[0].isascii() else part[1]
        after = "" if text.endswith("）") else part[3]  # a wide bracket brings its own space
        return before + text.replace("{", "{{").replace("}", "}}") + after

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

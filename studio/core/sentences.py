"""Sentences that stand on disk as {"key", "facts"}, so that each page tells them in its own language. They may be of
another release.
"""

from studio.core.i18n import Problem, Words
from studio.core.storage.records import Record


class Sentence(Record):
    """The key of a sentence in the word files, and the facts that fill it."""

    key: str
    facts: dict[str, object] = {}

    def tell(self, words: Words) -> str:
        """Return the sentence in the language of `words`; its key where this release has no such sentence, or one of
        other facts.
        """
        try:
            return words(self.key, **self.facts)
        except (LookupError, ValueError, TypeError, AttributeError):
            return words("records.old_sentence", name=self.key[:100])

    def problem(self) -> Problem:
        """Return the fault that this sentence tells."""
        try:
            str(Problem(self.key, **self.facts))
        except (LookupError, ValueError, TypeError, AttributeError):
            return Problem("records.old_sentence", name=self.key[:100])
        return Problem(self.key, **self.facts)

"""A tokenizer that notes what it is to encode and encodes all of it at once."""

import sys

from studio.datasets.encoding.encoded_row import IGNORED

UNCUT = sys.maxsize  # a cutoff that nothing reaches


class DeferredTokenizer:
    """A tokenizer that first only notes what it is to encode, then encodes all of it at once, on every core.

    While it notes, one number below NOTED stands for all the tokens of a text: a sequence that is not cut can be
    counted by them.
    """

    NOTED = -1000

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._places: dict[str, int] = {}
        self._encoded: list | None = None

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Return one number that stands for a text, [1]; after `encode_all` its ids, [sequence]."""
        place = self._places.setdefault(text, len(self._places))
        return [self.NOTED - place] if self._encoded is None else list(self._ids(place))

    def __call__(
        self, texts: list[str], truncation: bool = False, max_length: int = UNCUT, **settings
    ) -> dict[str, list]:
        return {"input_ids": [self.encode(text)[:max_length] for text in texts]}

    def encode_all(self) -> None:
        """Encode every text that was noted."""
        if not self._places:
            self._encoded = []
        elif self._tokenizer.is_fast:
            core = self._tokenizer.backend_tokenizer
            core.no_truncation()  # a call before may have left it
            self._encoded = core.encode_batch_fast(list(self._places), add_special_tokens=False)
        else:
            self._encoded = self._tokenizer(list(self._places), add_special_tokens=False)["input_ids"]

    def length(self, noted: list[int]) -> int:
        """Return how many tokens a sequence has that was made while noting.

        Args:
            noted: [sequence of texts] numbers as `encode` gave them, between the ids of single tokens.
        """
        return sum(len(self._encoded[self.NOTED - id]) if id <= self.NOTED else 1 for id in noted)

    def trained(self, labels: list[int]) -> int:
        """Return how many of them are trained; a label of its own, as that of an end token, is one."""
        return sum(
            len(self._encoded[self.NOTED - label]) if label <= self.NOTED else 1 for label in labels if label != IGNORED
        )

    def _ids(self, place: int) -> list[int]:
        encoded = self._encoded[place]
        return encoded if isinstance(encoded, list) else encoded.ids

    def __getattr__(self, name: str):
        return getattr(self._tokenizer, name)

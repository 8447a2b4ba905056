"""What the model sees of a row: its tokens, and which of them are trained, by LLaMA-Factory's own converters and
processors.
"""

import copy
from collections.abc import Iterable
from pathlib import Path

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.datasets.encoding.deferred_tokenizer import UNCUT, DeferredTokenizer
from studio.datasets.encoding.encoded_row import IGNORED, Question, Sequence, Token, TokenCount
from studio.datasets.encoding.quiet import quiet
from studio.datasets.encoding.row_converter import ROW_FAULTS, RowConverter
from studio.datasets.encoding.tokenization import data_arguments, load_tokenization
from studio.datasets.schema.observed_schema import Shape

PAIR_STAGES = ("dpo", "rm", "orpo", "simpo")


class RowEncoder:
    """Encodes the rows of one dataset as LLaMA-Factory does for training: a tokenizer, a template and settings.

    Args:
        model: folder of the model, as `library.find` gives it.
        entry: the dataset's entry of `dataset_info.json`.
        data_folder: where the paths of images begin.
        stage: "pt", "sft", "dpo" (or "rm", "orpo", "simpo"), "ppo", "kto".
        settings: LLaMA-Factory's data arguments (`template`, `cutoff_len` in tokens, `mask_history`,
            `train_on_prompt`, `packing`, `default_system`, ...); a whole recipe will do, what concerns neither data nor
            tokenizer is left aside.

    Raises:
        Problem: there is no such template, the tokenizer cannot be read, the settings contradict each other, or the
            dataset is not one for this stage.
    """

    def __init__(self, model: Path, entry: dict, data_folder: Path, stage: str, settings: dict):
        self.shape = Shape.of(entry)
        self.stage = "rm" if stage in PAIR_STAGES else stage
        if (self.stage == "rm") != bool(entry.get("ranking")):
            raise Problem("tokens.wrong_stage", stage=stage, made_for=self.shape.stage)
        self._arguments = data_arguments(data_folder, self.stage, settings)
        self._tokenization = load_tokenization(model, settings)
        self._converter = RowConverter(entry, self._arguments)

    @property
    def cutoff(self) -> int:
        """The most tokens that one sequence may have (`cutoff_len`)."""
        return self._arguments.cutoff_len

    @property
    def packing(self) -> bool:
        """Whether rows are joined into blocks of `cutoff` tokens, as in pre-training unless the settings forbid it."""
        return bool(self._arguments.packing) and self.stage in ("pt", "sft")

    def observe_schema(self, rows: Iterable[dict]) -> None:
        """Take in which keys other rows of the same file have: in a row that lacks them they are null, inside a tool
        call too.
        """
        self._converter.observe_schema(rows)

    def encode(self, row: dict) -> list[Sequence]:
        """Encode one row by itself.

        Args:
            row: as it stands in the file.

        Returns:
            One sequence, or chosen and rejected of a pair; each has [sequence] tokens with as many labels, at most
            `cutoff` of them.

        Raises:
            Problem: LLaMA-Factory drops the row or fails on it.
        """
        with self._tokenization.lock, quiet():
            try:
                sequences = self._sequences(self._converter.align(row), self._processor(packing=False))
            except ROW_FAULTS as error:
                raise Problem("tokens.row_fails", reason=reasons.of(error)) from error
            if not sequences:
                raise Problem("tokens.row_dropped")
            return [Sequence(name, self._tokens(ids, labels)) for name, ids, labels in sequences]

    def question(self, row: dict) -> Question:
        """Encode one row as LLaMA-Factory's `do_predict` does: the prompt of its last turn, and the answer expected.

        Args:
            row: as it stands in the file.

        Raises:
            Problem: LLaMA-Factory drops the row or fails on it.
        """
        with self._tokenization.lock, quiet():
            try:
                aligned = self._converter.align(row)
                whole = self._predicted(aligned, UNCUT)
                cut = whole and self._predicted(aligned, self.cutoff)
            except ROW_FAULTS as error:
                raise Problem("tokens.row_fails", reason=reasons.of(error)) from error
            if not whole:
                raise Problem("tokens.row_dropped")
            return Question(*cut, aligned=aligned, is_cut=cut != whole)

    def _predicted(self, aligned: dict, cutoff: int) -> tuple[list[int], list[int]] | None:
        """Return (prompt ids, label ids) by LLaMA-Factory's processor for generation, None where it drops the row."""
        llamafactory.load()
        from llamafactory.data.processor import UnsupervisedDatasetProcessor

        arguments = copy.copy(self._arguments)
        arguments.cutoff_len = cutoff
        parts = self._tokenization
        processor = UnsupervisedDatasetProcessor(
            template=parts.template, tokenizer=parts.tokenizer, processor=parts.processor, data_args=arguments
        )
        columns = processor.preprocess_dataset({key: [value] for key, value in aligned.items()})
        return (columns["input_ids"][0], columns["labels"][0]) if columns["input_ids"] else None

    def decode(self, ids: list[int], with_special: bool) -> str:
        """Return the text of ids as LLaMA-Factory's predictions have it, with special tokens or without."""
        with self._tokenization.lock:
            return self._tokenization.tokenizer.decode(ids, skip_special_tokens=not with_special)

    @property
    def predict_stop_ids(self) -> frozenset[int]:
        """The tokens at which LLaMA-Factory's `do_predict` ends an answer: the end token and all further special ones
        that the tokenizer declares (train/sft/workflow.py).
        """
        tokenizer = self._tokenization.tokenizer
        more = getattr(tokenizer, "additional_special_tokens_ids", None)
        if not isinstance(more, list):
            texts = [str(token) for token in getattr(tokenizer, "_extra_special_tokens", [])]
            more = tokenizer.convert_tokens_to_ids(texts)
        return frozenset(id for id in [tokenizer.eos_token_id, *more] if id is not None and id != -1)

    def packed(self, rows: list[dict]) -> list[Sequence]:
        """Encode rows and pack them into blocks, as LLaMA-Factory does with each 1000 rows of a file.

        Returns:
            The blocks, [block, sequence]; for "sft" each is padded to `cutoff` + 1 tokens (processor/supervised.py).

        Raises:
            Problem: LLaMA-Factory fails on a row.
        """
        with self._tokenization.lock, quiet():
            try:
                sequences = self._sequences([self._converter.align(row) for row in rows], self._processor(packing=True))
            except ROW_FAULTS as error:
                raise Problem("tokens.row_fails", reason=reasons.of(error)) from error
            return [Sequence(name, self._tokens(ids, labels)) for name, ids, labels in sequences]

    def counts(self, rows: list[dict]) -> list[TokenCount]:
        """Count the tokens of many rows without the tokens themselves; some hundred at once are tokenised together.

        Returns:
            One TokenCount for each row, in their order; a row on which LLaMA-Factory fails counts as dropped.
        """
        with self._tokenization.lock, quiet():
            encoded = DeferredTokenizer(self._tokenization.tokenizer)
            whole, cut = self._processor(False, UNCUT, encoded), self._processor(False, None, encoded)
            aligned = [self._try(self._converter.align, row) for row in rows]
            noted = [self._try(self._sequences, row, whole) or [] for row in aligned]
            encoded.encode_all()
            return [
                self._count(row, sequences, encoded, whole, cut) for row, sequences in zip(aligned, noted, strict=True)
            ]

    def _try(self, work, row: dict | None, *rest):
        """Return what `work` makes of a row, None where LLaMA-Factory fails on it: such a row counts as dropped."""
        try:
            return None if row is None else work(row, *rest)
        except ROW_FAULTS:
            return None

    def _count(self, row: dict | None, noted: list[tuple], encoded: DeferredTokenizer, whole, cut) -> TokenCount:
        length = max((encoded.length(ids) for _, ids, _ in noted), default=0)
        is_cut = length > self.cutoff and not (self.stage == "pt" and self.packing)
        if not length or (not is_cut and self.stage != "pt"):
            return TokenCount(
                length,
                sum(encoded.length(ids) for _, ids, _ in noted),
                sum(encoded.trained(labels) for _, _, labels in noted),
            )
        sequences = self._try(self._sequences, row, cut if is_cut else whole) or []
        return TokenCount(
            length,
            sum(len(ids) for _, ids, _ in sequences),
            sum(len(labels) - labels.count(IGNORED) for _, _, labels in sequences),
        )

    def _processor(self, packing: bool, cutoff: int | None = None, tokenizer=None):
        """Return LLaMA-Factory's processor for this stage; `cutoff` and `tokenizer` stand for those of the settings."""
        llamafactory.load()
        from llamafactory.data.loader import _get_dataset_processor

        arguments = copy.copy(self._arguments)
        arguments.packing = packing
        # Concerns attention only, and would change a class of the datasets library for all.
        arguments.neat_packing = False
        if self.stage == "pt" and self.packing and not packing:
            # packing cuts the joined text into blocks and a row only where a block ends; only a block has a start token
            cutoff = UNCUT
        arguments.cutoff_len = cutoff or arguments.cutoff_len
        return _get_dataset_processor(
            arguments,
            self.stage,
            self._tokenization.template,
            tokenizer or self._tokenization.tokenizer,
            self._tokenization.processor,
        )

    def _sequences(self, rows: dict | list[dict], processor) -> list[tuple]:
        """Return (name, ids, labels) of each sequence that a processor makes of an aligned row, or of several.

        `ids` and `labels` are lists of the same length, [sequence]; labels are IGNORED (-100) where nothing is trained.
        """
        rows = [rows] if isinstance(rows, dict) else rows
        if not rows:
            return []
        columns = processor.preprocess_dataset({key: [row[key] for row in rows] for key in rows[0]})
        if self.stage == "rm":
            return [
                sequence
                for index in range(len(columns["chosen_input_ids"]))
                for sequence in (
                    ("chosen", columns["chosen_input_ids"][index], columns["chosen_labels"][index]),
                    ("rejected", columns["rejected_input_ids"][index], columns["rejected_labels"][index]),
                )
            ]
        if self.stage == "pt":
            adds_start = getattr(self._tokenization.tokenizer, "add_bos_token", False)
            first = 1 if adds_start and self.packing and not processor.data_args.packing else 0
            return [("text", ids[first:], self._labels_of_text(ids[first:])) for ids in columns["input_ids"]]
        if self.stage == "ppo":
            return [("text", ids, [IGNORED] * len(ids)) for ids in columns["input_ids"]]
        return [("text", ids, labels) for ids, labels in zip(columns["input_ids"], columns["labels"], strict=True)]

    def _labels_of_text(self, ids: list[int]) -> list[int]:
        """Return the labels, [sequence], that pre-training gives the ids of a text.

        Its collator leaves out what looks like padding, so often the end token.
        """
        if not ids:
            return []
        return self._tokenization.collator([{"input_ids": ids, "attention_mask": [1] * len(ids)}])["labels"][0].tolist()

    def _tokens(self, ids: list[int], labels: list[int]) -> list[Token]:
        texts = pieces(self._tokenization.tokenizer, ids)
        return [Token(text, id, label != IGNORED, label) for text, id, label in zip(texts, ids, labels, strict=True)]


def pieces(tokenizer, ids: list[int]) -> list[str]:
    """Return the text of each token, so that together they are the text of all.

    A token's text is what it adds to those just before it: a tokenizer may show a token differently at the start of a
    text, and a character of several tokens has no text before its last one.

    Args:
        tokenizer: transformers' tokenizer.
        ids: of the tokens, [sequence].

    Returns:
        As many texts as ids; "".join of them is the text of all.
    """

    def text(start: int, end: int) -> str:
        return tokenizer.decode(ids[start:end], skip_special_tokens=False, clean_up_tokenization_spaces=False)

    texts, shown, start = [], 0, 0
    for end in range(1, len(ids) + 1):
        before, after = text(start, shown), text(start, end)
        if after.endswith("\ufffd") and end < len(ids):
            texts.append("")
            continue
        texts.append(after[len(before) :])
        start, shown = shown, end
    return texts

"""What the model sees of a row: its tokens, and which of them are trained, by LLaMA-Factory's own converters and
processors.
"""

import contextlib
import copy
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from studio.core import llamafactory, reasons, trust
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.datasets.encoding.loaded_row import filled, structure_of, widened
from studio.datasets.encoding.template_copy import own_template
from studio.datasets.schema.observed_schema import Shape
from studio.models.library import library

IGNORED = -100  # the label of a token that is not trained (llamafactory.extras.constants.IGNORE_INDEX)
PAIR_STAGES = ("dpo", "rm", "orpo", "simpo")
WHOLE = sys.maxsize
# Where LLaMA-Factory warns of each row that it drops, with all of the row.
_TALKERS = (
    "converter",
    "processor.supervised",
    "processor.pairwise",
    "processor.feedback",
    "processor.unsupervised",
    "mm_plugin",
)
# What its converters, templates and processors raise on a row that is not as they expect.
_ROW_FAULTS = (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Token:
    """One token of a sequence. `text` may be empty: where a character takes several tokens, the last of them shows it.

    `label` is the id that training compares with, IGNORED where the token is not trained. It is `id` but in templates
    that end an answer with the end token only in training ("efficient_eos"): there the next question's first token
    stands for it.
    """

    text: str
    id: int
    trained: bool
    label: int


@dataclass(frozen=True)
class Sequence:
    """One sequence that is trained on; `name` is "text", "chosen" or "rejected"."""

    name: str
    tokens: list[Token]


@dataclass(frozen=True)
class Count:
    """Tokens of one row: `whole` if nothing were cut (the longer of chosen and rejected), `kept` and `trained` under
    the cutoff.

    Those of chosen and rejected together count as `kept` and `trained`. A row that LLaMA-Factory drops has 0 of each.
    """

    whole: int
    kept: int
    trained: int


class RowEncoder:
    """A model's tokenizer with a template and the settings of one dataset's training.

    Args:
        model: folder of the model, as `library.find` gives it.
        entry: the dataset's entry of `dataset_info.json`.
        data_folder: where the paths of images begin.
        stage: "pt", "sft", "dpo" (or "rm", "orpo", "simpo"), "ppo", "kto".
        settings: LLaMA-Factory's data arguments (`template`, `cutoff_len`, `mask_history`, `train_on_prompt`,
            `packing`,
            `default_system`, ...); a whole recipe will do, what concerns neither data nor tokenizer is left aside.

    Raises:
        Problem: there is no such template, the tokenizer cannot be read, the settings contradict each other, or the
            dataset is not
            one for this stage.
    """

    def __init__(self, model: Path, entry: dict, data_folder: Path, stage: str, settings: dict):
        llamafactory.load()
        from llamafactory.data.converter import get_dataset_converter
        from llamafactory.data.parser import get_dataset_list

        self.shape = Shape.of(entry)
        self.stage = "rm" if stage in PAIR_STAGES else stage
        if (self.stage == "rm") != bool(entry.get("ranking")):
            raise Problem("tokens.wrong_stage", stage=stage, made_for=self.shape.stage)
        self._arguments = _data_arguments(data_folder, self.stage, settings)
        self._kit = _kit(
            model,
            _stamp(model),
            _frozen(_kit_settings(settings) | {"trust_remote_code": _may_run_code(model, settings)}),
        )
        self._structure = structure_of(self.shape)
        self._convert = get_dataset_converter(
            self.shape.format, get_dataset_list(["row"], {"row": {"file_name": "row"} | entry})[0], self._arguments
        )

    @property
    def cutoff(self) -> int:
        """Return the most tokens one sequence may have."""
        return self._arguments.cutoff_len

    @property
    def packing(self) -> bool:
        """Tell whether rows are joined into blocks, as for pre-training they are unless it is said otherwise."""
        return bool(self._arguments.packing) and self.stage in ("pt", "sft")

    def observe_schema(self, rows: Iterable[dict]) -> None:
        """Take in which keys other rows of the same file have: in a row that lacks them they are null, inside a tool
        call too.
        """
        for row in rows:
            self._structure = widened(self._structure, row)

    def encode(self, row: dict) -> list[Sequence]:
        """Return what is trained on of one row by itself: one sequence, or chosen and rejected.

        Raises:
            Problem: LLaMA-Factory drops the row or fails on it.
        """
        with self._kit.lock, quiet():
            try:
                found = self._sequences(self._aligned(row), self._processor(packing=False))
            except _ROW_FAULTS as error:
                raise Problem("tokens.row_fails", reason=reasons.of(error)) from error
            if not found:
                raise Problem("tokens.row_dropped")
            return [Sequence(name, self._tokens(ids, labels)) for name, ids, labels in found]

    def packed(self, rows: list[dict]) -> list[Sequence]:
        """Return the blocks into which packing joins these rows; LLaMA-Factory packs each 1000 rows of a file by
        themselves.

        Raises:
            Problem: LLaMA-Factory fails on a row.
        """
        with self._kit.lock, quiet():
            try:
                found = self._sequences([self._aligned(row) for row in rows], self._processor(packing=True))
            except _ROW_FAULTS as error:
                raise Problem("tokens.row_fails", reason=reasons.of(error)) from error
            return [Sequence(name, self._tokens(ids, labels)) for name, ids, labels in found]

    def counts(self, rows: list[dict]) -> list[Count]:
        """Return the tokens of many rows, a Count for each; give it some hundred at once, so that they are tokenised
        together.
        """
        with self._kit.lock, quiet():
            encoded = _EncodedTogether(self._kit.tokenizer)
            whole, cut = self._processor(False, WHOLE, encoded), self._processor(False, None, encoded)
            aligned = [self._try(self._aligned, row) for row in rows]
            noted = [self._try(self._sequences, row, whole) or [] for row in aligned]
            encoded.encode_all()
            return [self._count(row, found, encoded, whole, cut) for row, found in zip(aligned, noted, strict=True)]

    def _try(self, work, row: dict | None, *rest):
        """Return what `work` makes of a row, None where LLaMA-Factory fails on it: such a row counts as dropped."""
        try:
            return None if row is None else work(row, *rest)
        except _ROW_FAULTS:
            return None

    def _count(self, row: dict | None, noted: list[tuple], encoded: "_EncodedTogether", whole, cut) -> Count:
        length = max((encoded.length(ids) for _, ids, _ in noted), default=0)
        is_cut = length > self.cutoff and not (self.stage == "pt" and self.packing)
        if not length or (not is_cut and self.stage != "pt"):
            return Count(
                length,
                sum(encoded.length(ids) for _, ids, _ in noted),
                sum(encoded.trained(labels) for _, _, labels in noted),
            )
        found = self._try(self._sequences, row, cut if is_cut else whole) or []
        return Count(
            length,
            sum(len(ids) for _, ids, _ in found),
            sum(len(labels) - labels.count(IGNORED) for _, _, labels in found),
        )

    def _aligned(self, row: dict) -> dict:
        return self._convert(filled(self._structure, row))

    def _processor(self, packing: bool, cutoff: int | None = None, tokenizer=None):
        """Return LLaMA-Factory's processor for this stage; `cutoff` and `tokenizer` stand for those of the settings."""
        llamafactory.load()
        from llamafactory.data.loader import _get_dataset_processor

        arguments = copy.copy(self._arguments)
        arguments.packing = packing
        arguments.neat_packing = (
            False  # concerns attention only, and would change a class of the datasets library for all
        )
        if self.stage == "pt" and self.packing and not packing:
            # packing cuts the joined text into blocks and a row only where a block ends; only a block has a start token
            cutoff = WHOLE
        arguments.cutoff_len = cutoff or arguments.cutoff_len
        return _get_dataset_processor(
            arguments, self.stage, self._kit.template, tokenizer or self._kit.tokenizer, self._kit.processor
        )

    def _sequences(self, rows: dict | list[dict], processor) -> list[tuple]:
        """Return name, ids and labels of the sequences that a processor makes of an aligned row, or of several."""
        rows = [rows] if isinstance(rows, dict) else rows
        if not rows:
            return []
        made = processor.preprocess_dataset({key: [row[key] for row in rows] for key in rows[0]})
        if self.stage == "rm":
            return [
                sequence
                for index in range(len(made["chosen_input_ids"]))
                for sequence in (
                    ("chosen", made["chosen_input_ids"][index], made["chosen_labels"][index]),
                    ("rejected", made["rejected_input_ids"][index], made["rejected_labels"][index]),
                )
            ]
        if self.stage == "pt":
            first = (
                1
                if self.packing
                and not processor.data_args.packing
                and getattr(self._kit.tokenizer, "add_bos_token", False)
                else 0
            )
            return [("text", ids[first:], self._labels_of_text(ids[first:])) for ids in made["input_ids"]]
        if self.stage == "ppo":
            return [("text", ids, [IGNORED] * len(ids)) for ids in made["input_ids"]]
        return [("text", ids, labels) for ids, labels in zip(made["input_ids"], made["labels"], strict=True)]

    def _labels_of_text(self, ids: list[int]) -> list[int]:
        """Return the labels that pre-training gives a text: its collator leaves out what looks like padding, so often
        the end token.
        """
        if not ids:
            return []
        return self._kit.collator([{"input_ids": ids, "attention_mask": [1] * len(ids)}])["labels"][0].tolist()

    def _tokens(self, ids: list[int], labels: list[int]) -> list[Token]:
        texts = pieces(self._kit.tokenizer, ids)
        return [Token(text, id, label != IGNORED, label) for text, id, label in zip(texts, ids, labels, strict=True)]


def pieces(tokenizer, ids: list[int]) -> list[str]:
    """Return the text of each token, so that together they are the text of all.

    A token's text is what it adds to those just before it: a tokenizer may show a token differently at the start of a
    text, and a character of several tokens has no text before its last one.
    """

    def text(start: int, end: int) -> str:
        return tokenizer.decode(ids[start:end], skip_special_tokens=False, clean_up_tokenization_spaces=False)

    found, shown, start = [], 0, 0
    for end in range(1, len(ids) + 1):
        before, after = text(start, shown), text(start, end)
        if after.endswith("\ufffd") and end < len(ids):
            found.append("")
            continue
        found.append(after[len(before) :])
        start, shown = shown, end
    return found


class _EncodedTogether:
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
        """Return the number that stands for a text, and after `encode_all` its ids."""
        place = self._places.setdefault(text, len(self._places))
        return [self.NOTED - place] if self._encoded is None else list(self._ids(place))

    def __call__(
        self, texts: list[str], truncation: bool = False, max_length: int = WHOLE, **settings
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
        """Return how many tokens a sequence has that was made while noting."""
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


# The tokenizer and what goes with it


@dataclass
class _Kit:
    """What takes long to load, shared by all who look with the same settings; `lock` because a tokenizer serves one at
    a time.
    """

    tokenizer: object
    processor: object
    template: object
    collator: object
    lock: threading.Lock


def _data_arguments(data_folder: Path, stage: str, settings: dict):
    llamafactory.load()
    from llamafactory.hparams import DataArguments

    known = {field.name for field in fields(DataArguments)} - {
        "dataset",
        "eval_dataset",
        "val_size",
        "interleave_probs",
        "mix_strategy",
    }
    wanted = {key: value for key, value in settings.items() if key in known and value is not None} | {
        "dataset_dir": str(data_folder)
    }
    try:
        arguments = DataArguments(**wanted)
    except (ValueError, TypeError) as error:
        raise Problem("tokens.settings", reason=reasons.of(error)) from error
    if (
        arguments.packing is None
    ):  # as get_train_args does, after the cutoff was made one less for packing that is asked for
        arguments.packing = stage == "pt"
    return arguments


def _kit_settings(settings: dict) -> dict:
    """Return those of the settings that tokenizer and template depend on."""
    llamafactory.load()
    from llamafactory.hparams import ModelArguments

    template = {"template", "train_on_prompt", "tool_format", "default_system", "enable_thinking", "preserve_thinking"}
    model = {field.name for field in fields(ModelArguments) if field.init} - {
        "model_name_or_path",
        "adapter_name_or_path",
    }
    return {
        key: value
        for key, value in settings.items()
        if key in template | model and isinstance(value, str | int | float | bool)
    }


def _may_run_code(model: Path, settings: dict) -> bool:
    """Tell whether the tokenizer's own code may run: where the settings do not forbid it and the person consented to
    it.
    """
    return settings.get("trust_remote_code") is not False and trust.allows(model)


def _frozen(settings: dict) -> tuple:
    return tuple(sorted(settings.items()))


def _stamp(model: Path) -> tuple:
    """Return what changes when the tokenizer in a folder does."""
    return tuple((path.name, *files.stamp(path)) for path in folders.matching(model, "*token*"))


@lru_cache(maxsize=4)
def _kit(model: Path, stamp: tuple, settings: tuple) -> _Kit:
    library.require_loadable(model)
    llamafactory.load()
    from llamafactory.hparams import DataArguments, ModelArguments
    from llamafactory.model import load_tokenizer
    from transformers import DataCollatorForLanguageModeling

    data = {field.name for field in fields(DataArguments)}
    try:
        loaded = load_tokenizer(
            ModelArguments(str(model), **{key: value for key, value in settings if key not in data})
        )
    except (ValueError, OSError, TypeError) as error:
        raise Problem("tokens.no_tokenizer", model=model.name, reason=reasons.of(error)) from error
    tokenizer = loaded["tokenizer"]
    try:
        template = own_template(tokenizer, DataArguments(**{key: value for key, value in settings if key in data}))
    except ValueError as error:
        raise Problem("tokens.settings", reason=reasons.of(error)) from error
    collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm=False)
    return _Kit(tokenizer, loaded["processor"], template, collator, threading.Lock())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep LLaMA-Factory from printing each row that it drops; those of another thread, which may be a run, are still
    printed.
    """
    me = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != me

    loggers = [logging.getLogger(f"llamafactory.data.{name}") for name in _TALKERS]
    for logger in loggers:
        logger.addFilter(others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)

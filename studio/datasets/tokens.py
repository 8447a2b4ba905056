"""What the model sees of a row: its tokens, and which of them are trained, by LLaMA-Factory's own converters and processors."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Token:
    """One token of a sequence. `text` may be empty: where a character takes several tokens, the last of them shows it."""

    text: str
    id: int
    trained: bool


@dataclass(frozen=True)
class Sequence:
    """One sequence that is trained on; `name` is "text", "chosen" or "rejected"."""

    name: str
    tokens: list[Token]


@dataclass(frozen=True)
class Count:
    """Tokens of one row: `whole` if nothing were cut (the longer of chosen and rejected), `kept` and `trained` under the cutoff.

    A row that LLaMA-Factory drops has none.
    """

    whole: int
    kept: int
    trained: int


class Sight:
    """A model's tokenizer with a template and the settings of one dataset's training.

    Args:
        model: folder of the model, as `library.find` gives it.
        entry: the dataset's entry of `dataset_info.json`.
        data_folder: where the paths of images begin.
        stage: "pt", "sft", "dpo" (or "rm", "orpo", "simpo"), "kto".
        settings: LLaMA-Factory's data arguments (`template`, `cutoff_len`, `mask_history`, `train_on_prompt`, `packing`,
            `default_system`, ...); a whole recipe will do, what is no data argument is left aside.

    Raises:
        Problem: there is no such template, the tokenizer cannot be read, the settings contradict each other, or the dataset is not
            one for this stage.
    """

    def __init__(self, model: Path, entry: dict, data_folder: Path, stage: str, settings: dict):
        raise NotImplementedError

    def see(self, row: dict) -> list[Sequence]:
        """Return what is trained on of one row by itself: one sequence, or chosen and rejected.

        Raises:
            Problem: LLaMA-Factory drops the row or fails on it.
        """
        raise NotImplementedError

    def packed(self, rows: list[dict]) -> list[Sequence]:
        """Return the blocks into which packing joins these rows; LLaMA-Factory packs each 1000 rows of a file by themselves."""
        raise NotImplementedError

    def counts(self, rows: list[dict]) -> list[Count]:
        """Return the tokens of many rows, a Count for each; give it some hundred at once, so that they are tokenised together."""
        raise NotImplementedError

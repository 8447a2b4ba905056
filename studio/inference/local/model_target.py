"""What can be asked in the chat: a base model, or a checkpoint on it."""

from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.folders import matching
from studio.core.storage.records import Record
from studio.models.library import library

# Ways to start LoRA that take something out of the base weights: peft does so again when such a checkpoint is loaded.
CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq")


class AdapterConfig(Record):
    """What an adapter's description says of how it is loaded."""

    peft_type: str | None = None
    init_lora_weights: object = None


@dataclass(frozen=True)
class ModelTarget:
    """One column of the chat.

    name: what the person sees. model: folder of the base weights (a checkpoint of full or freeze tuning is a base of
        its own).
    adapter: folder of a LoRA adapter, or None. template, default_system, thinking: what shaped the run's prompts
    (`template`, `default_system`, `enable_thinking` of its recipe). bits: 4, 8 or None (not quantised). own_code:
    whether the person
    allowed the Python code in the model's folder to run. below: adapters that were merged into the base before this one
    was trained, in
    their order. vocabulary: LLaMA-Factory's settings by which the run's vocabulary grew. precision: "float32",
    "bfloat16", "float16", or "" for what the device computes best in.
    """

    name: str
    model: Path
    adapter: Path | None
    template: str
    bits: int | None = None
    default_system: str | None = None
    thinking: bool | None = True
    own_code: bool = False
    below: tuple[Path, ...] = ()
    vocabulary: tuple[tuple[str, object], ...] = ()
    precision: str = ""

    @property
    def base(self) -> "BaseWeights":
        """Return the weights this target needs in memory; targets of the same ones share them and answer in one
        batch.

        Raises:
            Problem: the folder of the model or of the adapter is gone, or the adapter's description cannot be read.
        """
        own = self.adapter if self.adapter and self._needs_a_base_of_its_own() else None
        below = tuple((folder.resolve(), stamp(folder, "chat.no_adapter_below")) for folder in self.below)
        return BaseWeights(
            self.model.resolve(),
            stamp(self.model, "chat.no_model"),
            self.bits,
            own,
            self.own_code,
            below,
            self.vocabulary,
            self.precision,
        )

    def _needs_a_base_of_its_own(self) -> bool:
        stamp(self.adapter, "chat.no_adapter")
        try:
            config = records.load(self.adapter / "adapter_config.json", AdapterConfig)
        except Problem as error:
            raise Problem("chat.no_adapter", path=self.adapter) from error
        if self.vocabulary:
            return True  # its embeddings are its own too
        start = str(config.init_lora_weights).lower()
        return config.peft_type != "LORA" or start.startswith(CHANGES_THE_BASE)


@dataclass(frozen=True)
class BaseWeights:
    """One copy of base weights: folder, when its weights were last written (ns), bits, the adapter it belongs to, if to
    one alone, whether its own code may run, the adapters that are merged into it with their own times, how its
    vocabulary grew, and the precision (see `ModelTarget`)."""

    folder: Path
    written: int
    bits: int | None
    own_adapter: Path | None
    own_code: bool = False
    below: tuple[tuple[Path, int], ...] = ()
    vocabulary: tuple[tuple[str, object], ...] = ()
    precision: str = ""


def weight_files(folder: Path) -> list[Path]:
    """Return the files of weights in a folder of a model or an adapter that are loaded, each weight once."""
    adapters = sorted(
        (path for path in matching(folder, "adapter_model.*") if path.is_file()),
        key=lambda path: path.suffix != ".safetensors",
    )
    return [*(folder / name for name in library.weight_names(folder)), *adapters[:1]]


def stamp(folder: Path, problem: str) -> int:
    """Return when the newest weights of a folder were written (ns since 1970), so that new weights under an old name
    are noticed.

    Raises:
        Problem: `problem`, where there are no weights.
    """
    written = [time for path in weight_files(folder) if (time := files.stamp(path)[1])]
    if not written:
        raise Problem(problem, path=folder)
    return max(written)

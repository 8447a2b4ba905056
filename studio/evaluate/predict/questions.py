"""The rows of an evaluation as they are written down, and as each model is asked them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.datasets.encoding.row_converter import ROW_FAULTS, RowConverter
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.encoding.tokenization import data_arguments
from studio.evaluate.evaluation import EvaluatedRow
from studio.evaluate.predict.row_sources import RowSource
from studio.inference.local.generation import LoadedTarget
from studio.inference.messages import Message, ToolCall
from studio.inference.target_names import is_run
from studio.train import runs
from studio.train.runs.lineage import VOCABULARY

SCHEMA_ROWS = 200  # as many rows of a file are looked at for the keys that its rows have
_ROLES = {"user": "user", "assistant": "assistant", "observation": "tool", "function": "assistant"}


@dataclass
class TargetEncoders:
    """The encoders of one target, one for each dataset, with the settings of the run that it is, or is compared with.

    Args:
        template: LLaMA-Factory's name of it.
        recipe: the settings of the run (`cutoff_len`, `train_on_prompt`, ...), {} where there is none.
        model: folder of the model, whose tokenizer it is.
        cutoff: tokens of prompt and reference; None for the recipe's own.
    """

    template: str
    recipe: dict
    model: Path
    cutoff: int | None
    _encoders: dict[str, RowEncoder] = field(default_factory=dict)

    def of(self, source: RowSource) -> RowEncoder:
        """Return the encoder of a dataset. Raises Problem where it is of another stage, or the settings contradict."""
        if source.name not in self._encoders:
            settings = self.recipe | {"template": self.template, "packing": False}
            settings |= {"cutoff_len": self.cutoff} if self.cutoff else {}
            encoder = RowEncoder(self.model, source.entry, source.folder, "sft", settings)
            encoder.observe_schema(_first_rows(source))
            self._encoders[source.name] = encoder
        return self._encoders[source.name]


def encoders_of(workspace: Workspace, loaded: LoadedTarget, names: Iterable[str], cutoff: int | None) -> TargetEncoders:
    """Return the encoders of a loaded target; a base has the settings of the first run on it among `names`, like with
    like.
    """
    target = loaded.target
    recipe: dict = {}
    for name in [target.name] if is_run(target.name) else filter(is_run, names):
        run = runs.find(workspace, name.partition("@")[0])
        if is_run(target.name) or Path(run.setting("model_name_or_path")) == target.model:
            recipe = dict(run.recipe())
            break
    if not is_run(target.name):  # the base has the tokens it came with
        recipe = {key: value for key, value in recipe.items() if key not in VOCABULARY}
    return TargetEncoders(target.template, recipe, target.model, cutoff)


class Conversion:
    """Rows of a dataset as they are written down: by LLaMA-Factory's converter, which needs no model."""

    def __init__(self, source: RowSource):
        """Raises Problem where the entry contradicts itself."""
        self._source = source
        self._converter = RowConverter(source.entry, data_arguments(source.folder, "sft", {}))
        self._converter.observe_schema(_first_rows(source))

    def row(self, number: int, place: int, value: dict, trained: list[str]) -> EvaluatedRow:
        """Return a row of the file as row `number` of the evaluation.

        Args:
            place: its number in the dataset.
            trained: the targets that were trained on it.

        Raises:
            Problem: LLaMA-Factory's converter fails on it, or it holds what cannot be asked here.
        """
        facts = {"dataset": self._source.name, "row": place + 1}
        aligned = self._aligned(value, facts)
        for kind in ("_videos", "_audios"):
            if aligned.get(kind):
                raise Problem("evaluate.no_media", kind=kind[1:], **facts)
        response = aligned["_response"]
        if len(aligned["_prompt"]) % 2 != 1 or not response:
            raise Problem("evaluate.no_question", **facts)
        return EvaluatedRow(
            row=number,
            dataset=self._source.name,
            source=place,
            digest=_digest(aligned),
            messages=messages_of(aligned["_prompt"]),
            system=aligned["_system"] or "",
            tools=aligned["_tools"] or "",
            images=[str(image) for image in aligned["_images"] or []],
            reference=(response[0]["content"] if len(response) == 1 else "") or None,
            trained=trained,
        )

    def require_same(self, row: EvaluatedRow, value: dict) -> None:
        """Raise Problem where the row of the file is not that which was written down, or cannot be converted any more.

        One that was written down without a digest passes.
        """
        facts = {"dataset": row.dataset, "row": row.source + 1}
        if row.digest and _digest(self._aligned(value, facts)) != row.digest:
            raise Problem("evaluate.row_changed", **facts)

    def _aligned(self, value: dict, facts: dict) -> dict:
        try:
            return self._converter.align(value)
        except ROW_FAULTS as error:
            raise Problem("evaluate.row_fails", reason=reasons.of(error), **facts) from error


def _digest(aligned: dict) -> str:
    """Return the digest of a converted row: its turns, system prompt and tools, and what its images are called; where
    these lie may change.
    """
    images = [PurePath(str(image)).name for image in aligned["_images"] or []]
    told = [aligned["_prompt"], aligned["_response"], aligned["_system"], aligned["_tools"], images]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:32]


def _first_rows(source: RowSource) -> list[dict]:
    return [row.value for row in source.rows.page(0, SCHEMA_ROWS) if isinstance(row.value, dict)]


def messages_of(turns: list[dict]) -> list[Message]:
    """Return LLaMA-Factory's turns as a conversation of the chat: what a server is sent, and a person reads."""
    messages: list[Message] = []
    for turn in turns:
        role, content = str(turn["role"]), str(turn["content"])
        message: Message = {"role": _ROLES.get(role, role), "content": content}
        if role == "function" and (calls := _calls(content)):
            message |= {"content": "", "calls": calls}
        messages.append(message)
    return messages


def _calls(content: str) -> list[ToolCall]:
    """Return the calls of a turn of role "function", none where it holds no JSON of calls."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return []
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in listed):
        return []
    return [ToolCall(name=call["name"], arguments=call.get("arguments", {})) for call in listed]

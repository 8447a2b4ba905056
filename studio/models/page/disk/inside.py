"""What is inside a model: config, generation settings, special tokens, chat template, layers and tensors."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.core.storage.file_cache import FileCache
from studio.models.chat_template_match import template_match
from studio.models.library import library
from studio.models.library.inspection import Inspection, Layers, inspect, ranges
from studio.models.library.library import Model
from studio.models.models_context import ModelsContext

TEMPLATE = "models/page/disk/inside.html"
SHOWN_TOKENS = 60
SHOWN_LAYERS = 200
SHOWN_CHARACTERS = 400  # of a value of a config
SHOWN_REASON = 200
SAMPLE = "two_turns"
WAIT_S = 0.05  # a page must not wait for what a template of another takes; it is drawn again in a second


@dataclass(frozen=True)
class Field:
    """A field of a config and its value as JSON, cut where it is long; `is_known` fields have a sentence."""

    name: str
    value: str
    is_known: bool = False


@dataclass(frozen=True)
class TokenRow:
    """A special token: what it is for ("" for one that has no such role), its text, and its number where it has one."""

    role: str
    text: str
    number: int | None


@dataclass(frozen=True)
class ChatTemplateContext:
    """A model's own chat template, and a sample rendered by it.

    `sample` is its text, `refused` the reason why there is none; both are None while it is not known yet.
    """

    file: str
    source: str
    sample: str | None
    refused: str | None
    problem: Problem | None


@dataclass(frozen=True)
class TensorRow:
    """A tensor of one layer; `shape` as "576 × 576"."""

    name: str
    dtype: str
    shape: str
    params: int
    bytes: int


@dataclass(frozen=True)
class LayerRow:
    """Layers that are alike: how many (0 for what is no layer), their numbers as "0–29", the tensors of one of them."""

    name: str
    numbers: str
    count: int
    params: int
    bytes: int
    tensors: list[TensorRow]


@dataclass(frozen=True)
class InsideContext:
    """What is in each fold. `tensor_count` counts those of all layers, `more_tokens` the tokens that are not shown."""

    explained: list[Field]
    others: list[Field]
    generation: list[Field]
    special: list[TokenRow]
    added: list[TokenRow]
    more_tokens: int
    token_count: int
    chat_template: ChatTemplateContext | None
    layers: list[LayerRow]
    tensor_count: int


def inside(context: ModelsContext, name: str) -> InsideContext | None:
    """Return what is inside a model, None while none is chosen. Raises Problem where there is none of this name."""
    if not name:
        return None
    model = library.find(context.workspace, name)
    return parts(model, _inspected(model))


_inspections: FileCache[Inspection] = FileCache(16)


def _inspected(model: Model) -> Inspection:
    return _inspections.get(model.path, folders.entries(model.path), lambda: inspect(model))


def parts(model: Model, inspection: Inspection) -> InsideContext:
    """Return what is shown of an inspected model."""
    roles = set(inspection.special.values())
    added = [TokenRow("", text, number) for text, number in inspection.added.items() if text not in roles]
    return InsideContext(
        explained=_fields(inspection.explained, is_known=True),
        others=_fields(inspection.others),
        generation=_fields(inspection.generation),
        special=[TokenRow(role, text, inspection.added.get(text)) for role, text in inspection.special.items()],
        added=added[:SHOWN_TOKENS],
        more_tokens=max(0, len(added) - SHOWN_TOKENS),
        token_count=len(inspection.added) or len(inspection.special),
        chat_template=_chat_template(model.path, inspection),
        layers=[_layer(one) for one in inspection.layers[:SHOWN_LAYERS]],
        tensor_count=sum(max(1, len(one.numbers)) * len(one.tensors) for one in inspection.layers),
    )


def _fields(values: dict[str, object], is_known: bool = False) -> list[Field]:
    return [Field(name, _value(value), is_known) for name, value in values.items()]


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"


def _chat_template(folder: Path, inspection: Inspection) -> ChatTemplateContext | None:
    own = inspection.template
    if own is None:
        return None
    renderings, problem = None, None
    try:
        renderings = template_match.renderings(folder, WAIT_S)
    except Problem as fault:
        problem = fault
    sample = None if renderings is None else renderings.get(SAMPLE, {})
    text = None if sample is None else sample.get("text")
    refused = None if sample is None or text is not None else str(sample.get("refused", "?"))[:SHOWN_REASON]
    return ChatTemplateContext(own.file.name, own.source, text, refused, problem)


def _layer(layers: Layers) -> LayerRow:
    return LayerRow(
        layers.name,
        ranges(layers.numbers),
        len(layers.numbers),
        layers.params,
        layers.bytes,
        [
            TensorRow(one.name, one.dtype, " × ".join(map(str, one.shape)) or "1", prod(one.shape), one.bytes)
            for one in layers.tensors
        ],
    )

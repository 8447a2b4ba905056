"""Rows of a dataset as training encodes them: what calibrates a quantisation, and on what forms are compared."""

from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.registry.collection import Collection
from studio.evaluate.predict import row_sources

EVERYTHING = 2**40  # tokens: more than any set has
LOOKED_AT = 2000  # rows at the most, of which some may not be encodable


@dataclass(frozen=True)
class TokenRow:
    """A sequence: its token ids, and the places of those that training counts, [trained], none of them the first."""

    ids: list[int]
    trained: list[int]


@dataclass(frozen=True)
class Amount:
    """How much of a set is taken: tokens in all, or tokens that training counts; cutoff: of a row at the most."""

    cutoff: int
    tokens: int = EVERYTHING
    counted: int = EVERYTHING


def rows(
    collection: Collection, model: Path, template: str, dataset: str, targets: list[str], amount: Amount
) -> list[TokenRow]:
    """Return rows, drawn by a seed, that together have so many tokens, or of them so many that training counts.

    Args:
        dataset: a name of Datasets, or "held-out:<run>".
        targets: the runs that the model is made of.

    Raises:
        Problem: there is no such set, or no row of it can be encoded.
    """
    source = row_sources.find(collection, dataset, targets)
    numbers = source.chosen(LOOKED_AT, "drawn", 0)
    encoder = RowEncoder(model, source.entry, source.folder, "sft", {"template": template, "cutoff_len": amount.cutoff})
    found: list[TokenRow] = []
    fault: Problem | None = None
    for _, value in source.values(numbers):
        try:
            if isinstance(value, Problem):
                raise value
            encoded = encoder.encode(value)[0].tokens
        except Problem as problem:
            fault = fault or problem
            continue
        found.append(_row(encoded))
        if (
            sum(len(row.ids) for row in found) >= amount.tokens
            or sum(len(row.trained) for row in found) >= amount.counted
        ):
            break
    if not found:
        raise fault or Problem("evaluate.empty_set", dataset=dataset)
    return found


def _row(encoded: list) -> TokenRow:
    ids = [token.id for token in encoded]
    return TokenRow(ids, [at for at, token in enumerate(encoded) if at and token.trained and token.label == ids[at]])

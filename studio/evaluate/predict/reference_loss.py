"""The loss of reference answers under models in memory, masked as training masks: no sampling, no luck."""

from dataclasses import dataclass

from studio.core import llamafactory
from studio.datasets.encoding.encoded_row import IGNORED
from studio.inference.local.loaded_model import LoadedModel

_MOST_LOGIT_BYTES = 512 * 2**20  # of one pass, in float32


@dataclass(frozen=True)
class Measured:
    """Where a sequence is trained, and what each of these tokens cost.

    positions: of the trained tokens in the sequence, [trained]. losses: their negative log-likelihoods (nats),
    [trained].
    """

    positions: list[int]
    losses: list[float]


def token_losses(
    model: LoadedModel, adapters: list[str], ids: list[list[int]], labels: list[list[int]]
) -> list[Measured]:
    """Return the losses of sequences, each through its own adapter, in one pass where the memory allows.

    The loss of a token is -log softmax(logits before it)[token], as transformers' causal loss has it (labels shifted by
    one), in float32.

    Args:
        adapters: names that `LoadedModel.adapter` gave, [batch].
        ids: [batch][sequence], without padding.
        labels: of the same shape, IGNORED (-100) where nothing is trained.

    Raises:
        Exception: whatever the model raises, out of memory too (see `model_faults.as_problem`).
    """
    trained = [[at for at, label in enumerate(row) if at and label != IGNORED] for row in labels]
    first = min((row[0] for row in trained if row), default=0)
    last = max((row[-1] for row in trained if row), default=0)
    if not last:
        return [Measured([], []) for _ in ids]
    room = max(1, _MOST_LOGIT_BYTES // (4 * model.vocabulary * (last - first + 1)))
    if room < len(ids):
        parts = [slice(at, at + room) for at in range(0, len(ids), room)]
        return [one for part in parts for one in token_losses(model, adapters[part], ids[part], labels[part])]
    return _one_pass(model, adapters, ids, labels, trained, (first, last))


def _one_pass(model, adapters, ids, labels, trained, span) -> list[Measured]:
    llamafactory.load()
    import torch

    first, last = span
    width = max(map(len, ids))
    # Padded on the right: with causal attention what follows a token does not reach it.
    padded = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=model.device)
    targets = torch.tensor([row + [IGNORED] * (width - len(row)) for row in labels], device=model.device)
    with model.forward(adapters) as forward:
        # Only the logits before trained tokens: [batch, last - first + 1, vocabulary]
        kept = torch.arange(first - 1, last, device=model.device)
        logits = forward(input_ids=padded, attention_mask=mask, logits_to_keep=kept, use_cache=False).logits
        if logits.shape[1] == width:  # the model knows no `logits_to_keep`
            logits = logits[:, first - 1 : last]
        # One row of logits a token: over a strided axis the sum of the softmax loses the fourth digit.
        losses = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets[:, first : last + 1].flatten(), ignore_index=IGNORED, reduction="none"
        )
        losses = losses.view(len(ids), -1).tolist()
    return [Measured(row, [losses[at][place - first] for place in row]) for at, row in enumerate(trained)]

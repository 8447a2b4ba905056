"""Answers of a batch, token by token: what the prompts begin with is computed once, and a row that is done leaves.

transformers' `generate` computes every prompt whole, and goes on computing rows that have ended until the last one has.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from inspect import signature

from studio.core import llamafactory
from studio.inference.local import key_value_cache

# What a pass costs beside its tokens, in tokens: it must not be worth a pass of its own to share a word.
PASS_COST = 64
LEAVE_SHARE = 8  # rows leave once they are one in so many: each time what is kept of all others is copied

# What a model may do its own way in `generate`; one that does is left to it.
_STEPS = (
    "prepare_inputs_for_generation",
    "_update_model_kwargs_for_generation",
    "_prepare_position_ids_for_generation",
    "_prepare_cache_for_generation",
)


def decodes_plainly(model) -> bool:
    """Tell whether a transformers model answers by nothing but ids, a mask, positions and a cache."""
    llamafactory.load()
    from transformers import GenerationMixin

    takes = signature(model.forward).parameters
    return {"position_ids", "logits_to_keep"} <= set(takes) and all(
        getattr(type(model), step, None) is getattr(GenerationMixin, step, None) for step in _STEPS
    )


class Decoding:
    """One batch on its way.

    Args:
        model: takes `input_ids`, `attention_mask`, `position_ids`, `past_key_values` and `logits_to_keep`.
        adapters_for: sets the adapter of each row, and gives what the model has to be told besides.
        cache: an empty one (see `LoadedModel.new_cache`).
        names: the adapter of each row, [batch].
        prompts: token ids, [batch][sequence].
    """

    def __init__(
        self,
        model,
        adapters_for: Callable[[list[str]], AbstractContextManager[dict]],
        cache,
        names: list[str],
        prompts: list[list[int]],
    ):
        self._model, self._adapters_for, self._cache = model, adapters_for, cache
        self._names, self._prompts = names, prompts
        # Rows of one adapter side by side: what adapters add is computed for no more rows than have one.
        self._places = sorted(range(len(prompts)), key=names.__getitem__)
        self._mask = None  # [rows, what is kept]

    def run(self, budget: int, feed: Callable[[list[int], list[int]], list[int]], draw: Callable | None) -> None:
        """Answer, `budget` tokens a row at the most.

        Args:
            feed: is given the rows and the next token of each, and returns the rows that go on.
            draw: as in `LoadedModel.generate`.
        """
        logits = self._read()
        for number in range(budget):
            scores = logits if draw is None else draw(None, logits.float())
            tokens = scores.argmax(-1)
            going_on = set(feed(self._places, tokens.tolist()))
            if not going_on or number + 1 == budget:
                return
            kept = [at for at, place in enumerate(self._places) if place in going_on]
            if (len(self._places) - len(kept)) * LEAVE_SHARE >= len(self._places):
                tokens = self._leave(kept, tokens)
            logits = self._step(tokens[:, None])

    def _read(self):
        """Take the prompts in, and return the logits after each, [batch, vocabulary]."""
        llamafactory.load()
        import torch

        shared = self._read_beginning()
        device = self._model.get_input_embeddings().weight.device
        rests = [self._prompts[place][shared:] for place in self._places]
        width = max(map(len, rests))
        mask = [[1] * shared + [0] * (width - len(ids)) + [1] * len(ids) for ids in rests]
        self._mask = torch.tensor(mask, device=device)
        parts = of_like_length([len(ids) for ids in rests])
        if len(parts) == 1:
            return self._forward(_padded(rests, width, device))
        beginning, whole = self._cache, torch.empty(0)
        self._cache = key_value_cache.new_cache()
        for part in parts:
            longest = max(len(rests[row]) for row in part)
            kept = key_value_cache.of_rows(beginning, part)
            kept_mask = torch.cat([self._mask[part, :shared], self._mask[part, shared + width - longest :]], dim=1)
            ids = _padded([rests[row] for row in part], longest, device)
            logits = self._pass(ids, kept_mask, [self._places[row] for row in part], kept)
            if not len(whole):
                whole = logits.new_empty((len(rests), logits.shape[1]))
            whole[part] = logits
            key_value_cache.put_rows(self._cache, kept, part, (len(rests), shared, width))
        return whole

    def _read_beginning(self) -> int:
        """Take in what all prompts begin with, once for each adapter, and return how many tokens it has."""
        llamafactory.load()
        import torch

        first, last = min(self._prompts), max(self._prompts)  # what these two share, all between them share
        shared = next(
            (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
        )
        shared = min(shared, *(len(ids) - 1 for ids in self._prompts)) if len(self._prompts) > 1 else 0
        adapters = list(dict.fromkeys(self._names))
        if shared * (len(self._names) - len(adapters)) <= PASS_COST:
            return 0
        device = self._model.get_input_embeddings().weight.device
        ids = torch.tensor([first[:shared]] * len(adapters), device=device)
        with self._adapters_for(adapters) as chosen:
            self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1, **chosen)
        self._select([adapters.index(self._names[place]) for place in self._places])
        return shared

    def _step(self, tokens):
        """Take the next tokens in, [rows, 1], and return the logits after them."""
        llamafactory.load()
        import torch

        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=1)
        return self._forward(tokens)

    def _forward(self, ids):
        return self._pass(ids, self._mask, self._places, self._cache)

    def _pass(self, ids, mask, places: list[int], cache):
        """Take tokens in behind those of `cache`, and return the logits after the last, [rows, vocabulary]."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        with self._adapters_for([self._names[place] for place in places]) as chosen:
            found = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **chosen,
            )
        return found.logits[:, -1]

    def _leave(self, kept: list[int], tokens):
        """Keep these rows of the batch, and return the tokens of them."""
        self._places = [self._places[at] for at in kept]
        self._mask = self._mask[kept]
        self._select(kept)
        return tokens[kept]

    def _select(self, rows: list[int]) -> None:
        llamafactory.load()
        import torch

        for layer in self._cache.layers:
            if layer.is_initialized:
                layer.batch_select_indices(torch.tensor(rows, device=layer.keys.device))


def _padded(rows: list[list[int]], width: int, device):
    """Return ids padded on the left, so that the last column is the last token of every row; any token will do where it
    is masked.
    """
    llamafactory.load()
    import torch

    return torch.tensor([[0] * (width - len(ids)) + ids for ids in rows], device=device)


def of_like_length(lengths: list[int]) -> list[list[int]]:
    """Return rows, by their number, in groups that each go through the model in one pass: a group is divided where the
    padding that is saved is worth a pass.
    """
    order, parts = sorted(range(len(lengths)), key=lengths.__getitem__), []
    while order:
        longest = lengths[order[-1]]
        saved = [(longest - lengths[row]) * (at + 1) for at, row in enumerate(order)]
        at = max(range(len(order)), key=saved.__getitem__)
        cut = at + 1 if saved[at] > PASS_COST else 0
        parts.append(sorted(order[cut:]))
        order = order[:cut]
    return parts

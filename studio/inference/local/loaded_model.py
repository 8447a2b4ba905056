"""One base model in memory, with any number of LoRA adapters on it."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from studio.core import llamafactory
from studio.core.device_lease import free_bytes
from studio.core.i18n import Problem
from studio.core.processes import thread_team
from studio.inference.local import attention, key_value_cache, linear_products
from studio.inference.local.base_loading import _load_base, encoder_of
from studio.inference.local.decoding import Decoding, decodes_plainly
from studio.inference.local.lora_batch import LoraBatch
from studio.inference.local.model_faults import errors_as_problem
from studio.inference.local.model_target import BaseWeights, ModelTarget, stamp
from studio.inference.local.prompt_encoding import Prompt, PromptEncoder

BASE = "__base__"  # peft's name for rows without an adapter
# Kinds of layers, as configurations name them, that keep keys and values and nothing else.
_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
MEMORY_SHARE = 0.5  # of the free memory, that the keys and values of a batch may take
_PAD = 0  # any token will do: padding is masked on the left and never read on the right


class LoadedModel:
    """One copy of base weights and the adapters on it. No adapter is ever merged, and the base never
    changed.

    Some adapters cannot share a batch (peft refuses DoRA, for one) and answer by themselves. All work on the weights is
    done under one lock; `halt` asks an answer under way to end. `sees`: whether the model takes images, with a template
    that does too.
    """

    def __init__(self, base: BaseWeights):
        """Load the base weights by LLaMA-Factory's own loader.

        Raises:
            Problem: the folder holds no model that can be loaded, or the memory is not enough.
        """
        self.base = base
        self.halt = threading.Event()
        self._alone: set[str] = set()
        self._lock = threading.Lock()
        self._adapters: dict[tuple[Path, int], str] = {}
        self._encoders: dict[tuple, PromptEncoder] = {}
        self._count = 0
        self._lora_batch = None
        with errors_as_problem("chat.load_failed", path=base.folder), thread_team.given_back():
            self._model, self.sees = _load_base(base)
        self._decodes = decodes_plainly(self._model) and self.new_cache() is not None
        if self._decodes:
            attention.use(self._model)

    @property
    def context(self) -> int | None:
        """Return how many tokens the model was made for, prompt and answer together; None where it does not say."""
        return getattr(self._whole().config.get_text_config(), "max_position_embeddings", None)

    @property
    def vocabulary(self) -> int:
        """Return how many token ids the model knows."""
        return self._whole().get_input_embeddings().num_embeddings

    def most_rows(self, tokens: int) -> int:
        """Return for how many rows of so many tokens the memory of a processor has room; any number on a GPU, which
        refuses what it has no room for, where a system without one ends the studio.
        """
        each = tokens * self._bytes_per_token()
        if not each or self.device.type != "cpu":
            return sys.maxsize
        return max(1, int(MEMORY_SHARE * free_bytes() / each))

    def _bytes_per_token(self) -> int:
        """Return how many bytes the keys and values of a token take; 0 where the configuration does not say."""
        config = self._whole().config.get_text_config(decoder=True)
        heads = getattr(config, "num_attention_heads", 0)
        width = getattr(config, "head_dim", None) or (getattr(config, "hidden_size", 0) // heads if heads else 0)
        groups = getattr(config, "num_key_value_heads", None) or heads
        return 2 * getattr(config, "num_hidden_layers", 0) * groups * width * self._whole().dtype.itemsize

    def encoder(self, target: ModelTarget) -> PromptEncoder:
        """Return the encoder of a target's prompts, made once. Raises Problem where its template is unknown."""
        key = (target.template, target.default_system, target.thinking)
        if key not in self._encoders:
            self._encoders[key] = encoder_of(self.base, target)
        return self._encoders[key]

    def adapter(self, target: ModelTarget) -> str:
        """Return the name under which a target's adapter is loaded, "__base__" where it needs none. Raises KeyError if
        it is not.
        """
        return self._adapters[_key(target.adapter)] if target.adapter else BASE

    def mixes(self, name: str) -> bool:
        """Tell whether the adapter of this name can share a batch."""
        return not self.base.own_adapter and name not in self._alone

    def manage_adapters(self, adapters: list[Path]) -> None:
        """Make these the adapters in memory: load those that are missing, drop the others. The base weights stay where
        they are.

        Waits for an answer under way to end.

        Raises:
            Problem: an adapter does not fit this base, cannot be read, or the memory is not enough.
        """
        by_key = {_key(adapter): adapter for adapter in adapters}
        with self._lock, thread_team.given_back():
            new = [key for key in by_key if key not in self._adapters]
            for key in new:
                with errors_as_problem("chat.adapter_unfit", path=by_key[key], model=self.base.folder.name):
                    self._adapters[key] = self._load_adapter(by_key[key])
            gone = [self._adapters.pop(key) for key in set(self._adapters) - set(by_key)]
            self._drop(gone)
            if (gone or new) and self._adapters and not self.base.own_adapter:
                self._lora_batch = LoraBatch(self._model)
                self._alone |= {self._adapters[key] for key in new if not self._try_mixing(self._adapters[key])}

    def generate(self, rows: list[str], prompts: list[Prompt], budget: int, watcher, draw: Callable | None) -> None:
        """Answer several prompts in one batch, each through its own adapter; waits for its turn at the weights.

        Args:
            rows: names that `adapter` gave; one that does not mix (see `mixes`) comes by itself.
            prompts: what goes in for each row; one with `inputs` comes by itself.
            budget: the most tokens any row may add.
            watcher: transformers' streamer and stopping criterion in one (see `answer.Batch`).
            draw: a logits processor that leaves the one token drawn; None takes the most likely.
        """
        while not self._lock.acquire(timeout=0.1):
            if watcher.stopped():
                return
        try:
            with thread_team.given_back():
                if self._decodes and not any(prompt.inputs for prompt in prompts):
                    self._decode(rows, prompts, budget, watcher, draw)
                else:
                    with self._adapters_for(rows) as chosen:
                        self._generate(prompts, budget, watcher, draw, chosen)
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def forward(self, rows: list[str]) -> Iterator[Callable]:
        """Give the model to be called directly on a batch, each row through its own adapter; waits for its turn at the
        weights, and keeps it to the end of the block.

        Args:
            rows: names that `adapter` gave, [batch]; one that does not mix (see `mixes`) comes by itself.

        Yields:
            what takes `input_ids`, `attention_mask` ([batch, sequence], on `device`) and whatever else transformers'
            forward takes, and returns its output, without gradients.
        """
        llamafactory.load()
        import torch

        with self._lock, thread_team.given_back(), torch.inference_mode(), self._adapters_for(rows) as chosen:
            yield partial(self._whole(), **chosen)

    @property
    def transformers_model(self):
        """Return the model as transformers, or where it has adapters peft, knows it, for a library that looks at it. It
        is called through `forward` alone. Raises Problem where it is unloaded.
        """
        return self._whole()

    def new_cache(self):
        """Return an empty cache for the keys and values of all tokens (transformers' `DynamicCache`), which `forward`
        takes as `past_key_values`; None where a layer keeps something else, which cannot be cut back to a beginning.
        """
        whole = self._whole()
        kinds = getattr(whole.config.get_text_config(decoder=True), "layer_types", None) or ()
        keeps_more = getattr(whole, "_is_stateful", False) or not set(kinds) <= _ATTENTION
        return None if keeps_more else key_value_cache.new_cache()

    @property
    def device(self):
        """Return torch's device that the embeddings lie on: where ids belong."""
        return self._whole().get_input_embeddings().weight.device

    def _decode(self, rows: list[str], prompts: list[Prompt], budget: int, watcher, draw: Callable | None) -> None:
        llamafactory.load()
        import torch

        ids = [prompt.ids for prompt in prompts]
        with torch.inference_mode():
            Decoding(self._whole(), self._adapters_for, self.new_cache(), rows, ids).run(budget, watcher.feed, draw)

    def _generate(self, prompts: list[Prompt], budget: int, watcher, draw: Callable | None, chosen: dict) -> None:
        llamafactory.load()
        import torch
        from transformers import GenerationConfig

        rows = [prompt.ids for prompt in prompts]
        width = max(map(len, rows))
        with torch.inference_mode():
            device = self.device
            padded = torch.tensor([[_PAD] * (width - len(ids)) + ids for ids in rows], device=device)
            mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in rows], device=device)
            self._model.generate(
                input_ids=padded,
                attention_mask=mask,
                generation_config=GenerationConfig(do_sample=False, max_new_tokens=budget, pad_token_id=_PAD),
                logits_processor=[draw] if draw else [],
                stopping_criteria=[watcher],
                streamer=watcher,
                **chosen,
                **self._seen(padded, prompts[0].inputs),
            )

    def _seen(self, ids, inputs: dict) -> dict:
        """Return the tensors of a prompt's images as the model takes them, and the marks of image tokens where it asks
        for those.
        """
        llamafactory.load()
        import inspect

        import torch

        model = self._model.get_base_model() if hasattr(self._model, "get_base_model") else self._model
        made = {
            name: value.to(ids.device, model.dtype if value.is_floating_point() else value.dtype)
            for name, value in inputs.items()
        }
        image = getattr(model.config, "image_token_id", None)
        # LLaMA-Factory makes them in its collator, for training alone; without them the models of the Qwen-VL kind
        # refuse an image.
        if made and image is not None and "mm_token_type_ids" in inspect.signature(model.forward).parameters:
            made.setdefault("mm_token_type_ids", (ids == image).to(torch.long))
        return made

    @property
    def loaded(self) -> bool:
        """Tell whether the weights are in memory."""
        return self._model is not None

    def unload(self) -> None:
        """End an answer under way and give up the weights and all adapters (see `free_memory` for the memory
        itself).
        """
        self.halt.set()
        with self._lock:
            self._model = self._lora_batch = None
            self._adapters.clear()

    def memory_bytes(self) -> int:
        """Return the bytes that base weights, packed too, adapters and buffers take, each storage counted once."""
        llamafactory.load()
        from torch import Tensor

        def tensors(thing: object) -> Iterator[Tensor]:
            if isinstance(thing, Tensor):
                yield thing
            for inner in vars(thing).values() if hasattr(thing, "__dict__") else ():
                # what bitsandbytes keeps beside a quantised weight: scales, their code book, and the state of those
                # scales
                if isinstance(inner, Tensor) or type(inner).__name__ == "QuantState":
                    yield from tensors(inner)

        if not self.loaded:
            return 0
        tensors_held = [*self._model.parameters(), *self._model.buffers()]
        sizes = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for held_one in tensors_held
            for t in tensors(held_one)
        }
        return sum(sizes.values()) + linear_products.packed_bytes(self._model)

    def _whole(self):
        if self._model is None:
            raise Problem("chat.evict")
        return self._model

    @contextlib.contextmanager
    def _adapters_for(self, rows: list[str]) -> Iterator[dict]:
        """Set the adapter of each row, and give what `generate` has to be told for it."""
        if not self.mixes(rows[0]):
            self._model.set_adapter(rows[0])
            yield {}
        elif not self._adapters:
            yield {}
        elif self._lora_batch.fits(rows):
            self._lora_batch.set_adapters(rows)
            with self._lora_batch.in_place():
                yield {}
        else:
            self._lora_batch.set_adapters(rows)
            try:
                yield {"adapter_names": rows}
            except BaseException:
                # peft takes its hooks off only where all goes well
                self._lora_batch.remove_hooks()
                raise

    def _drop(self, names: list[str]) -> None:
        self._alone -= set(names)
        if names and not self._adapters:
            self._unwrap()
        elif names:
            self._model.set_adapter(next(iter(self._adapters.values())))
            for name in names:
                self._model.delete_adapter(name)

    def _unwrap(self) -> None:
        self._model, self._lora_batch = self._model.unload(), None
        del self._model.peft_config  # peft leaves it behind, and would take its adapters for present

    def _take_back(self, name: str) -> None:
        """Undo an adapter that failed to load."""
        llamafactory.load()
        from peft import PeftModel
        from peft.tuners.tuners_utils import BaseTunerLayer

        if isinstance(self._model, PeftModel) and self._adapters:
            if name in self._model.peft_config:
                self._model.delete_adapter(name)
        elif isinstance(self._model, PeftModel):
            self._unwrap()
        elif any(isinstance(module, BaseTunerLayer) for module in self._model.modules()):
            self._model = None  # half wrapped: there is no way back but to load the base again
        else:
            vars(self._model).pop("peft_config", None)

    def _load_adapter(self, folder: Path) -> str:
        llamafactory.load()
        import torch
        from peft import PeftConfig, PeftModel, PeftModelForCausalLM

        self._count += 1
        name = f"adapter{self._count}"
        if self.base.own_adapter:
            self._model = PeftModel.from_pretrained(self._model, str(folder), adapter_name=name).eval()
            return name
        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        # Small products in bfloat16 take a CPU five to ten times as long as in float32; a GPU has no such trouble, and
        # less to hold.
        in_float32 = self._model.device.type == "cpu"
        try:
            # On the meta device no random start is drawn (a run beside us draws from the same generator), and of this
            # thread alone.
            with torch.device("meta"):
                if isinstance(self._model, PeftModel):
                    self._model.add_adapter(name, config)
                else:
                    self._model = PeftModelForCausalLM(self._model, config, name, autocast_adapter_dtype=in_float32)
            result = self._model.load_adapter(
                str(folder), name, low_cpu_mem_usage=True, autocast_adapter_dtype=in_float32
            )
            if odd := [*result.missing_keys, *result.unexpected_keys]:
                raise ValueError(f"{len(odd)} of its weights have no counterpart, {odd[0]} the first")
        except Exception:
            self._take_back(name)
            raise
        self._model.eval()
        return name

    def _try_mixing(self, name: str) -> bool:
        """Ask peft whether an adapter can share a batch, by two rows of three tokens."""
        llamafactory.load()
        import torch

        ids = torch.zeros((2, 3), dtype=torch.long, device=self._model.get_input_embeddings().weight.device)
        try:
            with torch.inference_mode(), self._adapters_for([BASE, name]) as chosen:
                self._model(input_ids=ids, **chosen)
        except ValueError:
            return False
        return True


def _key(adapter: Path) -> tuple[Path, int]:
    return adapter.resolve(), stamp(adapter, "chat.no_adapter")

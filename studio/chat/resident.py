"""One base model in memory, with any number of LoRA adapters on it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path

from studio.chat.blend import Blend
from studio.chat.prompt import Encoder, Prompt
from studio.chat.speaker import Base, Speaker, stamp
from studio.core import llamafactory
from studio.core.device_lease import free_memory
from studio.core.i18n import Problem
from studio.models.library import library
from studio.models.weights import completeness

BASE = "__base__"  # peft's name for rows that speak through no adapter
_PAD = 0  # any token will do: padding is masked on the left and never read on the right


class Resident:
    """One copy of base weights and the adapters that speak through it. No adapter is ever merged, and the base never
    changed.

    Some adapters cannot share a batch (peft refuses DoRA, for one) and answer by themselves. All work on the weights is
    done under one lock; `halt` asks an answer under way to end. `sees`: whether the model takes images, with a template
    that does too.
    """

    def __init__(self, base: Base):
        """Load the base weights by LLaMA-Factory's own loader.

        Raises:
            Problem: the folder holds no model that can be loaded, or the memory is not enough.
        """
        self.base = base
        self.halt = threading.Event()
        self._alone: set[str] = set()
        self._lock = threading.Lock()
        self._adapters: dict[tuple[Path, int], str] = {}
        self._encoders: dict[tuple, Encoder] = {}
        self._count = 0
        self._blend = None
        with told("chat.load_failed", path=base.folder):
            self._model, self.sees = _load_base(base)

    @property
    def context(self) -> int | None:
        """Return how many tokens the model was made for, prompt and answer together; None where it does not say."""
        return getattr(self._whole().config.get_text_config(), "max_position_embeddings", None)

    @property
    def vocabulary(self) -> int:
        """Return how many token ids the model knows."""
        return self._whole().get_input_embeddings().num_embeddings

    def encoder(self, speaker: Speaker) -> Encoder:
        """Return the encoder of a speaker's prompts, made once. Raises Problem where its template is unknown."""
        key = (speaker.template, speaker.default_system, speaker.thinking)
        if key not in self._encoders:
            self._encoders[key] = encoder_of(self.base, speaker)
        return self._encoders[key]

    def adapter(self, speaker: Speaker) -> str:
        """Return the name under which a speaker's adapter is loaded, "__base__" where it needs none. Raises KeyError if
        it is not.
        """
        return self._adapters[_key(speaker.adapter)] if speaker.adapter else BASE

    def mixes(self, name: str) -> bool:
        """Tell whether the adapter of this name can share a batch."""
        return not self.base.own_adapter and name not in self._alone

    def keep(self, adapters: list[Path]) -> None:
        """Make these the adapters in memory: load those that are missing, drop the others. The base weights stay where
        they are.

        Waits for an answer under way to end.

        Raises:
            Problem: an adapter does not fit this base, cannot be read, or the memory is not enough.
        """
        wanted = {_key(adapter): adapter for adapter in adapters}
        with self._lock:
            new = [key for key in wanted if key not in self._adapters]
            for key in new:
                with told("chat.adapter_unfit", path=wanted[key], model=self.base.folder.name):
                    self._adapters[key] = self._load_adapter(wanted[key])
            gone = [self._adapters.pop(key) for key in set(self._adapters) - set(wanted)]
            self._drop(gone)
            if (gone or new) and self._adapters and not self.base.own_adapter:
                self._blend = Blend(self._model)
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
            with self._adapters_for(rows) as chosen:
                self._generate(prompts, budget, watcher, draw, chosen)
        finally:
            self._lock.release()

    def _generate(self, prompts: list[Prompt], budget: int, watcher, draw: Callable | None, chosen: dict) -> None:
        llamafactory.load()
        import torch
        from transformers import GenerationConfig

        rows = [prompt.ids for prompt in prompts]
        width = max(map(len, rows))
        with torch.inference_mode():
            device = self._whole().get_input_embeddings().weight.device
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
        """End an answer under way and give up the weights and all adapters (see `free_memory` for the memory itself)."""
        self.halt.set()
        with self._lock:
            self._model = self._blend = None
            self._adapters.clear()

    def memory_bytes(self) -> int:
        """Return the bytes that base weights, adapters and buffers take, each storage counted once."""
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
        held = [*self._model.parameters(), *self._model.buffers()]
        sizes = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for held_one in held for t in tensors(held_one)
        }
        return sum(sizes.values())

    def _whole(self):
        if self._model is None:
            raise Problem("chat.evict")
        return self._model

    @contextlib.contextmanager
    def _adapters_for(self, rows: list[str]) -> Iterator[dict]:
        """Make rows speak through their adapters, and give what `generate` has to be told for it."""
        if not self.mixes(rows[0]):
            self._model.set_adapter(rows[0])
            yield {}
        elif not self._adapters:
            yield {}
        else:
            self._blend.turn_to(rows)
            try:
                yield {"adapter_names": rows}
            except BaseException:
                # peft takes its hooks off only where all goes well
                self._blend.take_off_hooks()
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
        self._model, self._blend = self._model.unload(), None
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
            found = self._model.load_adapter(
                str(folder), name, low_cpu_mem_usage=True, autocast_adapter_dtype=in_float32
            )
            if odd := [*found.missing_keys, *found.unexpected_keys]:
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


@contextlib.contextmanager
def told(key: str, **facts: object) -> Iterator[None]:
    """Tell whatever fails inside as the Problem `key` with its `reason`, or as a lack of memory, and let go of what
    failed.
    """
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        problem = as_problem(error, key, **facts)
    else:
        return
    free_memory()
    raise problem


def as_problem(error: Exception, key: str, **facts: object) -> Problem:
    """Return what a person should read of `error`, and drop the frames that would keep its tensors alive."""
    llamafactory.load()
    import logging
    import traceback

    import torch

    logging.getLogger(__name__).error("chat", exc_info=error)
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    out_of_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in reason
    seen, wants_code, known = error, False, None
    while seen:
        traceback.clear_frames(seen.__traceback__)
        wants_code = wants_code or "trust_remote_code=True" in str(seen)
        known = seen if isinstance(seen, Problem) else known
        seen = seen.__cause__ or seen.__context__
    if known:
        return Problem(known.key, **known.facts)  # ours, around which a library put its own words
    if wants_code and "path" in facts:
        return Problem("prompt.own_code", path=facts["path"])
    return Problem("chat.no_memory") if out_of_memory else Problem(key, reason=reason, **facts)


def _key(adapter: Path) -> tuple[Path, int]:
    return adapter.resolve(), stamp(adapter, "chat.no_adapter")


def encoder_of(base: Base, speaker: Speaker) -> Encoder:
    """Return the encoder of a speaker's prompts; only the tokenizer is loaded for it. Raises Problem where it cannot
    be, or no such template is.
    """
    llamafactory.load()
    from llamafactory.model import load_tokenizer

    library.require_loadable(base.folder)
    with told("chat.load_failed", path=base.folder):
        loaded = load_tokenizer(_arguments(base)[0])
    return Encoder(loaded["tokenizer"], speaker.template, speaker.default_system, speaker.thinking, loaded["processor"])


def _arguments(base: Base):
    llamafactory.load()
    from llamafactory.hparams import get_infer_args

    arguments = {"model_name_or_path": str(base.folder), "infer_dtype": str(_number_type()).removeprefix("torch.")}
    arguments["trust_remote_code"] = base.own_code
    arguments |= dict(base.vocabulary)
    if base.below:  # LLaMA-Factory merges them itself, as it did before the training
        arguments["adapter_name_or_path"] = ",".join(str(folder) for folder, _ in base.below)
    return get_infer_args(arguments | ({"quantization_bit": base.bits} if base.bits else {}))


def _load_base(base: Base) -> tuple:
    """Return the model of a base, and whether it takes images."""
    llamafactory.load()
    import torch
    from llamafactory.model import load_model, load_tokenizer
    from transformers import GenerationConfig

    if base.below and base.bits:
        raise Problem("chat.below_quantized", count=len(base.below))
    completeness.require_whole(library.scan(base.folder, library.title(base.folder)))
    model_args, _, finetuning_args, _ = _arguments(base)
    one_load_at_a_time()
    loaded = load_tokenizer(model_args)
    model = load_model(loaded["tokenizer"], model_args, finetuning_args)
    # Only weights, not buffers: rotary frequencies must stay float32. What came quantised keeps its types.
    for weights in [] if getattr(model, "quantization_method", None) else model.parameters():
        if weights.dtype == torch.float32 or model.device.type == "cpu":
            weights.data = weights.data.to(_number_type())
    if model.device.type == "cpu" and (head := model.get_output_embeddings()) is not None:
        # The logits of the last token alone are asked for first, and oneDNN is twenty times slower on the strides of
        # that slice.
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(memory_format=torch.contiguous_format),))
    # Only what the person sets may shape an answer, and each row ends at its own template's stop tokens.
    model.generation_config = GenerationConfig()
    return model, getattr(loaded["processor"], "image_processor", None) is not None


@cache
def one_load_at_a_time() -> None:
    """Make the threads of this process load models one after the other, those of a run too. Call it before the first of
    them loads.

    While transformers loads, it changes things of the whole process and puts back what it found: torch's default dtype,
    and `PreTrainedModel.tie_weights`, which does nothing meanwhile. Of a chat and a run that load at once, one was seen
    to be left with an output layer without weights.
    """
    llamafactory.load()
    from transformers import PreTrainedModel

    unguarded, turn = PreTrainedModel.from_pretrained.__func__, threading.RLock()

    @wraps(unguarded)
    def guarded(cls, *arguments, **named):
        with turn:
            return unguarded(cls, *arguments, **named)

    PreTrainedModel.from_pretrained = classmethod(guarded)


def _number_type():
    """Return the type to compute in: bfloat16 where the device has it, else float16 on a GPU and float32 on a CPU."""
    llamafactory.load()
    import torch

    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32

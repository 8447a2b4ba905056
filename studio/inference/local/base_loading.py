"""Base weights and prompt encoders, loaded by LLaMA-Factory's own loader."""

import threading
from functools import cache, wraps

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.inference.local import linear_products
from studio.inference.local.model_faults import errors_as_problem
from studio.inference.local.model_target import BaseWeights, ModelTarget
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.models.library import library
from studio.models.weights import completeness


def encoder_of(base: BaseWeights, target: ModelTarget) -> PromptEncoder:
    """Return the encoder of a target's prompts; only the tokenizer is loaded for it. Raises Problem where it cannot
    be, or no such template is.
    """
    llamafactory.load()
    from llamafactory.model import load_tokenizer

    library.require_loadable(base.folder)
    with errors_as_problem("chat.load_failed", path=base.folder):
        loaded = load_tokenizer(_arguments(base)[0])
    return PromptEncoder(
        loaded["tokenizer"], target.template, target.default_system, target.thinking, loaded["processor"]
    )


def _arguments(base: BaseWeights):
    llamafactory.load()
    from llamafactory.hparams import get_infer_args

    arguments = {"model_name_or_path": str(base.folder), "infer_dtype": str(_number_type(base)).removeprefix("torch.")}
    arguments["trust_remote_code"] = base.own_code
    arguments |= dict(base.vocabulary)
    if base.below:  # LLaMA-Factory merges them itself, as it did before the training
        arguments["adapter_name_or_path"] = ",".join(str(folder) for folder, _ in base.below)
    return get_infer_args(arguments | ({"quantization_bit": base.bits} if base.bits else {}))


def _load_base(base: BaseWeights) -> tuple:
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
    wanted = _number_type(base)
    for weights in [] if getattr(model, "quantization_method", None) else model.parameters():
        if not _may_stay(weights.dtype, model.device.type, base.precision):
            weights.data = weights.data.to(wanted)
    if model.device.type == "cpu" and (head := model.get_output_embeddings()) is not None:
        # The logits of the last token alone are asked for first, and oneDNN is twenty times slower on the strides of
        # that slice.
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(memory_format=torch.contiguous_format),))
    if not getattr(model, "quantization_method", None):  # who asks for few bits asks for little memory
        linear_products.choose(model)
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


def _may_stay(dtype, device: str, asked: str) -> bool:
    """Tell whether weights of this type are computed in as they are stored: float16 on a GPU, which every one of them
    can, where no precision is asked for.
    """
    llamafactory.load()
    import torch

    return device != "cpu" and not asked and dtype == torch.float16


def _number_type(base: BaseWeights):
    llamafactory.load()
    import torch

    return getattr(torch, base.precision or best_precision())


def best_precision() -> str:
    """Return the type that is computed in where none is asked for: "bfloat16" where the device has it, else "float16"
    on a GPU and "float32" on a processor.
    """
    llamafactory.load()
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"

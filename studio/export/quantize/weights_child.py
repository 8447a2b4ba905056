"""`python -m studio.export.quantize.weights_child SPEC PARENT`: quantise weights, by bitsandbytes or GPTQ."""

import json
import shutil
from pathlib import Path

from studio.core import llamafactory
from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec
from studio.export.quantize import gptq_libraries

GROUPS = (128, 64, 32)  # weights with one scale, as engines take them
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".safetensors.index.json", ".bin.index.json")
_NOT_COPIED = {"config.json", "export.json", "forms.json", "README.md", "README_zh.md", "Modelfile"}
# What gptqmodel notes of this machine, or LLaMA-Factory's way of the person's rows, is nobody's business.
_PRIVATE = ("dataset", "offload_to_disk_path", "hessian", "staging_dir")


class Quantizing(Spec):
    """method: "bnb" or "gptq". rows: token ids to calibrate on, [row][token]. target: the folder to be."""

    method: str
    bits: int
    model: Path
    target: Path
    rows: list[list[int]] = []
    trust_remote_code: bool = False


def quantize(spec_file: Path) -> dict:
    """Quantise, and return {group_size}: how many weights have one scale, 0 for bitsandbytes.

    Raises:
        ValueError: no group size fits the model. Or whatever the libraries raise.
    """
    spec = records.load(spec_file, Quantizing)
    spec.target.mkdir(parents=True, exist_ok=True)
    group = _by_gptq(spec) if spec.method == "gptq" else _by_bitsandbytes(spec)
    for file in spec.model.iterdir():
        if file.is_file() and not file.name.endswith(_WEIGHTS) and file.name not in _NOT_COPIED:
            shutil.copyfile(file, spec.target / file.name)
    return {"group_size": group}


def _by_bitsandbytes(spec: Quantizing) -> int:
    llamafactory.load()
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if spec.bits == 4:
        settings = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    else:
        settings = BitsAndBytesConfig(load_in_8bit=True)
    model = AutoModelForCausalLM.from_pretrained(
        spec.model,
        quantization_config=settings,
        device_map=device(),
        dtype=torch.bfloat16,
        trust_remote_code=spec.trust_remote_code,
    )
    model.save_pretrained(spec.target)
    return 0


def device() -> str:
    """Return where a model is loaded: the first GPU, or the CPU."""
    llamafactory.load()
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _by_gptq(spec: Quantizing) -> int:
    gptq_libraries.prepare()
    import torch
    from gptqmodel import GPTQModel, QuantizeConfig
    from transformers import AutoConfig

    place = "cuda:0" if torch.cuda.is_available() else "cpu"
    config = AutoConfig.from_pretrained(spec.model, trust_remote_code=spec.trust_remote_code)
    group = group_size(config.get_text_config())
    scratch = spec.target.parent / "offloaded"
    settings = QuantizeConfig(bits=spec.bits, group_size=group, offload_to_disk_path=str(scratch))
    model = GPTQModel.load(str(spec.model), settings, device=place, trust_remote_code=spec.trust_remote_code)
    model.quantize([{"input_ids": row, "attention_mask": [1] * len(row)} for row in spec.rows], batch_size=1)
    model.save(str(spec.target))
    shutil.rmtree(scratch, ignore_errors=True)
    (spec.target / "quant_log.csv").unlink(missing_ok=True)
    for name in ("config.json", "quantize_config.json"):
        without_private(spec.target / name)
    return group


def group_size(config) -> int:
    """Return the largest group size that divides the rows of all linear layers. Raises ValueError where none does.

    Args:
        config: of the language part of the model.
    """
    heads = getattr(config, "num_attention_heads", 0) * (getattr(config, "head_dim", None) or 0)
    widths = [config.hidden_size, getattr(config, "intermediate_size", 0) or 0, heads]
    for group in GROUPS:
        if all(width % group == 0 for width in widths):
            return group
    raise ValueError(f"no group size of {GROUPS} divides {widths}")


def without_private(file: Path) -> None:
    """Take out of a config what a quantisation notes of the person's rows and disk."""
    if not file.is_file():
        return
    config = json.loads(file.read_text(encoding="utf-8"))
    noted = config.get("quantization_config") or config
    for part in (noted, noted.get("meta") or {}):
        for key in _PRIVATE:
            part.pop(key, None)
    file.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    child_run.main(quantize)

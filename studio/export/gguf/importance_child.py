"""`python -m studio.export.gguf.importance_child SPEC PARENT`: which columns of the weights matter, for llama.cpp's
quantisation: the mean squared inputs of each linear layer on calibration rows.
"""

import sys
from pathlib import Path

import numpy as np

from studio.core import llamafactory
from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec


class Importance(Spec):
    """model: a folder in 16 bit. gguf: the model as GGUF, whose names the tensors get. rows: token ids, [row][token].
    progress: a file to which the share that is done is written.
    """

    converter: Path
    model: Path
    gguf: Path
    rows: list[list[int]]
    target: Path
    trust_remote_code: bool = False
    progress: Path


def measure(spec_file: Path) -> dict:
    """Write the matrix, and return {tensors}. Raises whatever transformers raises, ValueError where no layer has a name
    in the GGUF.
    """
    spec = records.load(spec_file, Importance)
    llamafactory.load()
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        spec.model, dtype=torch.float32, trust_remote_code=spec.trust_remote_code
    ).eval()
    names = _names(spec, [name for name, one in model.named_modules() if isinstance(one, torch.nn.Linear)])
    sums = {}

    def hook(name: str):
        def add(_, inputs):  # inputs: [batch, sequence, columns], or [tokens, columns] of an expert
            squared = inputs[0].detach().float().flatten(0, -2).pow(2).sum(0)
            sums[name] = sums[name] + squared if name in sums else squared

        return add

    for name, module in model.named_modules():
        if name in names:
            module.register_forward_pre_hook(hook(names[name]))
    with torch.inference_mode():
        for at, row in enumerate(spec.rows, 1):
            model(torch.tensor([row]), use_cache=False)
            spec.progress.write_text(str(at / len(spec.rows)))
    tokens = sum(map(len, spec.rows))
    np.savez(spec.target, **{name: (values / tokens).numpy() for name, values in sums.items()})
    return {"tensors": len(sums)}


def _names(spec: Importance, layers: list[str]) -> dict[str, str]:
    """Return the name in the GGUF of each layer that has one."""
    sys.path.insert(0, str(spec.converter / "gguf-py"))  # of the converter's release: it knows what it wrote
    import gguf

    reader = gguf.GGUFReader(spec.gguf)
    architecture = reader.get_field("general.architecture").contents()
    blocks = reader.get_field(f"{architecture}.block_count").contents()
    kind = next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    known = gguf.get_tensor_name_map(kind, blocks)
    stored = {tensor.name for tensor in reader.tensors}
    found = {layer: f"{name}.weight" for layer in layers if (name := known.get_name(layer))}
    found = {layer: name for layer, name in found.items() if name in stored}
    if not found:
        raise ValueError(f"no importance matrix: no layer of {architecture} has a name in the GGUF")
    return found


if __name__ == "__main__":
    child_run.main(measure)

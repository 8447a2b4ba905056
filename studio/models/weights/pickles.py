"""The tensors of pickled weights, for who has torch loaded already, or runs in a process of its own."""

from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import files


def read(file: Path) -> dict[str, dict]:
    """Return what `weights.read_pickle` does. Raises Problem where the file is torn, or holds more than weights."""
    import zipfile

    import torch

    if not files.is_file(file):  # a pipe would be waited for without end
        raise Problem("models.bad_pickle", file=file.name, reason=Reason("reasons.not_plain"))
    try:
        loaded = torch.load(file, map_location="meta", mmap=zipfile.is_zipfile(file), weights_only=True)
    except Exception as error:  # whatever torch's reader meets in a file that is not what it should be
        raise Problem("models.bad_pickle", file=file.name, reason=reasons.of(error)) from error
    loaded = loaded.get("model", loaded) if isinstance(loaded, dict) else {}
    names = {
        torch.float32: "F32",
        torch.float16: "F16",
        torch.bfloat16: "BF16",
        torch.int8: "I8",
        torch.uint8: "U8",
        torch.int64: "I64",
    }
    return {
        name: {
            "dtype": names.get(tensor.dtype, str(tensor.dtype)),
            "shape": list(tensor.shape),
            "data_offsets": [0, tensor.nbytes],
        }
        for name, tensor in loaded.items()
        if isinstance(tensor, torch.Tensor)
    }

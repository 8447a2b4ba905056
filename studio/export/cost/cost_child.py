"""`python -m studio.export.cost.cost_child SPEC PARENT`: compare one form with the 16-bit model on rows of a dataset.

The 16-bit model itself comes first and leaves the logarithms of its probabilities, [positions, vocabulary], in a file;
each form is compared with these.
"""

from pathlib import Path

import numpy as np

from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec
from studio.export.transformers_model import TransformersModel
from studio.inference.llama_cpp.native import GgufModel, Library

SPEED_TOKENS = 32
SPEED_PROMPT = 16  # tokens before them


class Row(Spec):
    """ids: of a sequence. trained: the places of the tokens that count, none of them the first."""

    ids: list[int]
    trained: list[int]


class Costing(Spec):
    """kind: "gguf", "transformers" or "gptq". path: the file or folder. library: llama.cpp's. reference: the file of
    the 16-bit model's logarithms, which this one writes where `writes` is true. dtype: of the computation.
    """

    kind: str
    path: Path
    library: Path | None = None
    rows: list[Row]
    reference: Path
    writes: bool = False
    dtype: str = "bfloat16"
    threads: int
    progress: Path
    trust_remote_code: bool = False


def measure(spec_file: Path) -> dict:
    """Return {perplexity, kl, top1, tokens_per_s, positions}. Raises whatever the libraries raise."""
    spec = records.load(spec_file, Costing)
    model = _loaded(spec)
    count = sum(len(row.trained) for row in spec.rows)
    losses, divergences, same, at, reference = 0.0, 0.0, 0, 0, None
    for number, row in enumerate(spec.rows, 1):
        for logits, place in zip(model.logits(row.ids, [one - 1 for one in row.trained]), row.trained, strict=True):
            logs = log_softmax(logits)
            if reference is None:
                reference = _reference(spec, count, len(logs))
            if spec.writes:
                reference[at] = logs
            losses -= float(logs[row.ids[place]])
            kl, is_same = against(reference[at], logs)
            divergences, same, at = divergences + kl, same + is_same, at + 1
        spec.progress.write_text(str(number / len(spec.rows)))
    prompt = (spec.rows[0].ids * SPEED_PROMPT)[:SPEED_PROMPT]
    speed = model.generate(prompt, SPEED_TOKENS, to_the_end=True).tokens_per_s
    return {
        "perplexity": float(np.exp(losses / count)),
        "kl": max(0.0, divergences / count),
        "top1": same / count,
        "tokens_per_s": speed,
        "positions": count,
    }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities, [vocabulary] in float64."""
    values = logits.astype(np.float64)
    values -= values.max()
    return values - np.log(np.exp(values).sum())


def against(reference: np.ndarray, logs: np.ndarray) -> tuple[float, bool]:
    """Return KL(reference || other) in nats, and whether the first choice is the same. A padded vocabulary has rows
    that no token has, and they are left out.
    """
    width = min(len(reference), len(logs))
    first, other = reference[:width].astype(np.float64), logs[:width]
    return float((np.exp(first) * (first - other)).sum()), bool(first.argmax() == other.argmax())


def _loaded(spec: Costing) -> GgufModel | TransformersModel:
    longest = max(len(row.ids) for row in spec.rows)
    if spec.kind == "gguf":
        context = max(longest, SPEED_PROMPT + SPEED_TOKENS) + 8
        return GgufModel(Library(spec.library), spec.path, context, spec.threads)
    by_gptq = spec.kind == "gptq"
    return TransformersModel(spec.path, spec.dtype, by_gptq, spec.threads, spec.trust_remote_code)


def _reference(spec: Costing, count: int, width: int) -> np.ndarray:
    if spec.writes:
        return np.lib.format.open_memmap(spec.reference, mode="w+", dtype=np.float32, shape=(count, width))
    return np.load(spec.reference, mmap_mode="r")


if __name__ == "__main__":
    child_run.main(measure)

"""`python -m studio.export.gguf.quants_child SPEC PARENT`: quantise a GGUF with llama.cpp's library."""

import re
from pathlib import Path

import numpy as np

from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec
from studio.inference.llama_cpp.native import Library


class Quantization(Spec):
    """library: the folder of llama.cpp's library. importance: a file of `importance_child`. progress: a file to which
    the share that is done is written.
    """

    library: Path
    source: Path
    target: Path
    number: int
    threads: int
    importance: Path | None = None
    progress: Path


def quantize(spec_file: Path) -> dict:
    """Quantise, and return {size, fallbacks}. Raises NativeFault where llama.cpp refuses."""
    spec = records.load(spec_file, Quantization)
    fallbacks = 0

    def take(line: str) -> None:
        nonlocal fallbacks
        if found := re.match(r"\[\s*(\d+)/\s*(\d+)\]", line):
            spec.progress.write_text(str(int(found[1]) / max(1, int(found[2]))))
        if found := re.search(r"WARNING: (\d+) of \d+ tensor\(s\) required fallback", line):
            fallbacks = int(found[1])

    matrix = dict(np.load(spec.importance)) if spec.importance else None
    Library(spec.library, take).quantize(spec.source, spec.target, spec.number, spec.threads, matrix)
    return {"size": spec.target.stat().st_size, "fallbacks": fallbacks}


if __name__ == "__main__":
    child_run.main(quantize)

"""`python -m studio.export.quantize.load_child SPEC PARENT`: load quantised weights anew, and let them answer once."""

from pathlib import Path

from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec
from studio.export.transformers_model import TransformersModel

ANSWER_TOKENS = 24


class Loading(Spec):
    """model: the folder. prompt: token ids of a question."""

    model: Path
    prompt: list[int]
    by_gptq: bool
    threads: int
    trust_remote_code: bool = False


def answer(spec_file: Path) -> dict:
    """Return {text}. Raises whatever transformers raises where the weights cannot be loaded or computed with."""
    spec = records.load(spec_file, Loading)
    model = TransformersModel(spec.model, "bfloat16", spec.by_gptq, spec.threads, spec.trust_remote_code)
    return {"text": model.generate(spec.prompt, ANSWER_TOKENS).text}


if __name__ == "__main__":
    child_run.main(answer)

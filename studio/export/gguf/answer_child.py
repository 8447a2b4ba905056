"""`python -m studio.export.gguf.answer_child SPEC PARENT`: load a GGUF with llama.cpp, and let it answer once."""

from pathlib import Path

from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec
from studio.inference.llama_cpp.native import GgufModel, Library

ANSWER_TOKENS = 24


class Question(Spec):
    """prompt: token ids of a question. stops: the tokens at which training ends an answer. adapter: a LoRA adapter as
    GGUF, on the model.
    """

    library: Path
    model: Path
    adapter: Path | None = None
    prompt: list[int]
    stops: list[int]
    threads: int


def answer(spec_file: Path) -> dict:
    """Return {text, runs_past}: the answer, and the stop tokens of training at which llama.cpp goes on.

    Raises:
        NativeFault: llama.cpp cannot load it, or computes no numbers with it.
    """
    spec = records.load(spec_file, Question)
    library = Library(spec.library)
    model = GgufModel(library, spec.model, len(spec.prompt) + ANSWER_TOKENS + 8, spec.threads, spec.adapter)
    said = model.generate(spec.prompt, ANSWER_TOKENS)
    return {"text": said.text, "runs_past": [one for one in spec.stops if not model.ends(one)]}


if __name__ == "__main__":
    child_run.main(answer)

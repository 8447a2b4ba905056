"""The ways to quantise weights that transformers and vLLM load, and which of them can run here."""

from dataclasses import dataclass

from studio.core.i18n import Problem


@dataclass(frozen=True)
class Method:
    """A way to quantise. suffix: of the folder's name, as the hubs know it. calibrates: it needs rows of a dataset.
    own_libraries: it runs with packages of its own, made on demand.
    """

    name: str
    bits: int
    suffix: str
    calibrates: bool = False
    own_libraries: bool = False


_METHODS = (
    Method("bnb-4bit", 4, "bnb-4bit"),
    Method("bnb-8bit", 8, "bnb-8bit"),
    Method("gptq-4bit", 4, "GPTQ-Int4", calibrates=True, own_libraries=True),
    Method("gptq-8bit", 8, "GPTQ-Int8", calibrates=True, own_libraries=True),
)
METHODS = {one.name: one for one in _METHODS}
AWQ = "awq"  # shown with the reason why it cannot be chosen


def find(name: str) -> Method:
    """Return a method by its name. Raises Problem where there is none, or it cannot run here."""
    if name == AWQ:
        raise Problem("quantize.awq")
    if name not in METHODS:
        raise Problem("quantize.unknown", method=name, known=", ".join([*METHODS, AWQ]))
    return METHODS[name]

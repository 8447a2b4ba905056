"""The types of GGUF that can be made, as llama.cpp numbers them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GgufType:
    """A type: llama.cpp's number of it (`llama_ftype`), the bits that a weight takes in a large model, and whether it
    cannot be made without an importance matrix.
    """

    name: str
    number: int
    bits: float
    needs_importance: bool = False

    @property
    def plain(self) -> bool:
        """Whether the weights are as they are in the model, in 16 bit."""
        return self.name in ("f16", "bf16")


LORA = "lora"  # an adapter by itself
_TYPES = (
    GgufType("f16", 1, 16),
    GgufType("bf16", 32, 16),
    GgufType("q8_0", 7, 8.5),
    GgufType("q6_k", 18, 6.56),
    GgufType("q5_k_m", 17, 5.67),
    GgufType("q5_k_s", 16, 5.52),
    GgufType("q4_k_m", 15, 4.83),
    GgufType("q4_k_s", 14, 4.57),
    GgufType("iq4_nl", 25, 4.5),
    GgufType("iq4_xs", 30, 4.25),
    GgufType("q3_k_l", 13, 4.22),
    GgufType("q3_k_m", 12, 3.89),
    GgufType("iq3_m", 27, 3.66),
    GgufType("q3_k_s", 11, 3.5),
    GgufType("iq3_s", 26, 3.44),
    GgufType("iq3_xxs", 23, 3.06, True),
    GgufType("q2_k", 10, 3.0),
    GgufType("iq2_m", 29, 2.7, True),
    GgufType("iq2_s", 28, 2.5, True),
    GgufType("iq2_xs", 20, 2.31, True),
    GgufType("iq2_xxs", 19, 2.06, True),
)
TYPES = {one.name: one for one in _TYPES}

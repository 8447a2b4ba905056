"""What one of LLaMA-Factory's templates puts around a message, as plain texts: what each of the forms is made of."""

import re
from dataclasses import dataclass
from os.path import commonprefix

RESULT_SEPARATOR = "\n</tool_response>\n<tool_response>\n"  # LLaMA-Factory's converter puts it between results of tools
_PLACE = "{{content}}"
# The end of a user's turn that names who answers; what names nobody ("[/INST]") belongs to the user's turn.
_ANSWERER = re.compile(r"(?i)assistant|chatbot|model|\bai\b|_bot|answer|response|falcon|hy_place▁holder▁no▁8")
_CLOSING = re.compile(r"(?i)<[^<>]*(?:end|eot)[^<>]*>")


@dataclass(frozen=True)
class SpecialTokens:
    """The texts of a tokenizer's special tokens as training left them; None where it has none."""

    bos: str | None
    eos: str | None


@dataclass(frozen=True)
class Slot:
    """What stands before and after the content of a message.

    `head` is the part after that opens the answer (`<|im_start|>assistant\\n`): it is left out where no answer is asked
    for (`add_generation_prompt` false). Where nothing names the answerer it is empty, and all of it is in `after`.
    """

    before: str
    after: str
    head: str = ""


@dataclass(frozen=True)
class Slots:
    """A template in texts.

    Attributes:
        prefix: what a conversation begins with.
        system, user, assistant, function, observation: around a message of this kind.
        in_user: the system message and the tools stand inside the first user's turn (LLaMA-Factory's Llama2Template).
        thought: what opens and closes a thought, None where the template is none of a reasoning model.
        empty_thought: what stands before an answer without a thought.
        thinking: whether answers are asked for with a thought (`enable_thinking`), None as LLaMA-Factory takes it.
        keeps_thoughts: earlier answers keep theirs (`preserve_thinking`).
        answer_end: what training adds after the last answer where the template has no end of its own
            (`efficient_eos`).
    """

    prefix: str
    system: Slot
    user: Slot
    assistant: Slot
    function: Slot
    observation: Slot
    in_user: bool
    thought: tuple[str, str] | None
    empty_thought: str
    thinking: bool | None
    keeps_thoughts: bool
    answer_end: str


def slots_of(template, tokens: SpecialTokens) -> Slots:
    """Return the texts of one of LLaMA-Factory's templates.

    Raises:
        ValueError: a slot is of a kind that LLaMA-Factory 0.9.5 does not know.
    """
    kinds = {one.__name__ for one in type(template).__mro__}
    in_user, reasons = "Llama2Template" in kinds, "ReasoningTemplate" in kinds
    system = template.format_system.slots[:1] if in_user else template.format_system.slots
    assistant, block = _slot(template.format_assistant.slots, tokens), _slot(system, tokens)
    ends = [one for one in (assistant.after, block.after) if one]
    return Slots(
        prefix=text_of(template.format_prefix.slots, tokens),
        system=block,
        user=_with_head(_slot(template.format_user.slots, tokens), ends),
        assistant=assistant,
        function=_slot(template.format_function.slots, tokens),
        observation=_with_head(_slot(template.format_observation.slots, tokens), ends),
        in_user=in_user,
        thought=tuple(template.thought_words) if reasons else None,
        empty_thought=template.add_thought() if reasons else "",
        thinking=template.enable_thinking if reasons else True,
        keeps_thoughts=template.preserve_thinking if reasons else True,
        answer_end=(tokens.eos or "") if template.efficient_eos else "",
    )


def text_of(slots: list, tokens: SpecialTokens) -> str:
    """Return the text of slots, special tokens spelled out. Raises ValueError for a slot of an unknown kind."""
    return "".join(_piece(slot, tokens) for slot in slots)


def _piece(slot, tokens: SpecialTokens) -> str:
    if isinstance(slot, str):
        return slot
    if isinstance(slot, dict):
        return slot["token"]
    if isinstance(slot, set):  # what is neither of the two is skipped, as LLaMA-Factory does (phi_small)
        return (tokens.bos or "") if "bos_token" in slot else (tokens.eos or "") if "eos_token" in slot else ""
    raise ValueError(f"a slot of {type(slot).__name__}")


def _slot(slots: list, tokens: SpecialTokens) -> Slot:
    before, _, after = text_of(slots, tokens).partition(_PLACE)
    return Slot(before, after)


def _with_head(slot: Slot, ends: list[str]) -> Slot:
    """Part what ends a turn from what opens the answer: it ends as turns of other kinds do, between two marks."""
    parted = [_parted(slot, slot.after.partition(end)[0] + end) for end in ends if end in slot.after]
    parted.append(_parted(slot, max((commonprefix([slot.after, end]) for end in ends), key=len, default="")))
    return next((one for one in parted if _ANSWERER.search(one.head)), slot)


def _parted(slot: Slot, end: str) -> Slot:
    if end.rfind("<") > end.rfind(">"):
        end = end[: end.rfind("<")]
    while closing := _CLOSING.match(slot.after, len(end)):
        end = slot.after[: closing.end()]
    return Slot(slot.before, end, slot.after[len(end) :])

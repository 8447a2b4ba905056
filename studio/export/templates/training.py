"""What training makes of a conversation: LLaMA-Factory's own encoding, as texts and as token ids."""

import copy
import json
from dataclasses import dataclass

from studio.export.templates import images
from studio.export.templates.slots import RESULT_SEPARATOR, SpecialTokens

# What LLaMA-Factory's formatters raise for what a template cannot take.
_FAULTS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, NotImplementedError)


class Inexpressible(Exception):
    """Training's template cannot take this conversation; the message is LLaMA-Factory's own."""


@dataclass(frozen=True)
class Encoded:
    """A conversation as training encodes it: `pieces` are what its tokenizer gets one by one."""

    pieces: tuple[str, ...]
    ids: tuple[int, ...]

    @property
    def text(self) -> str:
        """Return all of it as one text."""
        return "".join(self.pieces)


def encode(
    template,
    tokenizer,
    messages: list[dict],
    tools: list[dict] | None = None,
    thinking: bool | None = None,
    processor=None,
) -> Encoded:
    """Return what training makes of messages in OpenAI's form.

    Of a conversation that ends with a question it is the prompt before the answer, of one that ends with an answer all
    that is learned from (`encode_oneturn`, and the end token where the template leaves it to training).

    Args:
        template: LLaMA-Factory's; not changed.
        tokenizer: as training left it.
        messages: see `cases`.
        tools: definitions in OpenAI's form.
        thinking: `enable_thinking`, None leaves it to the template.
        processor: of a model that sees. An image is one token here, before the processor fills it in.

    Raises:
        Inexpressible: the template cannot take these messages or tools.
    """
    template = copy.copy(template)
    if thinking is not None and hasattr(template, "enable_thinking"):
        template.enable_thinking = thinking
    speller = _Speller(tokenizer)
    system, turns = training_messages(template, messages)
    answered = turns[-1]["role"] in ("assistant", "function")
    asked = turns if answered else [*turns, {"role": "assistant", "content": ""}]
    defined = json.dumps(tools, ensure_ascii=False) if tools else None
    pieces, ids = [], []
    try:
        if any(is_image(part) for message in messages for part in _parts(message)):
            asked = images.written(template, asked, processor)
        for reader, made in ((speller, pieces), (tokenizer, ids)):
            prompt, response = template.encode_oneturn(reader, copy.deepcopy(asked), system, defined)
            made += [*prompt, *response] if answered else prompt
    except _FAULTS as error:
        raise Inexpressible(str(error)) from error
    if answered and template.efficient_eos:
        pieces.append(tokenizer.eos_token)
        ids.append(tokenizer.eos_token_id)
    return Encoded(tuple(pieces), tuple(ids))


def training_messages(template, messages: list[dict]) -> tuple[str | None, list[dict]]:
    """Return the system message and the turns of a conversation in OpenAI's form as LLaMA-Factory takes them.

    A thought (`reasoning_content`) stands in the template's marks before the answer, calls are a JSON list after what
    is said beside them, several results of tools are one turn.
    """
    system, turns = None, []
    for at, message in enumerate(messages):
        role, content = message["role"], plain_text(message.get("content"))
        if role == "system" and at == 0:
            system = content
        elif role == "tool" and turns and turns[-1]["role"] == "observation":
            turns[-1]["content"] += RESULT_SEPARATOR + content
        elif role == "tool":
            turns.append({"role": "observation", "content": content})
        elif role == "assistant":
            turns.append(_answer(template, message, content))
        else:
            turns.append({"role": role, "content": content})
    return system, turns


def plain_text(content: str | list | None) -> str:
    """Return the text of a message's content: a text, a list of OpenAI's parts, or nothing."""
    if isinstance(content, list):
        return "".join(images.PLACEHOLDER if is_image(part) else part["text"] for part in content)
    return content or ""


def is_image(part: dict) -> bool:
    """Tell whether a part of a message is an image, as OpenAI's form or that of transformers' has it."""
    return part.get("type") in ("image", "image_url")


def _parts(message: dict) -> list[dict]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def special_tokens(tokenizer) -> SpecialTokens:
    """Return the texts of a tokenizer's special tokens."""
    return SpecialTokens(tokenizer.bos_token, tokenizer.eos_token)


def _answer(template, message: dict, content: str) -> dict:
    if thought := message.get("reasoning_content"):
        content = f"{template.thought_words[0]}{thought}{template.thought_words[1]}{content}"
    calls = message.get("tool_calls")
    if not calls:
        return {"role": "assistant", "content": content}
    functions = [call["function"] for call in calls]
    listed = json.dumps(
        [{"name": one["name"], "arguments": _parsed(one["arguments"])} for one in functions], ensure_ascii=False
    )
    if not content.strip():
        return {"role": "function", "content": listed}
    opening, closing = template.tool_call_words
    # LLaMA-Factory looks for its marks in the JSON too, where only a text can hold a "<".
    return {"role": "function", "content": content + opening + listed.replace("<", "\\u003c") + closing}


def _parsed(arguments: dict | str) -> dict:
    return json.loads(arguments) if isinstance(arguments, str) else arguments


class _Speller:
    """Takes the place of the tokenizer in LLaMA-Factory's encoding: each "token id" is the text itself."""

    def __init__(self, tokenizer):
        self.bos_token_id, self.eos_token_id = tokenizer.bos_token, tokenizer.eos_token

    def encode(self, text: str, add_special_tokens: bool = False) -> list[str]:
        return [text]

    def convert_tokens_to_ids(self, token: str) -> str:
        return token

"""Prompts, token for token as training builds them: LLaMA-Factory's templates, tools, image plugins and encoding."""

from dataclasses import dataclass, field

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.datasets.encoding.template_copy import own_template
from studio.inference.local import tool_call_parsing
from studio.inference.messages import Message, ToolCall

# What LLaMA-Factory's formatters, tool formats and image plugins raise for what they cannot take.
_FAULTS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, NotImplementedError)
_BEFORE_ANSWER, _ANSWERS = ("user", "tool"), ("assistant",)


@dataclass(frozen=True)
class Prompt:
    """What goes into a model before its answer: token ids, and the tensors that a model that sees takes beside them (by
    name).
    """

    ids: list[int]
    inputs: dict = field(default_factory=dict)


class PromptEncoder:
    """The prompt of one template with a tokenizer of its own, because a template may change the tokenizer's end and
    stop tokens.

    Args:
        tokenizer: as LLaMA-Factory's `load_tokenizer` gives it; changed in place.
        template: name of a LLaMA-Factory template.
        default_system: the recipe's `default_system`, where it had one.
        thinking: the recipe's `enable_thinking`; only the templates of reasoning models look at it.
        processor: as `load_tokenizer` gives it; None for a model that does not see.

    Raises:
        Problem: there is no template of that name.
    """

    def __init__(
        self, tokenizer, template: str, default_system: str | None = None, thinking: bool | None = True, processor=None
    ):
        llamafactory.load()
        from llamafactory.hparams import DataArguments

        arguments = DataArguments(template=template, default_system=default_system, enable_thinking=thinking)
        self.tokenizer, self.name, self.processor = tokenizer, template, processor
        try:
            self.template = own_template(tokenizer, arguments)
        except ValueError as error:
            raise Problem("chat.no_template", template=template) from error
        self.stop_ids = frozenset(token for token in self.template.get_stop_token_ids(tokenizer) if token is not None)

    @property
    def sees(self) -> bool:
        """Tell whether model and template take images."""
        return (
            self.template.mm_plugin.image_token is not None
            and getattr(self.processor, "image_processor", None) is not None
        )

    def encode(self, messages: list[Message], system: str | None = None, tools: str | list | None = "") -> list[int]:
        """Return the token ids that go in before the answer to the last of `messages` (see `prompt`)."""
        return self.prompt(messages, system, tools).ids

    def prompt(self, messages: list[Message], system: str | None = None, tools: str | list | None = "") -> Prompt:
        """Return what goes in before the answer to the last of `messages`.

        Args:
            messages: `{"role", "content"}`: a "user", or "tool" with the result of a call (several in a row are several
                results),
                and "assistant" in turn, the user first and no assistant last; a first one of role "system" stands for
                `system`.
                An assistant's may have "calls", a list of `{"name", "arguments"}`, which `content` stands before; a
                user's may
                have "images", a list of file paths, each put before the text unless "<image>" says where.
            system: the system prompt; None or "" leaves it to the template's default.
            tools: the definitions of the tools (see `tool_calls.definitions`).

        Raises:
            Problem: the messages are not such a conversation, an image cannot be read or this model does not see, or
                the template
                has no way to write the tools or the calls.
        """
        if messages and messages[0].get("role") == "system":
            system, messages = system or messages[0].get("content"), messages[1:]
        defined = tool_call_parsing.definitions(tools)
        turns, images = self._turns(messages)
        try:
            return self._encoded(turns, images, system or None, defined)
        except _FAULTS as error:
            raise Problem("prompt.refused", template=self.name, reason=reasons.of(error)) from error

    def calls(self, ids: list[int]) -> tuple[str, list[ToolCall]]:
        """Return what stands before the calls of tools in a finished answer, and the calls (see `tool_calls.find`)."""
        for skip in (True, False):  # some templates mark calls by special tokens, others put them around what they read
            text = self.tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
            before, calls = tool_call_parsing.find(self.template, text)
            if calls:
                return before, calls
        return text, []

    def _turns(self, messages: list[Message]) -> tuple[list[dict], list]:
        """Return the messages in LLaMA-Factory's roles, and their images."""
        llamafactory.load()
        from llamafactory.extras.constants import IMAGE_PLACEHOLDER

        turns, images, results = [], [], []
        for number, message in enumerate(messages, 1):
            role, content, calls = message.get("role"), message.get("content"), message.get("calls") or []
            content = "" if content is None and calls else content
            follows = role == "tool" and bool(results)
            allowed = ("user",) if not turns else (_BEFORE_ANSWER, _ANSWERS)[len(turns) % 2]
            if not follows and role not in allowed or not isinstance(content, str):
                raise Problem("chat.bad_message", number=number)
            if role == "tool":
                results.append(content)
                turns[len(turns) - follows :] = [
                    {"role": "observation", "content": tool_call_parsing.joined(results, self._frames_results())}
                ]
                continue
            results = []
            shown = [_image(path) for path in message.get("images") or []]
            missing = max(0, len(shown) - content.count(IMAGE_PLACEHOLDER)) if shown else 0
            images += shown
            turns.append(
                self._called(number, content, calls)
                if calls
                else {"role": role, "content": IMAGE_PLACEHOLDER * missing + content}
            )
        if len(turns) % 2 == 0:
            raise Problem("chat.no_question")
        return turns, images

    def _frames_results(self) -> bool:
        return any(
            "</tool_response>" in slot for slot in self.template.format_observation.slots if isinstance(slot, str)
        )

    def _called(self, number: int, content: str, calls: list[ToolCall]) -> dict:
        try:
            return {
                "role": "function",
                "content": tool_call_parsing.written(content, calls, self.template.tool_call_words),
            }
        except (ValueError, AttributeError) as error:
            raise Problem("prompt.bad_call", number=number, call=reasons.of(error)) from error

    def _encoded(self, turns: list[dict], images: list, system: str | None, tools: str | None) -> Prompt:
        """Encode as LLaMA-Factory's HuggingfaceEngine does (`_process_args`)."""
        answer = {"role": "assistant", "content": ""}
        if not self.sees:
            if images:
                raise Problem("prompt.blind", template=self.name)
            return Prompt(self.template.encode_oneturn(self.tokenizer, [*turns, answer], system, tools)[0])
        plugin, media = self.template.mm_plugin, (images, [], [])
        turns = plugin.process_messages(turns, *media, self.processor)
        ids, _ = self.template.encode_oneturn(self.tokenizer, [*turns, answer], system, tools)
        ids, _ = plugin.process_token_ids(ids, None, *media, self.tokenizer, self.processor)
        made = plugin.get_mm_inputs(*media, [len(images)], [0], [0], [ids], self.processor)
        return Prompt(ids, {name: _tensor(value) for name, value in made.items()})


def _image(path):
    """Return an image, read whole. Raises Problem where the file is none."""
    from PIL import Image

    try:
        image = Image.open(path)
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Problem("prompt.bad_image", path=path, reason=reasons.of(error)) from error
    return image


def _tensor(value):
    """Return one of a plugin's inputs as a tensor: some come as lists of tensors, one level deep or two."""
    llamafactory.load()
    import torch

    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        return torch.stack(value)
    if isinstance(value, list) and value and isinstance(value[0], list) and isinstance(value[0][0], torch.Tensor):
        return torch.stack([torch.stack(one) for one in value])
    return torch.tensor(value)

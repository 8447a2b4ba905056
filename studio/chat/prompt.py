"""Prompts, token for token as training builds them: LLaMA-Factory's own templates and encoding."""

from studio.datasets.templates import own_template
from studio.interface.language import Problem


class Encoder:
    """The prompt of one template with a tokenizer of its own, because a template may change the tokenizer's end and stop tokens.

    Args:
        tokenizer: as LLaMA-Factory's `load_tokenizer` gives it; changed in place.
        template: name of a LLaMA-Factory template.
        default_system: the recipe's `default_system`, where it had one.
        thinking: the recipe's `enable_thinking`; only the templates of reasoning models look at it.

    Raises:
        Problem: there is no template of that name.
    """

    def __init__(self, tokenizer, template: str, default_system: str | None = None, thinking: bool | None = True):
        from llamafactory.hparams import DataArguments

        arguments = DataArguments(template=template, default_system=default_system, enable_thinking=thinking)
        self.tokenizer = tokenizer
        try:
            self.template = own_template(tokenizer, arguments)
        except ValueError as error:
            raise Problem("chat.no_template", template=template) from error
        self.stop_ids = frozenset(token for token in self.template.get_stop_token_ids(tokenizer) if token is not None)

    def encode(self, messages: list[dict], system: str | None = None) -> list[int]:
        """Return the token ids that go in before the answer to the last of `messages`.

        Args:
            messages: `{"role", "content"}` of "user" and "assistant" in turn, the last from the user; a first one of role
                "system" stands for `system`.
            system: the system prompt; None or "" leaves it to the template's default.

        Raises:
            Problem: the messages are not such a conversation.
        """
        if messages and messages[0].get("role") == "system":
            system, messages = system or messages[0].get("content"), messages[1:]
        for index, message in enumerate(messages):
            if message.get("role") != ("user", "assistant")[index % 2] or not isinstance(message.get("content"), str):
                raise Problem("chat.bad_message", number=index + 1)
        if len(messages) % 2 == 0:
            raise Problem("chat.no_question")
        turns = [{"role": message["role"], "content": message["content"]} for message in messages]
        ids, _ = self.template.encode_oneturn(self.tokenizer, [*turns, {"role": "assistant", "content": ""}], system or None)
        return ids

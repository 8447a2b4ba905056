"""What a script can ask of the chat."""

import threading
from collections.abc import Callable

from studio.chat.answer import Sampling
from studio.chat.choose import Table
from studio.interface.language import Problem


def endpoints(table: Table) -> list[Callable]:
    """Return the endpoints of this room."""

    def chat_load(model: str, adapters: list | None = None, bits: int | None = None) -> dict:
        """Load a model and runs (or `run@checkpoint`) on it, and return {speakers}."""
        return {"speakers": [speaker.name for speaker in table.seat([model, *(adapters or [])], bits)]}

    def chat_unload() -> dict:
        """Unload everything and return {speakers, before, after}, the bytes in use."""
        return {"speakers": [], **table.clear()}

    def chat_compare(speakers: list, messages: list, options: dict | None = None) -> dict:
        """Ask all speakers the same and return {answers}; options are system, temperature, top_p, max_tokens, seed."""
        said = dict(options or {})
        system = said.pop("system", "")
        try:
            sampling = Sampling(**said)
        except TypeError as error:
            raise Problem("chat.bad_option", reason=error) from error
        *_, answers = table.ask(speakers, [messages] * len(speakers), system, sampling, threading.Event())
        return {
            "answers": [
                {"speaker": answer.speaker, "text": answer.text, "tokens": answer.tokens, "first_token_s": answer.first_token_s,
                 "tokens_per_s": answer.tokens_per_s, "finished": answer.finished, "prompt_ids": list(answer.prompt_tokens)}
                for answer in answers
            ]
        }

    return [chat_load, chat_unload, chat_compare]

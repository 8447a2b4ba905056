"""What a script can ask of the chat."""

import threading
from collections.abc import Callable

from studio.chat.answer import Answer, Sampling
from studio.chat.choose import Table
from studio.core.i18n import Problem, Words


def endpoints(table: Table, words: Words) -> list[Callable]:
    """Return the endpoints of this room."""

    def chat_load(model: str, adapters: list[str] | None = None, bits: int | None = None) -> dict:
        """Load a model and runs (or `run@checkpoint`) on it, and return {speakers}."""
        return {"speakers": [speaker.name for speaker in table.seat([model, *(adapters or [])], bits)]}

    def chat_unload() -> dict:
        """Unload everything and return {speakers, before, after, told}: the bytes in use, and a sentence of them."""
        freed = table.clear()
        megabytes = {name: f"{size / 2**20:,.0f}" for name, size in freed.items()}
        return {"speakers": [], **freed, "told": words("chat.freed", **megabytes)}

    def chat_compare(speakers: list[str], messages: list[dict], options: dict | None = None) -> dict:
        """Ask all speakers the same and return {answers}; options are system, tools, bits, temperature, top_p,
        max_tokens, seed.

        An answer that failed says so in `error`; where all failed the first one's is raised.
        """
        said = dict(options or {})
        system, tools, bits = said.pop("system", ""), said.pop("tools", ""), said.pop("bits", None)
        try:
            sampling = Sampling(**said)
        except TypeError as error:
            raise Problem("chat.bad_option", reason=error) from error
        *_, answers = table.ask(dict.fromkeys(speakers, messages), system, sampling, threading.Event(), tools, bits)
        if all(answer.fault for answer in answers):
            raise answers[0].fault
        return {"answers": [_as_json(answer, words) for answer in answers]}

    return [chat_load, chat_unload, chat_compare]


def _as_json(answer: Answer, words: Words) -> dict:
    return {
        "speaker": answer.speaker,
        "text": answer.text,
        "tokens": answer.tokens,
        "first_token_s": answer.first_token_s,
        "tokens_per_s": answer.tokens_per_s,
        "finished": answer.finished,
        "prompt_ids": list(answer.prompt_tokens),
        "prompt_count": answer.prompt_count,
        "calls": list(answer.calls),
        "error": words.tell(answer.fault) if answer.fault else None,
    }

"""What a script, and the page, can do in conversations."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from studio.chat import transcript
from studio.chat.answer import Sampling
from studio.chat.choose import MOST
from studio.chat.columns import Columns
from studio.chat.conversation import Conversation
from studio.chat.talk import Talks
from studio.core.i18n import Problem, Words

SETTINGS = ("temperature", "top_p", "max_tokens", "seed")


def endpoints(talks: Talks, uploads: Callable[[], Path], words: Words) -> list[Callable]:
    """Return the endpoints; `uploads` gives the folder in which the page's server puts what a browser sends."""
    return [*_of_keeping(talks, words), *_of_speaking(talks, uploads), *_of_reading(talks, Columns(talks), words)]


def _of_keeping(talks: Talks, words: Words) -> list[Callable]:
    conversations = talks.conversations

    def chat_new(columns: list[str] | None = None, options: dict | None = None, like: str = "") -> dict:
        """Make a conversation, with the columns and settings of another one where `like` names it, and return
        {conversation}.
        """
        said = conversation_options(options or {})
        if like:
            old = conversations.open(like)
            kept = {key: getattr(old, key) for key in ("system", "tools", "settings", "bits", "blind")}
            columns, said = columns or old.columns, kept | said
        return {"conversation": conversations.new(checked_columns(columns or []), **said).id}

    def chat_conversations(query: str = "") -> list:
        """Return [{id, title, changed, columns}], the last changed first, of those that hold every word of the query.

        Without a query, a file that cannot be read is one of them, with the id null and the reason as its title.
        """
        found = [
            {"id": one.id, "title": one.title, "changed": one.changed, "columns": one.columns}
            for one in conversations.list(query)
        ]
        faults = [] if query.strip() else conversations.faults()
        return found + [{"id": None, "title": words.tell(fault), "changed": 0.0, "columns": []} for fault in faults]

    def chat_open(conversation: str) -> dict:
        """Return a conversation whole: {id, title, columns, system, tools, settings, bits, messages, parent, blind,
        revealed}.
        """
        return asdict(conversations.open(conversation))

    def chat_rename(conversation: str, title: str) -> dict:
        """Give a conversation another title, and return {title}."""
        if not title.strip():
            raise Problem("chat.no_title")
        with conversations.change(conversation) as changed:
            changed.title = title.strip()
        return {"title": title.strip()}

    def chat_delete(conversation: str) -> dict:
        """Delete a conversation, its answers under way ended first, and return {deleted}."""
        talks.stop(conversation)
        talks.wait(conversation, 10)
        conversations.delete(conversation)
        return {"deleted": conversation}

    def chat_branch(conversation: str, turn: int) -> dict:
        """Make a conversation that begins as this one did up to the end of a turn, and return {conversation}."""
        return {"conversation": conversations.branch(conversation, int(turn)).id}

    return [chat_new, chat_conversations, chat_open, chat_rename, chat_delete, chat_branch]


def _of_speaking(talks: Talks, uploads: Callable[[], Path]) -> list[Callable]:
    def chat_say(conversation: str, text: str, images: list[str] | None = None) -> dict:
        """Ask every column in the background, and return {turn}; images are files that were uploaded to this server."""
        folder = uploads().resolve()
        for image in images or []:
            if not Path(image).resolve().is_relative_to(folder):
                raise Problem("chat.not_uploaded", file=Path(image).name)
        return {"turn": talks.say(conversation, text, images)}

    def chat_again(conversation: str, column: str = "") -> dict:
        """Ask the last question again, of one column or of all, and return {turn}."""
        return {"turn": talks.again(conversation, column)}

    def chat_edit(conversation: str, turn: int, text: str) -> dict:
        """Ask a turn with other words in a branch, and return {conversation}, the branch; the old one stays as it is."""
        return {"conversation": talks.edit(conversation, int(turn), text).id}

    def chat_result(conversation: str, column: str, results: dict) -> dict:
        """Give a column what its tool calls gave ({"0": text, ...}), let it go on, and return {turn}."""
        if not all(key.isdecimal() and len(key) < 10 for key in results):
            raise Problem("app.argument_kind", argument="results")
        return {"turn": talks.result(conversation, column, [results[key] for key in sorted(results, key=int)])}

    def chat_stop(conversation: str) -> dict:
        """End the answers under way, keep what was said, and return {stopped}."""
        return {"stopped": talks.stop(conversation)}

    return [chat_say, chat_again, chat_edit, chat_result, chat_stop]


def _of_reading(talks: Talks, columns: Columns, words: Words) -> list[Callable]:
    def chat_picture(conversation: str, known: dict | None = None) -> dict:
        """Return the columns as the page draws them: {busy, columns: [{name, head, said: [{key, mark, html}]}]}, html
        only where it is new.
        """
        return columns.picture(words, conversation, known or {})

    def chat_export(conversation: str, form: str = "markdown") -> dict:
        """Return {name, text} of a conversation as a file, as "markdown" or "json"."""
        said = asdict(talks.conversations.open(conversation))
        if form not in ("markdown", "json"):
            raise Problem("chat.no_form", form=form)
        text = transcript.as_json(said) if form == "json" else transcript.as_markdown(said, words)
        return {"name": f"{conversation}.{'json' if form == 'json' else 'md'}", "text": text}

    return [chat_picture, chat_export]


def checked_columns(columns: list) -> list[str]:
    """Return the columns, each once. Raises Problem where there is none, or too many."""
    wanted = list(dict.fromkeys(columns))
    if not 1 <= len(wanted) <= MOST:
        raise Problem("chat.choose_some", most=MOST)
    return wanted


def conversation_options(options: dict) -> dict:
    """Return what a conversation is made of from flat options: system, tools, bits, blind, and the settings of
    sampling. Raises Problem.
    """
    said = dict(options)
    settings = {key: said.pop(key) for key in SETTINGS if key in said}
    unknown = set(said) - {"system", "tools", "bits", "blind"}
    if unknown:
        raise Problem("chat.bad_option", reason=", ".join(sorted(unknown)))
    if settings:
        try:
            sampling = Sampling(
                float(settings.get("temperature", 0.7)),
                float(settings.get("top_p", 0.9)),
                int(settings.get("max_tokens", 512)),
                int(settings.get("seed", 0)),
            )
            sampling.draw()
        except (TypeError, ValueError) as error:
            raise Problem("chat.bad_sampling") from error
        said["settings"] = asdict(sampling)
    return said


def as_conversation(conversation: Conversation) -> dict:
    """Return the flat options of a conversation, as `conversation_options` takes them."""
    return {
        "system": conversation.system,
        "tools": conversation.tools,
        "bits": conversation.bits,
        "blind": conversation.blind,
        **conversation.settings,
    }

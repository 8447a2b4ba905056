"""The columns of a conversation as the page draws them: what was said, piece by piece, and only the pieces the page
does not have.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup, escape

from studio.chat import choose, markdown, pictures
from studio.chat.conversation import Conversation
from studio.chat.stored import image_file
from studio.chat.talk import Asking, Talks, written_down
from studio.core import formatting, jobs
from studio.core.i18n import Problem, Words, shown
from studio.web.live import attribute

LETTERS = "ABCD"


class Columns:
    """Draws conversations. Answers that grow are rendered from where they stood at the last look."""

    def __init__(self, talks: Talks):
        self.talks = talks
        self._growing: dict[tuple, markdown.Growing] = {}

    def picture(self, words: Words, id: str, known: dict[str, str]) -> dict:
        """Return {busy, columns: [{name, head, said: [{key, mark, html}]}]}; html is None for what the page has, by
        `known` ({key: mark}).

        Raises:
            Problem: there is no such conversation.
        """
        asking = self.talks.under_way(id)  # looked at first: what it wrote when it ended is then in the conversation
        conversation = self.talks.conversations.open(id)
        if not asking:
            self._growing = {key: kept for key, kept in self._growing.items() if key[0] != id}
        return {
            "busy": asking is not None,
            "columns": [self._column(words, conversation, name, asking, known) for name in conversation.columns],
        }

    def _column(
        self, words: Words, conversation: Conversation, name: str, asking: Asking | None, known: dict[str, str]
    ) -> dict:
        said = list(conversation.of(name))
        live = asking.answers.get(name) if asking and name in asking.columns else None
        if live:
            said = [*(said[:-1] if said and said[-1]["role"] == "assistant" else said), written_down(live, asking.turn)]
        busy = asking is not None and name in asking.columns
        pieces = []
        for number, message in enumerate(said):
            last = number == len(said) - 1
            draw = _Draw(words, self.talks.conversations.folder, conversation, name, last and busy, last and not asking)
            growing = (
                self._growing.setdefault((conversation.id, name, id(asking)), markdown.Growing(words))
                if last and busy
                else None
            )
            pieces.append(_piece(f"{conversation.id}/{name}/{number}", draw.message(message, growing), known))
        if busy and not (said and said[-1]["role"] == "assistant"):
            pieces.append(
                _piece(
                    f"{conversation.id}/{name}/wait", f'<p class="hint waiting">{words("chat.end_waiting")}</p>', known
                )
            )
        return {"name": name, "head": head(words, conversation, name), "said": pieces}


def label(conversation: Conversation, name: str) -> str:
    """Return what a column is called now: its letter while names are hidden, else the last part of its title."""
    if conversation.hidden:
        return LETTERS[conversation.columns.index(name)]
    return choose.short(name)


def head(words: Words, conversation: Conversation, name: str) -> str:
    """Return the head of a column."""
    letter = LETTERS[conversation.columns.index(name)]
    if conversation.hidden:
        return f'<b class="letter">{letter}</b><span class="hint">{words("chat.hidden")}</span>'
    return (
        f'<b class="letter">{letter}</b><span class="name"'
        f' title="{escape(name)}">{escape(label(conversation, name))}</span>'
    )


class _Draw:
    """Draws the messages of one column. `busy`: the message grows now; `last`: it is the last and nobody speaks."""

    def __init__(self, words: Words, folder: Path, conversation: Conversation, name: str, busy: bool, last: bool):
        self.words, self.folder, self.conversation, self.name, self.busy, self.last = (
            words,
            folder,
            conversation,
            name,
            busy,
            last,
        )

    def message(self, message: dict, growing: markdown.Growing | None) -> str:
        return getattr(self, f"_{message['role']}")(message, growing)

    def _user(self, message: dict, _) -> str:
        shown = "".join(
            f'<img src="{escape(small)}" alt="{self.words("chat.image")}">'
            for small in map(self._small, message.get("images", []))
            if small
        )
        id, turn, text = self.conversation.id, message["turn"], message["content"]
        fields = "".join(
            f'<input type="hidden" name="{key}" value="{escape(str(value))}">'
            for key, value in (("conversation", id), ("turn", turn))
        )
        edit = (
            '<details class="edit"'
            f' id="edit-{escape(id)}-{escape(turn)}-{escape(self.name)}"><summary>{self.words("chat.edit")}</summary><form'
            f' data-submit="chat_edit" data-then="chat:{{conversation}}">{fields}<textarea name="text"'
            f' rows="3">{escape(text)}</textarea><p role="alert" class="problem" hidden></p><button class="button'
            f' small" type="submit">{self.words("chat.resend")}</button></form></details>'
        )
        branch = self._button(
            "chat_branch", [id, turn], "chat.branch", then="chat:{conversation}", title="chat.branch_info"
        )
        return (
            "<article"
            f' class="asked"><p>{escape(text)}</p>{shown}<menu>{self._copy(text)}{branch}{edit}</menu></article>'
        )

    def _assistant(self, message: dict, growing: markdown.Growing | None) -> str:
        text, answer = message["content"], message.get("answer", {})
        body = growing.html(text) if growing and not answer.get("finished") else _rendered(self.words.language, text)
        fault = jobs.told(answer.get("fault"), self.words)
        told = f'<p class="problem" role="alert">{escape(fault)}</p>' if fault else ""
        again = self._button("chat_again", [self.conversation.id, self.name], "chat.again_one") if self.last else ""
        menu = f"<menu>{self._copy(text)}{again}</menu>" if not self.busy else ""
        return f'<article class="reply">{body}{self._calls(message)}{told}{self._speed(answer)}{menu}</article>'

    def _tool(self, message: dict, _) -> str:
        return (
            "<article"
            f' class="observed"><h5>{self.words("chat.tool_result")}</h5><pre>{escape(message["content"])}</pre></article>'
        )

    def _calls(self, message: dict) -> str:
        calls = message.get("calls", [])
        shown = "".join(
            "<div"
            f' class="call"><h5>{escape(str(call["name"]))}</h5><pre>{escape(_as_json(call.get("arguments")))}</pre></div>'
            for call in calls
        )
        if not calls or not self.last:
            return shown
        boxes = "".join(
            f'<label>{self.words.html("chat.result_of", name=call["name"])}<textarea name="results.{number}"'
            ' rows="2"></textarea></label>'
            for number, call in enumerate(calls)
        )
        hidden = (
            f'<input type="hidden" name="conversation" value="{escape(self.conversation.id)}"><input type="hidden"'
            f' name="column" value="{escape(self.name)}">'
        )
        return (
            f'{shown}<form class="results" data-submit="chat_result">{hidden}{boxes}<p role="alert" class="problem"'
            f' hidden></p><button class="button small" type="submit">{self.words("chat.give_result")}</button></form>'
        )

    def _speed(self, answer: dict) -> str:
        if self.conversation.hidden:
            return ""
        return speed(self.words, answer, self.busy)

    def _copy(self, text: str) -> str:
        return (
            f'<button data-copy="{escape(text)}"'
            f' data-done="{self.words("chat.copied")}">{self.words("chat.copy")}</button>'
        )

    def _button(self, call: str, arguments: list, key: str, then: str = "", title: str = "") -> str:
        after = f' data-then="{escape(then)}"' if then else ""
        told = f' title="{self.words(title)}"' if title else ""
        return (
            f'<button data-call="{escape(call)}"'
            f" data-args='{attribute(arguments)}'{after}{told}>{self.words(key)}</button>"
        )

    def _small(self, image: str) -> str:
        try:
            return pictures.small(image_file(self.folder, image))
        except Problem:
            return ""  # who asks with it is told


def speed(words: Words, answer: dict, busy: bool) -> str:
    """Return tokens, time to the first token, speed, length of the prompt and why an answer ended."""
    first, prompt = answer.get("first_token_s"), answer.get("prompt_count")
    end = answer.get("finished") or ("running" if busy else "broken")
    parts = [
        words.html("chat.tokens", count=formatting.plain(answer.get("tokens", 0))),
        words.html("chat.first", time="–" if first is None else f"{formatting.fixed(first, 2)} s"),
        words.html("chat.pace", pace=formatting.fixed(answer.get("tokens_per_s"), 1)),
        *([words.html("chat.prompt", count=formatting.plain(prompt))] if prompt is not None else []),
        words(f"chat.end_{end}" if words.has(f"chat.end_{end}") else "chat.end_broken"),
    ]
    parity = answer.get("parity")
    if parity and words.has(f"chat.parity_{parity['is']}"):
        told = words.html(f"chat.parity_info_{parity['is']}", trained=parity["as"])
        parts.append(
            f'<b class="parity {escape(parity["is"])}" title="{told}">{words("chat.parity_" + parity["is"])}</b>'
        )
    return f'<p class="hint num speed">{"".join(f"<span>{part}</span>" for part in parts)}</p>'


def _piece(key: str, html: str, known: dict[str, str]) -> dict:
    html = shown(html)
    mark = hashlib.md5(html.encode(), usedforsecurity=False).hexdigest()[:12]
    return {"key": key, "mark": mark, "html": None if known.get(key) == mark else html}


@lru_cache(maxsize=256)
def _rendered(language: str, text: str) -> Markup:
    return markdown.render(Words(language), text)


def _as_json(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, indent=1)

"""What a script, and the page, can do in conversations."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from studio.chat.evaluation import prompt_parity
from studio.chat.evaluation.prompt_parity import ColumnPrompt
from studio.chat.page.schemas import (
    ColumnsResult,
    ConversationContents,
    ConversationOptions,
    ConversationResult,
    DeletedResult,
    PromptResult,
    PromptTokenResult,
    StoppedResult,
    SummaryResult,
    TitleResult,
    TurnResult,
)
from studio.chat.page.talk.columns import Columns
from studio.chat.page.talk.conversation_settings import checked_columns
from studio.chat.render import transcript
from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem, Words
from studio.web.shared_results import FileResult


def endpoints(turns: TurnRunner, uploads: Callable[[], Path], words: Words) -> list[Callable]:
    """Return the endpoints; `uploads` gives the folder in which the page's server puts what a browser sends."""
    return [*_of_storing(turns, words), *_of_asking(turns, uploads), *_of_reading(turns, Columns(turns), words)]


def _of_storing(turns: TurnRunner, words: Words) -> list[Callable]:
    conversations = turns.conversations

    def chat_new(
        columns: list[str] | None = None, options: ConversationOptions | None = None, like: str = ""
    ) -> ConversationResult:
        """Make a conversation, with the columns and settings of another one where `like` names it, and return
        {conversation}.
        """
        fields = options.fields() if options else {}
        if like:
            old = conversations.open(like)
            inherited = {key: getattr(old, key) for key in ("system", "tools", "settings", "bits", "blind")}
            columns, fields = columns or old.listed_columns, inherited | fields
        return ConversationResult(conversation=conversations.new(checked_columns(columns or []), **fields).id)

    def chat_conversations(query: str = "") -> list[SummaryResult]:
        """Return [{id, title, changed, columns}], the last changed first, of those that hold every word of the query.

        While names are hidden until a vote, columns are in the order of their names.
        Without a query, a file that cannot be read is one of them, with the id null and the reason as its title.
        """
        rows = [
            SummaryResult(id=one.id, title=one.title, changed=one.changed, columns=one.columns)
            for one in conversations.list(query)
        ]
        faults = [] if query.strip() else conversations.faults()
        return rows + [SummaryResult(id=None, title=words.tell(fault), changed=0.0, columns=[]) for fault in faults]

    def chat_open(conversation: str) -> ConversationContents:
        """Return a conversation whole: {id, title, columns, system, tools, settings, bits, messages, parent, blind,
        revealed}.

        While names are hidden until a vote, columns are called A, B, C and D, which all that takes a column
        understands, and of an answer's figures only how it ended is told.
        """
        return ConversationContents(**conversations.open(conversation).shown())

    def chat_rename(conversation: str, title: str) -> TitleResult:
        """Give a conversation another title, and return {title}."""
        if not title.strip():
            raise Problem("chat.no_title")
        with conversations.change(conversation) as changed:
            changed.title = title.strip()
        return TitleResult(title=title.strip())

    def chat_delete(conversation: str) -> DeletedResult:
        """Delete a conversation, its answers under way ended first, and return {deleted}."""
        turns.stop(conversation)
        turns.wait(conversation, 10)
        conversations.delete(conversation)
        return DeletedResult(deleted=conversation)

    def chat_branch(conversation: str, turn: int) -> ConversationResult:
        """Make a conversation that begins as this one did up to the end of a turn, and return {conversation}."""
        return ConversationResult(conversation=conversations.branch(conversation, int(turn)).id)

    return [chat_new, chat_conversations, chat_open, chat_rename, chat_delete, chat_branch]


def _of_asking(turns: TurnRunner, uploads: Callable[[], Path]) -> list[Callable]:
    def chat_say(conversation: str, text: str, images: list[str] | None = None) -> TurnResult:
        """Ask every column in the background, and return {turn}; images are files that were uploaded to this server."""
        folder = uploads().resolve()
        for image in images or []:
            if not Path(image).resolve().is_relative_to(folder):
                raise Problem("chat.not_uploaded", file=Path(image).name)
        return TurnResult(turn=turns.send(conversation, text, images))

    def chat_again(conversation: str, column: str = "") -> TurnResult:
        """Ask the last question again, of one column or of all, and return {turn}."""
        return TurnResult(turn=turns.regenerate(conversation, column))

    def chat_edit(conversation: str, turn: int, text: str) -> ConversationResult:
        """Ask a turn with other words in a branch, and return {conversation}, the branch; the old one stays."""
        return ConversationResult(conversation=turns.edit(conversation, int(turn), text).id)

    def chat_result(conversation: str, column: str, results: dict[str, str]) -> TurnResult:
        """Give a column what its tool calls gave ({"0": text, ...}), let it go on, and return {turn}."""
        if not all(key.isdecimal() and len(key) < 10 for key in results):
            raise Problem("app.argument_kind", argument="results")
        outputs = [results[key] for key in sorted(results, key=int)]
        return TurnResult(turn=turns.submit_tool_outputs(conversation, column, outputs))

    def chat_stop(conversation: str) -> StoppedResult:
        """End the answers under way, keep what was said, and return {stopped}."""
        return StoppedResult(stopped=turns.stop(conversation))

    return [chat_say, chat_again, chat_edit, chat_result, chat_stop]


def _of_reading(turns: TurnRunner, columns: Columns, words: Words) -> list[Callable]:
    def chat_picture(conversation: str, known: dict[str, str] | None = None) -> ColumnsResult:
        """Return the columns as the page draws them: {busy, columns: [{name, head, said: [{key, mark, html}]}]}, html
        only where it is new.
        """
        return columns.snapshot(words, conversation, known or {})

    def chat_export(conversation: str, form: str = "markdown") -> FileResult:
        """Return {name, text} of a conversation as a file, as "markdown" or "json"; not while names are hidden until a
        vote.
        """
        opened = turns.conversations.open(conversation)
        if form not in ("markdown", "json"):
            raise Problem("chat.no_form", form=form)
        if opened.hidden:
            raise Problem("chat.still_hidden")
        fields = asdict(opened)
        text = transcript.as_json(fields) if form == "json" else transcript.as_markdown(fields, words)
        return FileResult(name=f"{conversation}.{'json' if form == 'json' else 'md'}", text=text)

    def chat_prompts(conversation: str) -> list[PromptResult]:
        """Return what went into each column with its last question, token by token, and how that compares with the
        first: [{name, tokens: [{id, text, special}], parity, first_difference, fault}].

        A column that was never asked is left out. While names are hidden until a vote, prompts are not told.
        """
        if turns.conversations.open(conversation).hidden:
            raise Problem("chat.still_hidden")
        prompts = prompt_parity.prompts(turns.service, turns.conversations, conversation)
        first = next(iter(prompts.values()), None)
        return [_prompt(name, one, first, words) for name, one in prompts.items()]

    return [chat_picture, chat_export, chat_prompts]


def _prompt(name: str, prompt: ColumnPrompt, first: ColumnPrompt, words: Words) -> PromptResult:
    comparison = prompt_parity.compare(first, prompt) if prompt is not first else None
    return PromptResult(
        name=name,
        tokens=[
            PromptTokenResult(id=id, text=text, special=id in prompt.special)
            for id, text in zip(prompt.ids, prompt.texts, strict=True)
        ],
        parity=comparison and comparison.parity,
        first_difference=comparison and comparison.first_difference,
        fault=words.tell(prompt.fault) if prompt.fault else None,
    )

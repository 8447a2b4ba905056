"""What a script, and the page, can do with votes and with lists of prompts."""

from collections.abc import Callable

from studio.chat.evaluation import preferences
from studio.chat.evaluation.leaderboard import standings
from studio.chat.history import prompt_sources
from studio.chat.history.conversations import Conversation
from studio.chat.history.prompt_lists import PromptLists
from studio.chat.history.votes import BAD, TIE, Vote, Votes
from studio.chat.page.schemas import (
    ChoiceResult,
    NextResult,
    PreferencesResult,
    PromptListAnswerResult,
    PromptListResult,
    PromptListRowResult,
    PromptListStartedResult,
    StandingResult,
)
from studio.chat.render import prompt_list_export
from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem, Words
from studio.core.jobs import sentence_text
from studio.datasets.registry.collection import Collection
from studio.inference.sampling import Sampling
from studio.web.shared_results import FileResult, StateResult

STANDING = ("wins", "losses", "ties", "bad", "rate", "low", "high")
FIRST = 20  # prompts of a dataset, where nobody says how many


def of_votes(turns: TurnRunner, votes: Votes, collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of votes."""

    def chat_vote(conversation: str, turn: int, choice: str, note: str = "") -> ChoiceResult:
        """Say which answer to a turn was best (a column's name, or its letter while names are hidden, "tie" or "bad"),
        and return {choice}, by name; hidden names are shown from then on.
        """
        opened = turns.conversations.open(conversation)
        choice = choice if choice in (TIE, BAD) else opened.column(choice)
        votes.cast(_vote(opened, int(turn), choice, note))
        if opened.hidden:
            with turns.conversations.change(conversation) as changed:
                changed.revealed = True
        return ChoiceResult(choice=choice)

    def chat_board() -> list[StandingResult]:
        """Return [{speaker, wins, losses, ties, bad, rate, low, high}], the best first; low and high are the 95 %
        Wilson interval of the rate.
        """
        return [
            StandingResult(speaker=one.model, **{name: getattr(one, name) for name in STANDING})
            for one in standings(votes.all())
        ]

    def chat_preferences(name: str = "") -> PreferencesResult:
        """Make a preference dataset of the votes, ready for DPO, and return {name, rows, left_out, reasons, told}."""
        made = preferences.make(votes.all(), collection, name)
        sentence = words("chat.preferences_made", name=made.name, rows=made.rows, left_out=made.left_out)
        return PreferencesResult(**vars(made), told=sentence)

    return [chat_vote, chat_board, chat_preferences]


def _vote(conversation: Conversation, turn: int, choice: str, note: str) -> Vote:
    until_turn = {
        name: [message for message in conversation.of(name) if message["turn"] <= turn] for name in conversation.columns
    }
    answered = [
        name
        for name, messages in until_turn.items()
        if messages and messages[-1]["turn"] == turn and messages[-1]["role"] == "assistant"
    ]
    if len(answered) < 2:
        raise Problem("chat.not_answered", turn=turn)
    return Vote(
        conversation=conversation.id,
        turn=turn,
        columns=answered,
        answers={name: until_turn[name][-1]["content"] for name in answered},
        before={name: until_turn[name][:-1] for name in answered},
        choice=choice,
        system=conversation.system,
        tools=conversation.tools,
        note=note.strip(),
        blind=conversation.hidden,
    )


def of_prompt_lists(
    turns: TurnRunner, prompt_lists: PromptLists, collection: Collection, words: Words
) -> list[Callable]:
    """Return the endpoints of prompt lists."""

    def chat_sheet(
        conversation: str, prompts: str = "", dataset: str = "", first: int = FIRST
    ) -> PromptListStartedResult:
        """Ask a list of prompts (a line each, or JSON) or the first rows of a dataset of every column of a
        conversation; return {sheet, job}.
        """
        opened = turns.conversations.open(conversation)
        questions = prompt_sources.typed(prompts) if prompts.strip() else []
        if dataset.strip():
            questions += prompt_sources.of_dataset(collection, dataset.strip(), int(first or FIRST))
        job = prompt_lists.start(
            opened.listed_columns, questions, Sampling(**opened.settings), opened.system, opened.tools, bits=opened.bits
        )
        return PromptListStartedResult(sheet=job.facts["sheet"], job=job.id)

    def chat_sheet_resume(sheet: str) -> StateResult:
        """Take up a sheet where it stood, and return {state}."""
        return StateResult(state=prompt_lists.resume(sheet).state)

    def chat_sheet_result(sheet: str) -> PromptListResult:
        """Return {title, columns, state, rows: [{prompt, system, answers: {column: {text, tokens, first_token_s,
        tokens_per_s, finished, error}}}]}.
        """
        whole, answers, job = prompt_lists.open(sheet), prompt_lists.answers(sheet), prompt_lists.job(sheet)
        rows = [
            PromptListRowResult(
                prompt=prompt["prompt"],
                system=prompt.get("system") or "",
                answers={name: _answer(one, words) for name, one in answers.get(number, {}).items()},
            )
            for number, prompt in enumerate(whole.prompts)
        ]
        state = job.state if job else "finished"
        return PromptListResult(title=whole.title, columns=whole.columns, state=state, rows=rows)

    def chat_sheet_export(sheet: str, form: str = "csv") -> FileResult:
        """Return {name, text} of a sheet as a file, as "csv" or "json"."""
        if form not in ("csv", "json"):
            raise Problem("chat.no_form", form=form)
        text = (
            prompt_list_export.as_json(prompt_lists, sheet)
            if form == "json"
            else prompt_list_export.as_csv(words, prompt_lists, sheet)
        )
        return FileResult(name=f"{sheet}.{form}", text=text)

    def chat_sheet_delete(sheet: str) -> NextResult:
        """Delete a sheet with its answers, and return {next}, the newest that is left, "" for none."""
        prompt_lists.delete(sheet)
        return NextResult(next=next((one.id for one in prompt_lists.all()), ""))

    return [chat_sheet, chat_sheet_resume, chat_sheet_result, chat_sheet_export, chat_sheet_delete]


def _answer(answer: dict, words: Words) -> PromptListAnswerResult:
    figures = {key: value for key, value in answer.items() if key != "fault"}
    return PromptListAnswerResult(**figures, error=sentence_text(answer["fault"], words))

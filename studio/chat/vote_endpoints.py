"""What a script, and the page, can do with votes and with lists of prompts."""

from collections.abc import Callable
from dataclasses import asdict

from studio.chat import preferences, sheet, sheet_panel
from studio.chat.answer import Sampling
from studio.chat.conversation import Conversation
from studio.chat.sheet import Sheets
from studio.chat.talk import Talks
from studio.chat.votes import Vote, Votes
from studio.core.i18n import Problem, Words
from studio.core.jobs import told
from studio.datasets.registry.collection import Collection

FIRST = 20  # prompts of a dataset, where nobody says how many


def of_votes(talks: Talks, votes: Votes, collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of votes."""

    def chat_vote(conversation: str, turn: int, choice: str, note: str = "") -> dict:
        """Say which answer to a turn was best (a column's name, "tie" or "bad"), and return {choice}; hidden names are
        shown from then on.
        """
        kept = talks.conversations.open(conversation)
        votes.cast(_vote(kept, int(turn), choice, note))
        if kept.hidden:
            with talks.conversations.change(conversation) as changed:
                changed.revealed = True
        return {"choice": choice}

    def chat_board() -> list:
        """Return [{speaker, wins, losses, ties, bad, rate, low, high}], the best first; low and high are the 95 %
        Wilson interval of the rate.
        """
        return [{**asdict(one), "rate": one.rate, "low": one.low, "high": one.high} for one in votes.standings()]

    def chat_preferences(name: str = "") -> dict:
        """Make a preference dataset of the votes, ready for DPO, and return {name, rows, left_out, reasons, told}."""
        made = preferences.make(votes.all(), collection, name)
        return {
            **made,
            "told": words("chat.preferences_made", name=made["name"], rows=made["rows"], left_out=made["left_out"]),
        }

    return [chat_vote, chat_board, chat_preferences]


def _vote(conversation: Conversation, turn: int, choice: str, note: str) -> Vote:
    said = {
        name: [message for message in conversation.of(name) if message["turn"] <= turn] for name in conversation.columns
    }
    answered = [
        name
        for name, messages in said.items()
        if messages and messages[-1]["turn"] == turn and messages[-1]["role"] == "assistant"
    ]
    if len(answered) < 2:
        raise Problem("chat.not_answered", turn=turn)
    return Vote(
        conversation=conversation.id,
        turn=turn,
        columns=answered,
        answers={name: said[name][-1]["content"] for name in answered},
        before={name: said[name][:-1] for name in answered},
        choice=choice,
        system=conversation.system,
        tools=conversation.tools,
        note=note.strip(),
        blind=conversation.hidden,
    )


def of_sheets(talks: Talks, sheets: Sheets, collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of prompt lists."""

    def chat_sheet(conversation: str, prompts: str = "", dataset: str = "", first: int = FIRST) -> dict:
        """Ask a list of prompts (a line each, or JSON) or the first rows of a dataset of every column of a
        conversation; return {sheet, job}.
        """
        kept = talks.conversations.open(conversation)
        asked = sheet.typed(prompts) if prompts.strip() else []
        if dataset.strip():
            asked += sheet.of_dataset(collection, dataset.strip(), int(first or FIRST))
        job = sheets.start(kept.columns, asked, Sampling(**kept.settings), kept.system, kept.tools, bits=kept.bits)
        return {"sheet": job.facts["sheet"], "job": job.id}

    def chat_sheet_resume(sheet: str) -> dict:
        """Take up a sheet where it stood, and return {state}."""
        return {"state": sheets.resume(sheet).state}

    def chat_sheet_result(sheet: str) -> dict:
        """Return {title, columns, state, rows: [{prompt, system, answers: {column: {text, tokens, first_token_s,
        tokens_per_s, finished, error}}}]}.
        """
        whole, answers, job = sheets.open(sheet), sheets.answers(sheet), sheets.job(sheet)
        rows = [
            {**prompt, "answers": {
                name: {key: value for key, value in one.items() if key != "fault"} | {"error": told(one["fault"], words)}
                for name, one in answers.get(number, {}).items()
            }}
            for number, prompt in enumerate(whole.prompts)
        ]  # fmt: skip
        return {"title": whole.title, "columns": whole.columns, "state": job.state if job else "finished", "rows": rows}

    def chat_sheet_export(sheet: str, form: str = "csv") -> dict:
        """Return {name, text} of a sheet as a file, as "csv" or "json"."""
        if form not in ("csv", "json"):
            raise Problem("chat.no_form", form=form)
        text = sheet_panel.as_json(sheets, sheet) if form == "json" else sheet_panel.as_csv(words, sheets, sheet)
        return {"name": f"{sheet}.{form}", "text": text}

    def chat_sheet_delete(sheet: str) -> dict:
        """Delete a sheet with its answers, and return {next}, the newest that is left, "" for none."""
        sheets.delete(sheet)
        return {"next": next((one.id for one in sheets.all()), "")}

    return [chat_sheet, chat_sheet_resume, chat_sheet_result, chat_sheet_export, chat_sheet_delete]

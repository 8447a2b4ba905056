"""What stands on disk of the chat, typed: a file that is not as it should be is told in one sentence, and nothing in it
leads out.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from studio.core.i18n import Problem
from studio.core.plain import shown
from studio.core.sentences import Sentence
from studio.core.storage.records import Moment, Record
from studio.core.workspace import is_safe
from studio.inference.sampling import MOST_TOKENS

MOST_COLUMNS = 4
MOST_PROMPTS = 10_000
IMAGE = r"^files/[0-9a-f]{24}\.[a-z0-9]{1,12}$"


def _name(id: str) -> str:
    if not is_safe(f"{id}.json"):
        raise ValueError("it is no name of a conversation")
    return id


# Half a character, which a browser can send and no page can show, is replaced.
Text = Annotated[str, BeforeValidator(lambda value: shown(value) if isinstance(value, str) else value)]
Id = Annotated[str, AfterValidator(_name)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Columns = Annotated[list[Annotated[Text, Field(min_length=1)]], Field(min_length=1, max_length=MOST_COLUMNS)]
Bits = Literal[4, 8] | None
Finished = Literal["", "stop", "length", "stopped", "failed"]


class OpenRecord(Record):
    """A part of a file in which what a later release added is kept."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Settings(OpenRecord):
    """How tokens are chosen (`answer.Sampling`)."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] = 512
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    top_k: Annotated[int, Field(ge=0, le=MOST_TOKENS)] = 0


class Call(OpenRecord):
    """A tool that an answer calls."""

    name: Text
    arguments: object = None


class Parity(OpenRecord):
    """Whether a served model got the prompt of training."""

    result: Literal["same", "differs", "untold"] = Field(alias="is")
    trained: Text = Field(alias="as")


class Figures(OpenRecord):
    """The figures of an answer."""

    tokens: Count = 0
    first_token_s: Seconds | None = None
    tokens_per_s: Seconds | None = None
    finished: Finished = ""
    prompt_count: Count | None = None
    fault: Sentence | None = None
    parity: Parity | None = None


class Message(OpenRecord):
    """A message of a column. An image is a file beside the conversations, and nothing else."""

    role: Literal["user", "assistant", "tool"]
    content: Text
    turn: Count
    images: list[Annotated[str, Field(pattern=IMAGE)]] = []
    calls: list[Call] = []
    answer: Figures = Figures()


class VotedMessage(Message):
    """A message that stands before a vote."""

    turn: Count = 0


class Parent(Record):
    """The conversation that one is a branch of, and up to which turn."""

    id: Id
    turn: Count


class StoredConversation(Record):
    """A conversation as it stands on disk (`conversation.Conversation`)."""

    id: Id
    columns: Columns
    title: Text = ""
    created: Moment = 0.0
    changed: Moment = 0.0
    system: Text = ""
    tools: Text = ""
    settings: Settings = Settings()
    bits: Bits = None
    messages: dict[Text, list[Message]] = {}
    parent: Parent | None = None
    blind: bool = False
    revealed: bool = False


class StoredVote(Record):
    """A vote as it stands on disk (`votes.Vote`)."""

    conversation: Text
    turn: Count
    columns: Annotated[list[Text], Field(min_length=2, max_length=MOST_COLUMNS)]
    answers: dict[Text, Text]
    before: dict[Text, list[VotedMessage]]
    choice: Text
    system: Text = ""
    tools: Text = ""
    note: Text = ""
    blind: bool = False
    time: Moment = 0.0

    @model_validator(mode="after")
    def is_whole(self) -> "StoredVote":
        """Refuse a vote that chooses none of its columns, or lacks an answer."""
        if self.choice not in (*self.columns, "tie", "bad"):
            raise ValueError("the choice is none of the columns")
        if any(name not in self.answers or name not in self.before for name in self.columns):
            raise ValueError("a column has no answer")
        return self


class Prompt(Record):
    """A prompt of a list."""

    prompt: Text
    system: Text = ""


class StoredPromptList(Record):
    """A list of prompts as it stands on disk (`prompt_lists.PromptList`)."""

    id: Id
    columns: Columns
    prompts: Annotated[list[Prompt], Field(min_length=1, max_length=MOST_PROMPTS)]
    system: Text = ""
    tools: Text = ""
    settings: Settings = Settings()
    title: Text = ""
    created: Moment = 0.0
    job: Text = ""
    bits: Bits = None


class PromptListAnswer(OpenRecord):
    """What one column answered to one prompt of a list."""

    text: Text = ""
    tokens: Count | None = None
    first_token_s: Seconds | None = None
    tokens_per_s: Seconds | None = None
    finished: Finished = ""
    calls: list[Call] = []
    fault: Sentence | None = None


class AnsweredRow(Record):
    """A line of the answers to a list: the number of the prompt, from 0, and the answer of each column."""

    row: Annotated[int, Field(ge=0, lt=MOST_PROMPTS)]
    answers: dict[Text, PromptListAnswer]


class PromptListFacts(Record):
    """What a job says of the list that it works on."""

    sheet: Id
    title: Text = ""
    count: Count = 0


def image_file(folder: Path, name: str) -> Path:
    """Return the file of a conversation's image, beside the conversations. Raises Problem where a link leads out of
    there.
    """
    path, beside = folder / name, os.path.realpath(folder / "files")
    if os.path.dirname(os.path.realpath(path)) != beside:
        raise Problem("chat.image_leads_out", file=name)
    return path

"""What the endpoints of the chat are given, and what they answer with."""

from typing import Literal

from pydantic import ConfigDict, Field

from studio.inference.sampling import Sampling
from studio.web.schema import Options, Result, SparseResult


class SamplingOptions(Options):
    """How tokens are chosen."""

    temperature: float = Field(Sampling.temperature, description="0 takes the most likely token")
    top_p: float = Field(Sampling.top_p, description="share of the probability that is drawn from, above 0 and up to 1")
    max_tokens: int = Field(Sampling.max_tokens, description="of an answer")
    seed: int = Sampling.seed
    top_k: int = Field(Sampling.top_k, description="the most likely tokens that are drawn from; 0: all")

    def sampling(self) -> Sampling:
        """Return the settings. Raises Problem where one is out of range."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.seed, self.top_k)
        sampling.check()
        return sampling


class AskOptions(SamplingOptions):
    """What goes with a question."""

    system: str = Field("", description="system prompt; empty leaves it to the template")
    tools: str = Field("", description="JSON of the tools that may be called")
    bits: Literal[4, 8] | None = Field(None, description="load models of this machine quantised")


class ConversationOptions(AskOptions):
    """What a conversation is made of."""

    blind: bool = Field(False, description="hide names, and shuffle columns, until a vote")

    def fields(self) -> dict:
        """Return those that were given as fields of a conversation. Raises Problem where one is out of range."""
        given = {
            name: getattr(self, name) for name in ("system", "tools", "bits", "blind") if name in self.model_fields_set
        }
        if self.model_fields_set & set(SamplingOptions.model_fields):
            given["settings"] = vars(self.sampling())
        return given


class ServerOptions(Options):
    """A server of OpenAI's API."""

    url: str = Field(description="as a person writes it: localhost:8000 will do")
    key: str | None = None
    keep_key: bool = Field(False, description="write the key to a file that only this user can read")
    name: str | None = Field(None, description="by default host and port")


class CallOptions(Options):
    """A tool that an answer calls."""

    name: str
    arguments: object = Field(None, description="an object, or text where the model wrote no JSON")


class MessageOptions(Options):
    """A message of a conversation that is to go on. What chat_open tells of it beside these is passed over."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "user", "assistant", "tool"] = Field(
        description="a system prompt is the first; a tool says what its call gave"
    )
    content: str | None
    images: list[str] = Field([], description="files of this machine")
    calls: list[CallOptions] = Field([], description="of an assistant")


class ConversationResult(Result):
    """A conversation by its id."""

    conversation: str


class TurnResult(Result):
    """The number of a question, from 1."""

    turn: int


class SummaryResult(Result):
    """A conversation in the list; id null for a file that cannot be read, whose title is the reason."""

    id: str | None
    title: str
    changed: float = Field(description="seconds since 1970")
    columns: list[str]


class CallResult(Result):
    """A tool that an answer calls."""

    model_config = ConfigDict(extra="allow")

    name: str
    arguments: object = Field(description="an object, or text where the model wrote no JSON")


class FaultResult(Result):
    """The sentence of a fault."""

    key: str
    facts: dict[str, object] = Field({}, description="what it is filled with")


class FiguresResult(SparseResult):
    """The figures of an answer, as far as they are known; what a later release wrote of it is kept."""

    model_config = ConfigDict(extra="allow")

    tokens: int = 0
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    finished: str = Field("", description="stop, length, stopped or failed")
    prompt_count: int | None = Field(None, description="tokens of the prompt")
    fault: FaultResult | None = None
    parity: dict[str, str] | None = Field(
        None, description="of a served model: `is` same, differs or untold; `as` whom"
    )


class MessageResult(SparseResult):
    """A message of a column; what a later release wrote of it is kept."""

    model_config = ConfigDict(extra="allow")

    role: str = Field(description="user, assistant or tool")
    content: str
    turn: int = Field(description="the number of the question, from 1")
    images: list[str] = Field([], description="files beside the conversations")
    calls: list[CallResult] = []
    answer: FiguresResult = Field(FiguresResult(), description="of an assistant")


class SamplingResult(Result):
    """How tokens are chosen."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    top_k: int


class ParentResult(Result):
    """The conversation that one is a branch of."""

    id: str
    turn: int = Field(description="up to whose end they are the same")


class ConversationContents(Result):
    """A conversation whole."""

    id: str
    columns: list[str] = Field(
        description="names of the models, in the order in which they are shown; letters while names are hidden"
    )
    title: str
    created: float = Field(description="seconds since 1970")
    changed: float = Field(description="seconds since 1970")
    system: str
    tools: str = Field(description="JSON, empty for none")
    settings: SamplingResult
    bits: int | None
    messages: dict[str, list[MessageResult]] = Field(description="of each column, the oldest first")
    parent: ParentResult | None
    blind: bool = Field(description="names are hidden, and columns shuffled, until a vote")
    revealed: bool = Field(description="the vote was cast")


class TitleResult(Result):
    title: str


class DeletedResult(Result):
    deleted: str = Field(description="the id of the conversation")


class StoppedResult(Result):
    stopped: bool = Field(description="whether somebody was answering")


class RemovedResult(Result):
    removed: str = Field(description="the name of the server")


class ChoiceResult(Result):
    choice: str = Field(description="a column's name, tie or bad")


class NextResult(Result):
    next: str = Field(description="the newest list that is left, empty for none")


class PieceResult(Result):
    """A message as the page draws it; html null where the page has it."""

    key: str
    mark: str
    html: str | None


class ColumnResult(Result):
    """A column as the page draws it."""

    name: str = Field(description="its letter while names are hidden")
    head: str
    said: list[PieceResult]


class ColumnsResult(Result):
    """The columns as the page draws them; busy while somebody answers."""

    busy: bool
    columns: list[ColumnResult]


class PromptTokenResult(Result):
    """A token of a prompt."""

    id: int
    text: str = Field(
        description="empty for all but the last of the tokens of one character; the id where no column of "
        "this machine knows the vocabulary"
    )
    special: bool


class PromptResult(Result):
    """What went into a column with the last question that it was asked."""

    name: str
    tokens: list[PromptTokenResult]
    parity: Literal["same", "differs", "ends_before"] | None = Field(
        description="with the first prompt listed, null for that one and where one of them cannot be told; "
        "ends_before: one of the two is the beginning of the other"
    )
    first_difference: int | None = Field(description="the index of the first token that differs, from 0")
    fault: str | None = Field(description="why the prompt cannot be told")


class LoadedResult(Result):
    """Who can be asked now."""

    speakers: list[str]


class UnloadedResult(Result):
    """The bytes in use before and after, and a sentence of them."""

    speakers: list[str]
    before: int
    after: int
    told: str


class AnswerResult(Result):
    """An answer with its figures; error says why it failed."""

    speaker: str
    text: str
    tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    finished: str
    prompt_ids: list[int]
    prompt_count: int | None
    calls: list[CallResult] = Field(description="of each tool that it calls")
    error: str | None


class CompareResult(Result):
    """The answers of all, in the order in which they were asked."""

    answers: list[AnswerResult]


class SmokeTestResult(Result):
    """An answer with its speed, and the memory in use, in bytes."""

    answer: str
    tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    load_s: float | None
    before: int
    loaded: int
    after: int


class ServerResult(Result):
    """A server that was added; models null while it is asked, or where error says why it does not tell them."""

    name: str
    url: str
    has_key: bool
    models: list[str] | None
    error: str | None


class ServerAddedResult(Result):
    """A server that was added now."""

    name: str
    url: str
    models: list[str]


class StandingResult(Result):
    """How one model does by all votes; low and high are the 95 % Wilson interval of its rate."""

    speaker: str
    wins: int
    losses: int
    ties: int
    bad: int
    rate: float | None
    low: float
    high: float


class PreferencesResult(Result):
    """A preference dataset that was made of the votes; reasons: how many were left out for each."""

    name: str
    rows: int
    left_out: int
    reasons: dict[str, int]
    told: str


class PromptListStartedResult(Result):
    """A list that is asked now, and its job."""

    sheet: str
    job: str


class PromptListAnswerResult(Result):
    """An answer to a prompt of a list; what a later release wrote of it is kept."""

    model_config = ConfigDict(extra="allow")

    text: str
    tokens: int | None
    first_token_s: float | None
    tokens_per_s: float | None
    finished: str
    error: str | None


class PromptListRowResult(Result):
    """A prompt and its answers by column."""

    prompt: str
    system: str
    answers: dict[str, PromptListAnswerResult]


class PromptListResult(Result):
    """A list of prompts with the answers that are there."""

    title: str
    columns: list[str]
    state: str
    rows: list[PromptListRowResult]

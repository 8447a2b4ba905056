"""What the endpoints of checks, tokens, lengths and new sets take and answer."""

from pydantic import Field

from studio.datasets.analysis import CUTOFF, DatasetAnalysis, EncodingSettings
from studio.datasets.page.schemas import IntakeResult
from studio.datasets.quality.lengths import Lengths
from studio.web.schema import Options, Result


class TrainedOptions(Options):
    """Which tokens of a row are trained, for data of the stage sft."""

    mask_history: bool = Field(False, description="train the last answer of a conversation only")
    train_on_prompt: bool = Field(False, description="train the questions too")
    packing: bool = Field(False, description="join rows into blocks as long as the cutoff")


class EncodingOptions(TrainedOptions):
    """How rows become tokens."""

    model: str = Field("", description="whose tokenizer is used; empty for the first on this machine")
    template: str = Field("", description="LLaMA-Factory's; empty for that of the model")
    cutoff: int = Field(CUTOFF, description="most tokens of a sequence")

    def settings(self, analysis: DatasetAnalysis) -> EncodingSettings:
        """Return the settings, filled up from the models on disk. Raises Problem where they cannot be had."""
        return analysis.encoding_settings(self.model_dump())


class LengthsResult(Result):
    """The lengths of all rows in tokens. Chosen and rejected of a pair count as one sample."""

    rows: int
    dropped: int = Field(description="rows that LLaMA-Factory does not train")
    cutoff: int
    suggested: int = Field(description="the shortest usual cutoff that cuts at most one row in a hundred")
    longest: int
    median: int
    width: int = Field(description="of a bar of the histogram, in tokens")
    bins: list[int] = Field(description="the lower edges of the bars, in tokens")
    counts: list[int] = Field(description="the rows in each bar")
    cut: dict[str, float] = Field(description="the percentage of rows that each cutoff cuts")
    tokens: int = Field(description="of one epoch under the cutoff")
    trained: int = Field(description="those of them that are in the loss")
    samples: int = Field(description="sequences of one epoch: fewer than rows where they are packed or dropped")

    @classmethod
    def of(cls, lengths: Lengths) -> "LengthsResult":
        """Return lengths as they are sent; keys of JSON are text."""
        return cls(**vars(lengths) | {"cut": {str(cutoff): share for cutoff, share in lengths.cut.items()}})


class ProblemResult(Result):
    row: int = Field(description="its number, from 1; 0 for the set as a whole")
    field: str = Field(description='its place in the row: "output", "conversations[2].value"; empty for the whole row')
    message: str
    mend: str = Field(description="what to do about it")
    kind: str


class ReportResult(Result):
    ok: bool = Field(description="nothing was found, or only hints: a run does not end at the data")
    rows: int
    counts: dict[str, int] = Field(description="how many rows have a problem of each kind, the most frequent first")
    lengths: LengthsResult | None = Field(description="null where the tokens were not looked at")
    problems: list[ProblemResult] = Field(description="at most 1,000")


class CheckResult(ReportResult):
    intake: IntakeResult = Field(
        description="what was told when the dataset came in, as datasets_intake gives it: rows left out of it "
        "are in no file that is checked"
    )


class TokenResult(Result):
    text: str = Field(description="empty for all but the last of the tokens of one character")
    id: int = Field(description="in the vocabulary of the tokenizer")
    trained: bool


class SequenceResult(Result):
    name: str = Field(description="text, chosen or rejected")
    tokens: list[TokenResult]


class TokensResult(Result):
    tokens: list[TokenResult] = Field(description="those of the first sequence")
    sequences: list[SequenceResult] = Field(description="one, or the two of a preference pair")


class NewSetResult(Result):
    name: str
    rows: int


class NewPartsResult(Result):
    names: list[str]
    rows: dict[str, int] = Field(description="of each part by its name")


class LeakResult(Result):
    held_out: int = Field(description="the number of a row of the one set, from 1")
    trained: int = Field(description="that of the row of the other that is like it, from 1")
    exact: bool = Field(description="whether they say the same, or nearly")


class LeaksResult(Result):
    leaks: list[LeakResult]


class LeaksSentence(Result):
    said: str

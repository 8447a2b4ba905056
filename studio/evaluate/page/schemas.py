"""What goes into the endpoints of evaluations and comes out of them."""

from pydantic import Field

from studio.evaluate.settings import BenchmarkSettings, PredictSettings
from studio.web.schema import Options, Result


class PredictOptions(PredictSettings, Options):
    """How answers are asked for and scored."""


class BenchmarkOptions(BenchmarkSettings, Options):
    """How the questions of benchmarks are asked."""


class RowFilter(Options):
    """Which rows, and in which order."""

    sort: str = Field(
        "",
        description='a metric ("f1": lowest first, "-f1": highest first), or "change:f1" for what lost the most against'
        ' the first target; "" for the order of the data',
    )
    target: str = Field("", description="whose scores are meant")
    dataset: str = ""
    subject: str = ""
    trained: str = Field("", description='"yes": only rows that were trained on, "no": only others')
    wrong: bool = Field(False, description="only rows with less than half of the best headline score")
    metric: str = Field("", description="the score whose range is `low` to `high`")
    low: float | None = None
    high: float | None = None
    find: str = Field("", description="a text in question, reference or answer")


class EvaluationResult(Result):
    """An evaluation by its id."""

    evaluation: str


class StateResult(Result):
    """The state of an evaluation, as that of a job."""

    state: str


class TitleResult(Result):
    """Title and note of an evaluation."""

    title: str
    note: str


class DeletedResult(Result):
    """What is in the trash now."""

    item: str = Field(description="as `trash_restore` takes it")


class DifferenceResult(Result):
    """A score minus that of the first target, over the rows that both have."""

    value: float
    low: float | None
    high: float | None
    p: float = Field(description="corrected where several models are compared")
    count: int
    is_noise: bool
    is_better: bool | None = Field(description="null where it may be chance, or neither way is better")


class ScoreResult(Result):
    """A score with its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    count: int
    difference: DifferenceResult | None = None


class AnswerResult(Result):
    """An answer to one row."""

    text: str
    tokens: int
    seconds: float
    finished: str
    fault: str | None = None
    choice: str | None = None
    shares: list[float] | None = Field(None, description="the probability of each letter")
    cut: bool = False


class TableRowResult(Result):
    """A row with its answers and scores by target."""

    row: int
    dataset: str | None = Field(description="null where the row cannot be read")
    source: int | None = Field(description="its number in the dataset, from 0")
    subject: str
    question: str
    reference: str | None
    trained: list[str]
    answers: dict[str, AnswerResult]
    scores: dict[str, dict[str, float]]


class ReferenceLossResult(Result):
    """The reference answer under one model."""

    loss: float
    tokens: int
    losses: list[float]
    pieces: list[str]


class CalledResult(Result):
    """A tool that was called."""

    name: str
    arguments: str = Field(description="as JSON")


class MessageResult(Result):
    """A message of a row's question."""

    role: str
    content: str
    calls: list[CalledResult] = []


class WholeRowResult(TableRowResult):
    """A row with all that is known of it."""

    messages: list[MessageResult]
    system: str
    tools: str
    choices: list[str]
    answer: str
    losses: dict[str, ReferenceLossResult]


class RatesResult(Result):
    """Precision, recall and F1, 0 to 1, of as many rows."""

    precision: float
    recall: float
    f1: float
    rows: int


class ConfusionResult(Result):
    """How a model took the labels of a classification for each other."""

    labels: list[str]
    counts: list[list[int]] = Field(description="[label of the reference][label answered]; the last column is none")
    accuracy: float
    none: int = Field(description="answers that name no label")
    macro: RatesResult
    micro: RatesResult
    of_label: list[RatesResult]


class JudgedResult(Result):
    """What a judge said of the answers of a model against those of the first."""

    first: int = Field(description="rows where the first model's answer was better")
    second: int
    ties: int
    disagreements: int = Field(description="rows where the other order of the answers changed the verdict")
    unread: int = Field(description="rows of which the judge gave no verdict")
    failed: int = Field(description="of these, rows of which it could not be asked")
    rate: ScoreResult | None = Field(description="the share that the model gets, a tie counting half")
    p: float | None


class ReportResult(Result):
    """How far an evaluation is, and what it came to so far."""

    state: str
    progress: float | None
    left_s: float | None
    message: str | None
    error: str | None
    sentences: list[str]
    headline: str | None
    scores: dict[str, dict[str, ScoreResult]]
    rows: list[TableRowResult]
    total: int
    counts: dict[str, dict[str, int | float]]
    subjects: dict[str, dict[str, ScoreResult]]
    labels: dict[str, ConfusionResult] = Field(description="of a classification, by target")
    judged: dict[str, JudgedResult] = Field(description="where a judge was asked, by target but the first")


class RowsResult(Result):
    """Some rows of those that fit."""

    rows: list[TableRowResult]
    total: int
    all: int


class ListedEvaluation(Result):
    """An evaluation as lists show it."""

    evaluation: str
    kind: str | None
    title: str
    note: str
    state: str
    progress: float | None
    created: float | None
    targets: list[str]
    parts: list[str]
    metric: str | None
    value: float | None
    problem: str | None


class FileResult(Result):
    """A file: its text, or its bytes in Base64."""

    name: str
    text: str = ""
    base64: str = ""


class MistakeResult(Result):
    """The dataset that a row was put into."""

    name: str
    rows: int
    told: str


class ComparedScoreResult(Result):
    """A score over the rows that two evaluations have in common."""

    first: ScoreResult
    second: ScoreResult
    difference: DifferenceResult


class PairResult(Result):
    """A row of each of two evaluations."""

    first: TableRowResult
    second: TableRowResult


class SideBySideResult(Result):
    """Two evaluations beside each other."""

    first_target: str
    second_target: str
    common: int
    only_first: int
    only_second: int
    metric: str | None
    scores: dict[str, ComparedScoreResult]
    rows: list[PairResult]


class MetricResult(Result):
    """A score that can be asked for."""

    key: str
    name: str
    about: str
    unit: str
    higher_is_better: bool | None


class OwnMetricResult(Result):
    """A score of the person's own."""

    name: str
    key: str = Field(description="as `metrics` of an evaluation takes it")
    code: str
    digest: str = Field(description="of the code, as `evaluate_metric_trust` takes it")
    allowed: bool
    problem: str | None = Field(description="why it cannot be read or allowed")


class TaskResult(Result):
    """A benchmark, in the workspace or one that can be fetched."""

    name: str
    title: str
    licence: str = Field(description="as its authors give it, empty where none is told")
    free: bool | None = Field(description="whether that allows commercial use, null where it is not known")
    language: str
    split: str = Field(description="the part of it that is scored")
    subjects: int
    questions: int
    is_here: bool = Field(description="whether it is in the workspace")
    problem: str | None


class FetchResult(Result):
    """The job that fetches a benchmark."""

    job: str


class AddedTaskResult(Result):
    """A benchmark that was brought in."""

    name: str
    questions: int

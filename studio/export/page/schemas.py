"""What goes into the endpoints of exports and comes out of them."""

from typing import Literal

from pydantic import Field

from studio.export.merge.merge_plan import LARGEST_SHARD_GB, Precision
from studio.web.schema import Options, Result


class MergeOptions(Options):
    """How a merge is stored."""

    name: str = Field("", description="of the model that comes out; one is made where it is empty")
    precision: Precision = Field("", description="of the stored weights, that of the base where it is empty")
    shard_gb: int = Field(5, ge=1, le=LARGEST_SHARD_GB, description="of a file of weights, at the most")
    device: Literal["cpu", "auto"] = Field("cpu", description='where it is merged: "auto" takes a GPU')


class GgufOptions(Options):
    """Which GGUF files are made."""

    types: list[str] = Field(
        ["f16"], description='as llama.cpp names them ("q4_k_m"), and "lora" for the adapter alone'
    )
    importance: bool = Field(False, description="with an importance matrix; types below 3 bits always have one")
    calibration: str = Field("", description="the dataset it is measured on; the run's own where it is empty")
    name: str = Field("", description="of the folder; one is made where it is empty")


class QuantizeOptions(Options):
    """How weights are quantised."""

    method: str = Field("bnb-4bit", description='"bnb-4bit", "bnb-8bit", "gptq-4bit" or "gptq-8bit"')
    calibration: str = Field("", description="the dataset that GPTQ looks at; the run's own where it is empty")
    name: str = Field("", description="of the model that comes out; one is made where it is empty")


class CostOptions(Options):
    """On what forms are compared."""

    dataset: str = Field("", description='a dataset, or "held-out:<run>"; what the run held out where it is empty')


class CostResult(Result):
    """What a form loses against the 16-bit model."""

    perplexity: float = Field(description="of the tokens that training counts")
    kl: float = Field(description="mean divergence from the 16-bit model, in nats")
    top1: float = Field(description="share of positions with the same first choice")
    tokens_per_s: float
    threads: int
    positions: int
    rows: int
    rows_from: str


class FormResult(Result):
    """One form of a model, or its 16 bits themselves (`type` "16-bit")."""

    type: str
    folder: str
    file: str
    size_bytes: int
    cost: CostResult | None
    problem: str | None = Field(None, description="why the newest comparison has no figures of it")


class JobResult(Result):
    """A job, whose result is {name, folder, verified}, with `files` for GGUF and `forms` for a comparison."""

    job: str


class MergePlanResult(Result):
    """What a merge will be."""

    name: str
    base: str
    template: str
    adapters: int
    needed_bytes: int
    free_bytes: int
    from_quantized: bool = Field(description="trained on a base in 4 or 8 bit, and merged into its 16-bit weights")


class VerifiedResult(Result):
    """What a verification found: an exported model beside its parts, in float32."""

    kl: float = Field(description="mean divergence of the next token, in nats")
    top1: float = Field(description="share of positions with the same first choice")
    largest: float = Field(description="largest difference of a logit")
    stored_kl: float = Field(description="what storing in `precision` costs base and adapter by itself")
    stored_top1: float
    prompts: int
    positions: int
    precision: str


class ListedExport(Result):
    """An exported model, or a job that has made none yet."""

    name: str
    job: str | None
    state: str
    progress: float | None
    sources: list[str]
    base: str
    created: float | None
    size_bytes: int
    verified: VerifiedResult | None
    problem: str | None


class FileResult(Result):
    """A file by its name and its text."""

    name: str
    text: str


class DifferenceResult(Result):
    """The first place where a form says something else than training."""

    kind: str = Field(description='"seam": the same text, but other tokens where two messages meet')
    at: int = Field(description="characters before it")
    token: int = Field(description="tokens before it")
    before: str
    trained: str
    form: str
    sentence: str = Field(description="what it does")


class CaseResult(Result):
    """One conversation in one form."""

    form: str
    case: str
    same: bool | None = Field(description="token for token; null where training or the form cannot express it")
    cannot: list[str]
    difference: DifferenceResult | None


class StopResult(Result):
    """The stop words of a form against those of training."""

    form: str
    missing: list[str]
    added: list[str]


class ParityResult(Result):
    """Forms of a template beside what training encodes."""

    same: bool = Field(description="no text differs; a seam counts as the same")
    template: str
    cases: list[CaseResult]
    stops: list[StopResult]


class PushOptions(Options):
    """How a model is sent to a hub."""

    token: str = Field("", description="of your account; kept in memory until the job ends, and nowhere else")
    visibility: Literal["private", "public"] = Field("private", description="where the hub has no such model yet")
    endpoint: str = Field("", description="of a mirror, as https://host; the hub's own where it is empty")


class PushJobResult(Result):
    """A push, whose result is {name, url, bytes, files}."""

    job: str


class ParityJobResult(Result):
    """A comparison in the background."""

    job: str


class ForgottenResult(Result):
    """A job that is off the list."""

    job: str

"""What a person asks of an evaluation. The same models are stored in its `request.json` and taken by the endpoints."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.core.storage.records import Moment, Record, Text

Rows = Annotated[int, Field(ge=0, le=10_000_000)]


class JudgeSettings(BaseModel):
    """A model that judges the answers of two others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str = Field(description="who judges, as Chat names it")
    prompt: str = Field("", description="what it is asked; empty: the studio's own words")


class Settings(BaseModel):
    """What predictions and benchmarks have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field("", max_length=120, description="the evaluation's name; empty: made of its models and data")
    note: str = Field("", max_length=10_000, description="kept with the evaluation")
    rows: Rows = Field(0, description="of each dataset or subject, at the most; 0: all")
    choose: Literal["first", "drawn"] = Field("first", description="the first rows, or rows drawn with the seed")
    seed: int = Field(
        42, ge=0, lt=2**31, description="of the rows that are drawn, of answers that are drawn, of intervals"
    )
    batch: int = Field(16, ge=1, le=512, description="rows at a time; halved where the memory is not enough")
    bits: Literal[4, 8] | None = Field(None, description="to load the models quantised")
    precision: Literal["", "float32", "bfloat16", "float16"] = Field(
        "", description="to compute in; empty: float32 on a processor, else the type of the device"
    )


class PredictSettings(Settings):
    """How answers to the rows of datasets are asked for and scored."""

    rows: Rows = Field(100, description="of each dataset, at the most; 0: all")
    batch: int = Field(32, ge=1, le=512, description="rows at a time; fewer where the memory is not enough")
    preset: Literal["reproducible", "llamafactory"] = Field(
        "reproducible",
        description="the most likely token, or drawn as LLaMA-Factory does: temperature 0.95, top-p 0.7, top-k 50",
    )
    max_tokens: int = Field(256, ge=1, le=32_768, description="of an answer")
    cutoff: int | None = Field(
        None, ge=8, le=2**20, description="tokens of prompt and reference; null: as the run was trained"
    )
    answers: bool = Field(
        True, description="whether the models answer; without, only the loss of the references is measured"
    )
    loss: bool = Field(True, description="whether the loss of the reference answers is measured")
    metrics: list[str] = Field([], description="keys of scores; empty: those that fit the data")
    labels: list[str] = Field([], description="of a classification; empty: found in the references")
    pattern: str = Field("", max_length=1000, description="the regular expression of the score `regex`")
    judge: JudgeSettings | None = None


class BenchmarkSettings(Settings):
    """How the questions of benchmarks are asked."""

    language: Literal["", "en", "zh"] = Field(
        "", description="of the prompt around a question; empty: as the set is written"
    )
    shots: int = Field(5, ge=0, le=5, description="examples before each question")
    method: Literal["llamafactory", "harness"] = Field(
        "llamafactory", description="whose choice counts: LLaMA-Factory's evaluator, or lm-eval"
    )


class Request(Record):
    """`request.json`: who is evaluated, on what, and how. `parts` are datasets, or tasks of benchmarks."""

    id: str
    kind: Literal["predict", "benchmark"]
    title: str
    note: str = ""
    created: Moment
    targets: list[Text]
    parts: list[Text]
    predict: PredictSettings | None = None
    benchmark: BenchmarkSettings | None = None

    @property
    def settings(self) -> PredictSettings | BenchmarkSettings:
        """Return the settings of its kind. Raises ValueError where they are missing."""
        settings = self.predict if self.kind == "predict" else self.benchmark
        if settings is None:
            raise ValueError(self.kind)
        return settings

"""What a person asks of a load test. The same models are stored in its `request.json` and taken by the endpoint."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from studio.core.storage.records import Moment, Record, Text

MOST_TARGETS = 4
Concurrency = Annotated[int, Field(ge=1, le=512)]


class LoadSettings(BaseModel):
    """What is sent, and how much of it at a time. A step ends when its requests are answered; after its time no new one
    is sent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field("", max_length=120, description="the test's name; empty: made of what it measures")
    dataset: str = Field("", description="whose questions are asked; empty: prompts made to length")
    prompt_tokens: int = Field(128, ge=1, le=131_072, description="of a prompt that is made to length")
    max_tokens: int = Field(128, ge=1, le=32_768, description="of an answer")
    whole_length: bool = Field(
        False, description="whether answers go on to `max_tokens` (`ignore_eos`, which vLLM and llama.cpp know)"
    )
    concurrency: list[Concurrency] = Field(
        [1, 2, 4, 8], min_length=1, max_length=12, description="requests at a time, a step for each number"
    )
    requests: int = Field(32, ge=1, le=100_000, description="of a step, at the most")
    seconds: float = Field(60, gt=0, le=86_400, description="after which a step sends nothing new")
    temperature: float = Field(0, ge=0, le=2)
    seed: int = Field(42, ge=0, lt=2**31, description="of the prompts")
    ttft_ms: float | None = Field(None, gt=0, description="a good answer begins within; null: no limit")
    tpot_ms: float | None = Field(None, gt=0, description="a good answer takes at most so long a token; null: no limit")


class LoadRequest(Record):
    """`request.json`: which servers are measured (as Chat names them), and how."""

    id: str
    title: Text
    created: Moment
    targets: list[Text]
    settings: LoadSettings

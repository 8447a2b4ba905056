"""What the endpoints of the models take and answer."""

from pydantic import Field

from studio.web.schema import Options, Result


class DownloadOptions(Options):
    """Patterns are those of a shell, with spaces or commas between them."""

    include: str = Field("", description="patterns of the files to fetch; empty for all that a model needs")
    exclude: str = Field("", description="patterns of files to leave out")
    token: str = Field("", description="of the hub, for a model that is not open to all; it is not kept")
    endpoint: str = Field("", description="the address of a mirror of the hub")
    name: str = Field("", description="of the model's folder; empty for the last part of the repository's name")


class ModelResult(Result):
    name: str
    folder: str
    params: int | None
    dtype: str = Field(description="the stored types, most bytes first")
    template: str | None = Field(description="LLaMA-Factory's template, null while it is not known yet")
    size_bytes: int
    architecture: str
    quantization: str | None
    context: int | None = Field(description="in tokens")
    licence: str | None
    faults: list[str] = Field(description="what keeps it from being loaded")
    warnings: list[str]


class TemplateDifference(Result):
    """The first place where the prompts of a conversation differ."""

    conversation: str
    before: str = Field(description="what stands before it in both")
    studio: str = Field(description="LLaMA-Factory's prompt from there on")
    own: str = Field(description="that of the model's own chat template")


class TensorResult(Result):
    name: str
    dtype: str
    shape: list[int]
    bytes: int


class LayersResult(Result):
    """Layers that are made alike."""

    name: str
    numbers: list[int] = Field(description="of the layers, empty for what stands outside them")
    params: int = Field(description="of all together")
    bytes: int = Field(description="of all together")
    tensors: list[TensorResult] = Field(description="those of one of them")


class MemoryAdvice(Result):
    """The one change to make where something does not fit."""

    key: str = Field(description="the key of its sentence")
    facts: dict[str, object] = Field(description="of the sentence")
    bytes: int = Field(description="what is taken after the change")
    fits: bool


class MemoryResult(Result):
    """What a way to use the model takes."""

    method: str = Field(description="inference, lora, freeze or full")
    bits: int | None = Field(description="4 or 8 where it is loaded quantised by bitsandbytes")
    bytes: int
    fits: bool
    parts: dict[str, int] = Field(description="bytes by weights, gradients, optimizer, activations, kv_cache, overhead")
    advice: MemoryAdvice | None


class InspectResult(ModelResult):
    config: dict[str, object] = Field(description="config.json as it is")
    generation: dict[str, object] = Field(description="generation_config.json without its notes")
    special_tokens: dict[str, str] = Field(description="texts by role")
    template_reason: str
    chat: bool
    template_problem: str | None
    template_differences: list[TemplateDifference]
    chat_template: str | None = Field(description="the model's own, as Jinja")
    layers: list[LayersResult]
    memory: list[MemoryResult]
    memory_problem: str | None = Field(description="why memory cannot be estimated")


class CodeFileResult(Result):
    file: str
    sha256: str
    text: str


class CodeResult(Result):
    digest: str = Field(description="of all files, which models_trust takes")
    trusted: bool
    problem: str | None
    files: list[CodeFileResult]


class RenameResult(Result):
    name: str
    folder: str


class DeleteResult(Result):
    freed_bytes: int = Field(description="that come free when the trash is emptied")


class FoldersResult(Result):
    folders: list[str]


class TrustResult(Result):
    trusted: bool


class CatalogueResult(Result):
    name: str
    huggingface: str | None
    modelscope: str | None
    template: str | None
    chat: bool
    multimodal: bool
    params: int | None = Field(description="as the name says")
    bytes: int | None = Field(description="to download, about")
    on_disk: str | None = Field(description="the name of the model on this machine, null where it is not here")


class DownloadResult(Result):
    job: str
    source: str | None
    repo: str | None
    name: str | None
    state: str
    progress: float | None = Field(description="0 to 1")
    message: str | None
    error: str | None

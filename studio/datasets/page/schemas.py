"""What the endpoints of datasets, of their rows and of new data take and answer.

A row stays an object as it stands in its file, an entry one as it stands in dataset_info.json.
"""

from pydantic import Field

from studio.web.schema import Options, Result


class RegisterOptions(Options):
    """What is said of new data beside its columns."""

    form: str | None = Field(None, description="what its rows are, where that is not to be recognised")
    min_score: float | None = Field(None, description="of rows that are kept, for the form scores")
    copy_file: bool = Field(False, alias="copy", description="whether a file that could be used as it is is copied")
    hub: str | None = Field(None, description="huggingface or modelscope, for an address that does not say it")
    subset: str | None = None
    split: str | None = None
    folder: str | None = Field(None, description="in the repository on the hub")
    num_samples: int | None = Field(None, description="rows that a run takes of it")


class DatasetResult(Result):
    name: str
    format: str
    stage: str = Field(description="sft, pt, dpo or kto; empty for an entry that cannot be used")
    rows: int | None = Field(description="null while they are being counted")
    file: str
    problem: str | None = Field(description="why it cannot be used")
    size_bytes: int | None
    folder: str
    left_out: int = Field(description="rows that were left out when it came in")
    not_taken: list[str] = Field(description="fields with text that are not trained")


class RowProblem(Result):
    row: int | None = Field(description="its number, from 1")
    message: str


class PreviewResult(Result):
    rows: list[dict | None] = Field(description="null for a row that cannot be read")
    total: int | None = Field(description="null while they are being counted")
    problems: list[RowProblem]


class RecognisedResult(Result):
    """What a file is taken for."""

    form: str
    known: str = Field(description="the name under which people know this form, empty where there is none")
    stage: str
    columns: dict[str, str] = Field(description="the field for each of LLaMA-Factory's columns")
    tags: dict[str, str]
    fields: list[str]
    missing: list[str] = Field(description="columns for which a field has yet to be named")
    not_taken: list[str] = Field(description="fields with text that would not be trained")
    read_as: list[str] = Field(description="what the file is, where its name says something else")


class RegisteredResult(Result):
    """A dataset that was brought in."""

    name: str
    form: str
    stage: str
    rows: int | None
    left_out: int
    problems: list[str] = Field(description="of the first rows that were left out")
    not_taken: list[str] = Field(description="fields with text that are not trained")
    notes: list[str] = Field(description="what else is not trained as it is written")


class RegisteredOnHubResult(Result):
    """A dataset that a run fetches from a hub."""

    name: str
    form: str


class ConversionResult(Result):
    """A conversion that goes on."""

    job: str


class IntakeResult(Result):
    """What was told when a dataset came in."""

    source: str
    left_out: int
    problems: list[str] = Field(description="of the first rows that were left out")
    not_taken: list[str] = Field(description="fields with text that are not trained")
    notes: list[str] = Field(description="what else is not trained as it is written")


class SearchResult(Result):
    rows: list[int] = Field(description="numbers of rows, from 1")
    next: int | None = Field(description="the row to go on from (from 0), null at the end")
    share: float = Field(description="of the file that was searched, 0 to 1")


class RowResult(Result):
    row: int = Field(description="its number, from 1")


class UndoResult(Result):
    undo: bool = Field(description="whether there is another change to take back")


class NameResult(Result):
    name: str


class FolderResult(Result):
    folder: str

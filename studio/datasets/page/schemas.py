"""What the endpoints of datasets, of their rows and of new data take and answer.

A row stays an object as it stands in its file, an entry one as it stands in dataset_info.json.
"""

from pydantic import ConfigDict, Field

from studio.core.i18n import Words
from studio.datasets.registry.intake import Intake
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


class NewDataOptions(Options):
    """What the page has in hand of new data: beside these the fields of `options` of datasets_register, a field for
    each column (`c.prompt`) and a text for each tag (`t.role_tag`).
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str | float | bool | None]

    path: str = Field(description="a file, a folder of files, or an address on a hub")
    name: str = Field("", description="of the dataset; empty for one after `path`")


class RowForm(Options):
    """The page's form of a row: beside these a text for each of its places (`at:output`), where `json` is not given."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    name: str = Field(description="of the dataset")
    row: int = Field(ge=0, description="its number, from 1; 0 for a new one")
    was: str = Field(description="the row as it stood when the form was drawn, as JSON")
    digest: str = Field("", description="of the row, as the page gives it; empty where another may stand there now")
    as_json: str | None = Field(None, alias="json", description="the row as it is to be, as JSON")


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
    rows: list[dict[str, object] | None] = Field(description="null for a row that cannot be read")
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

    @classmethod
    def of(cls, intake: Intake, words: Words) -> "IntakeResult":
        """Return an intake with its sentences told in `words`."""
        return cls(
            source=intake.source,
            left_out=intake.left_out,
            problems=[one.tell(words) for one in intake.problems],
            not_taken=intake.not_taken,
            notes=[one.tell(words) for one in intake.notes],
        )


class SearchResult(Result):
    rows: list[int] = Field(description="numbers of rows, from 1")
    next: int | None = Field(description="the row to go on from (from 0), null at the end")
    share: float = Field(description="of the file that was searched, 0 to 1")


class RowResult(Result):
    row: int = Field(description="its number, from 1")


class UndoResult(Result):
    undo: bool = Field(description="whether there is another change to take back")


class FolderResult(Result):
    folder: str

"""A comparison of forms with training as it is kept in its job, and what was asked for."""

from typing import Literal

from pydantic import Field

from studio.core.storage.records import Record, Text
from studio.export.templates.cases import CASES
from studio.export.templates.parity import EFFECTS, Comparison, Difference

# "llama_cpp" is our Jinja in llama.cpp's engine, "own" the chat template that the model came with.
FORMS = ("jinja", "llama_cpp", "ollama", "lmdeploy", "own")
_NEEDS = ("training", *sorted({need for case in CASES for need in case.needs}))
FormName = Literal[FORMS]
CaseName = Literal[tuple(case.name for case in CASES)]


class ParityRequest(Record):
    """What is compared: the template of a model, or another, in these forms."""

    model: Text
    template: str
    forms: list[FormName] = Field(min_length=1)


class DifferenceRecord(Record):
    """See `parity.Difference`."""

    kind: Literal[EFFECTS]
    at: int
    token: int
    before: Text
    trained: Text
    form: Text


class ComparisonRecord(Record):
    """See `parity.Comparison`."""

    form: FormName
    case: CaseName
    same: bool | None
    cannot: list[Literal[_NEEDS]] = []
    difference: DifferenceRecord | None = None

    def comparison(self) -> Comparison:
        """Return it as it was made."""
        difference = Difference(**self.difference.model_dump()) if self.difference else None
        return Comparison(self.form, self.case, self.same, tuple(self.cannot), difference)


class StopRecord(Record):
    """See `parity.StopComparison`."""

    form: FormName
    missing: list[Text] = []
    added: list[Text] = []


class ParityRecord(Record):
    """What a comparison found. texts: the forms that were compared, but for the model's own."""

    model: Text
    template: str
    cases: list[ComparisonRecord]
    stops: list[StopRecord]
    texts: dict[FormName, Text] = {}

    @property
    def same(self) -> bool:
        """Tell whether every text is the same that can be expressed: a seam, where only tokens at the border of two
        messages differ, is none of the form's making.
        """
        return all(one.difference is None or one.difference.kind == "seam" for one in self.cases)

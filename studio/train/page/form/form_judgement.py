"""What the page tells of the recipe in the form: advice, and what is wrong with it."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.sentences import Sentence

TEMPLATE = "train/page/form/form_judgement.html"


@dataclass(frozen=True)
class FormFault:
    """What is wrong; `field` is the setting at fault, "" for none."""

    fault: BaseException
    field: str


@dataclass(frozen=True)
class FormJudgement:
    """The advice on a recipe, None where none is asked for, and what is wrong with it."""

    advice: tuple[Sentence, ...] | None
    faults: tuple[FormFault, ...]


def judgement(advice: list[tuple[str, dict]], problems: list[Problem]) -> FormJudgement:
    """Return what is told of a recipe: `advice` as (key of a sentence, its facts)."""
    return FormJudgement(
        advice=tuple(Sentence(key=key, facts=facts) for key, facts in advice), faults=tuple(map(_fault, problems))
    )


def one_fault(fault: Problem) -> FormJudgement:
    """Return a fault alone, as it is told where a button was pressed."""
    return FormJudgement(None, (_fault(fault),))


def _fault(fault: Problem) -> FormFault:
    return FormFault(fault, str(fault.facts.get("field", "")))

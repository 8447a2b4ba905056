"""The lists of prompts there are, and the form that runs a new one."""

from dataclasses import dataclass

from studio.chat.history.prompt_lists import PromptLists
from studio.chat.page.talk.columns import label
from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem
from studio.datasets.registry.collection import Collection

TEMPLATE = "chat/page/prompt_lists/overview.html"
FORM = "chat/page/prompt_lists/form.html"
FAULTS_SHOWN = 20


@dataclass(frozen=True)
class PromptListRow:
    """A list; `created` in seconds since 1970, `state` that of its job."""

    id: str
    title: str
    state: str
    created: float
    prompts: int
    columns: int


@dataclass(frozen=True)
class OverviewContext:
    """rows: newest first. faults: files that cannot be read."""

    rows: list[PromptListRow]
    faults: list[Problem]


@dataclass(frozen=True)
class FormContext:
    """What a list is asked of: the columns of a conversation, as they are called now. conversation: "" for none."""

    conversation: str
    columns: str = ""
    datasets: tuple[str, ...] = ()


def overview(prompt_lists: PromptLists) -> OverviewContext:
    """Return the lists of a workspace."""
    rows = []
    for one in prompt_lists.all():
        job = prompt_lists.job(one.id)
        rows.append(
            PromptListRow(
                one.id, one.title, job.state if job else "finished", one.created, len(one.prompts), len(one.columns)
            )
        )
    return OverviewContext(rows, prompt_lists.faults()[:FAULTS_SHOWN])


def form(turns: TurnRunner, collection: Collection, id: str) -> FormContext:
    """Return the form for the conversation in hand. Raises Problem where there is none of this id."""
    if not id:
        return FormContext("")
    conversation = turns.conversations.open(id)
    columns = " · ".join(label(turns.service.workspace, conversation, name) for name in conversation.columns)
    datasets = (collection.name_of(one) for one in collection.datasets(collection.folder) if one.problem is None)
    return FormContext(id, columns, tuple(datasets))

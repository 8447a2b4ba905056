"""Load tests on the page: the form, the list, and the one in hand with its table and its chart."""

import contextlib
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.jobs import ACTIVE, Job
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.datasets.registry.collection import Collection
from studio.deploy.load_test.load_report_files import FORMS
from studio.deploy.load_test.load_settings import LoadSettings
from studio.deploy.load_test.load_summary import StepSummary, summary
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.inference import target_names

FORM = "deploy/page/tools/load_test_form.html"
LIST = "deploy/page/tools/load_test_list.html"
VIEW = "deploy/page/tools/load_test_view.html"
LISTED = 100
WIDTH, HEIGHT = 560, 200
STOPPED = ("stopped", "failed", "interrupted")


@dataclass(frozen=True)
class Choice:
    """A served model to choose: its name, and how it is shown."""

    name: str
    title: str


@dataclass(frozen=True)
class LoadTestForm:
    """What can be measured, on which data, and the values that the fields begin with."""

    targets: tuple[Choice, ...]
    datasets: tuple[str, ...]
    settings: LoadSettings


@dataclass(frozen=True)
class LoadTestRow:
    """A load test in the list. problem: why it cannot be read."""

    id: str
    title: str
    state: str = ""
    created: float | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class LoadTestList:
    """The newest load tests."""

    rows: tuple[LoadTestRow, ...]


@dataclass(frozen=True)
class ChartLine:
    """Tokens a second of one server over its requests at a time: points as SVG has them, with the text of each."""

    number: int
    name: str
    points: str
    dots: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class LoadChart:
    """The chart of a load test; most: tokens a second at its top. ticks: (x, requests at a time)."""

    lines: tuple[ChartLine, ...]
    most: float
    ticks: tuple[tuple[float, int], ...]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class LoadTestView:
    """A load test. off: by how much the tokens of the answers differ from the engine's own count, as a share, None
    where no engine tells it.
    """

    id: str
    title: str
    problem: Problem | None = None
    settings: LoadSettings | None = None
    state: str = ""
    progress: float | None = None
    message: Sentence | None = None
    error: Sentence | None = None
    can_stop: bool = False
    can_resume: bool = False
    steps: tuple[StepSummary, ...] = ()
    chart: LoadChart | None = None
    off: float | None = None
    forms: tuple[str, ...] = FORMS


def load_test_form(context: ToolsContext) -> LoadTestForm:
    """Return the form of a new load test."""
    targets = tuple(Choice(one, target_names.served_title(one)) for one in context.targets())
    return LoadTestForm(targets, tuple(_datasets(context.load_tests.collection)), LoadSettings())


def _datasets(collection: Collection) -> list[str]:
    """Return the datasets that hold questions; a folder that cannot be read has none."""
    found = []
    for folder in collection.folders():
        with contextlib.suppress(Problem):  # Datasets tells it
            sets = collection.datasets(folder)
            found += [collection.name_of(one) for one in sets if one.stage == "sft" and one.file and not one.problem]
    return sorted(found)


def load_test_list(context: ToolsContext) -> LoadTestList:
    """Return the list of load tests."""
    return LoadTestList(tuple(_row(context, test.id) for test in context.load_tests.tests.all()[:LISTED]))


def _row(context: ToolsContext, id: str) -> LoadTestRow:
    try:
        request = context.load_tests.tests.find(id).request()
        return LoadTestRow(id, str(request.title), context.load_tests.state(id), request.created)
    except Problem as problem:
        return LoadTestRow(id, id, problem=problem)


def load_test_view(context: ToolsContext, id: str) -> LoadTestView | None:
    """Return a load test, None where none is named. Raises Problem where there is none."""
    if not id:
        return None
    test = context.load_tests.tests.find(id)
    try:
        request = test.request()
    except Problem as problem:
        return LoadTestView(id, id, problem)
    job, state = context.load_tests.job(id), context.load_tests.state(id)
    steps = summary(test, request.settings)
    return LoadTestView(
        id=id,
        title=str(request.title),
        settings=request.settings,
        state=state,
        progress=job.progress if job and job.active else None,
        message=_told(job, "message") if state in ACTIVE else None,
        error=_told(job, "error"),
        can_stop=state in ACTIVE and state != "stopping",
        can_resume=state in STOPPED,
        steps=steps,
        chart=load_chart(steps),
        off=_off(steps),
    )


def _told(job: Job | None, name: str) -> Sentence | None:
    told = getattr(job, name) if job else None
    return records.typed(told, Sentence, "job") if told else None


def _off(steps: tuple[StepSummary, ...]) -> float | None:
    shares = [abs(one.engine_tokens - one.tokens) / one.tokens for one in steps if one.engine_tokens and one.tokens]
    return max(shares, default=None)


def load_chart(steps: tuple[StepSummary, ...]) -> LoadChart | None:
    """Return the chart of steps that are over, None where no server has two."""
    over = [one for one in steps if one.is_over]
    levels = sorted({one.concurrency for one in over})
    if len(levels) < 2:
        return None
    most = max(one.tokens_s for one in over) or 1.0
    places = {level: 10 + (WIDTH - 20) * at / (len(levels) - 1) for at, level in enumerate(levels)}
    lines = []
    for number, target in enumerate(dict.fromkeys(one.target for one in over)):
        found = [one for one in over if one.target == target]
        dots = tuple(
            (places[one.concurrency], HEIGHT - 10 - (HEIGHT - 24) * one.tokens_s / most, f"{one.tokens_s:.1f}")
            for one in found
        )
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        lines.append(ChartLine(number, found[0].name, points, dots))
    return LoadChart(tuple(lines), most, tuple((place, level) for level, place in places.items()))

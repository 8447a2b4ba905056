"""The lengths of a dataset in tokens: their histogram with the cutoff in it, what each cutoff cuts, and the steps."""

from dataclasses import dataclass

from studio.core.i18n import Words
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.analysis.encoding_form import EncodingForm, encoding, encoding_options, parsed, pick
from studio.datasets.page.analysis.job_state import JobState, at_work, fault_of
from studio.datasets.quality import lengths as measuring
from studio.datasets.quality.lengths import CUTOFFS, Lengths

TEMPLATE = "datasets/page/analysis/length_histogram.html"
BATCH = 8
WIDTH, HEIGHT = 880, 180  # of the histogram, in units of its viewBox
_ABOVE = 16  # free above the highest bar, for how many rows it counts
_GAP = 1  # between bars
_TICKS = ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))


@dataclass(frozen=True)
class Bar:
    """A bar of the histogram: its place in the drawing, and the rows of `low` to `high` tokens that it counts."""

    x: float
    y: float
    width: float
    height: float
    low: int
    high: int
    count: int
    is_lost: bool


@dataclass(frozen=True)
class Tick:
    """A number of tokens under the axis, and how its text stands to `x`."""

    x: float
    anchor: str
    tokens: float


@dataclass(frozen=True)
class Histogram:
    """The drawing. `most` are the rows of the tallest bar; `cutoff_x` is None where the cutoff lies beyond it."""

    bars: list[Bar]
    ticks: list[Tick]
    most: int
    cutoff: int
    cutoff_x: float | None
    width: int = WIDTH
    height: int = HEIGHT
    above: int = _ABOVE


@dataclass(frozen=True)
class CutShare:
    """The percentage of rows that a cutoff cuts, and what takes it in hand."""

    cutoff: int
    percent: float
    pick: str


@dataclass(frozen=True)
class Measured:
    """What was measured. `suggested_pick` takes the suggested cutoff in hand, "" where it is the one already.

    `batch` is the batch size by which the `steps` of an epoch are counted.
    """

    lengths: Lengths
    trained_percent: float
    suggested_pick: str
    histogram: Histogram | None
    cuts: list[CutShare]
    batch: int
    steps: int


@dataclass(frozen=True)
class LengthsContext:
    """The lengths of the dataset `name` by the settings of `form`, where `can_measure` says that they can be had;
    `options` are those settings as an endpoint takes them.

    `job` while they are measured, `fault` if that failed, `measured` when it is done.
    """

    name: str
    options: dict[str, str]
    form: EncodingForm
    can_measure: bool
    job: JobState | None
    fault: str
    measured: Measured | None


def lengths(words: Words, analysis: DatasetAnalysis, arg: str) -> LengthsContext | None:
    """Return the lengths of a dataset, None where there is no dataset with a file.

    Raises:
        Problem: there is no dataset of this name.
    """
    name, choices = parsed(arg)
    if not name:
        return None
    options = encoding_options(choices)
    settings, form = encoding(analysis, name, choices)
    if form is None:
        return None
    if settings is None:
        return LengthsContext(name, options, form, False, None, "", None)
    job, found = analysis.newest_job("lengths", name), analysis.lengths(name, settings)
    fault = "" if found else fault_of(words, job)
    return LengthsContext(
        name, options, form, True, at_work(words, job), fault, measured(found, choices) if found else None
    )


def measured(lengths: Lengths, choices: dict[str, str]) -> Measured:
    """Return what is shown of lengths that were measured."""
    batch_text = choices.get("batch", "")
    batch = int(batch_text) if batch_text.isdecimal() and int(batch_text) else BATCH
    return Measured(
        lengths=lengths,
        trained_percent=100 * lengths.trained / max(1, lengths.tokens),
        suggested_pick=pick(choices, cutoff=lengths.suggested) if lengths.suggested != lengths.cutoff else "",
        histogram=histogram(lengths) if lengths.bins else None,
        cuts=[CutShare(each, lengths.cut.get(each, 0.0), pick(choices, cutoff=each)) for each in CUTOFFS],
        batch=batch,
        steps=measuring.steps(lengths.samples, batch),
    )


def histogram(lengths: Lengths) -> Histogram:
    """Return the drawing of lengths, of which there is at least one bar: x to the right in tokens, y down in rows."""
    highest, end = max(lengths.counts) or 1, lengths.bins[-1] + lengths.width
    bars = []
    for low, count in zip(lengths.bins, lengths.counts, strict=True):
        tall = (HEIGHT - _ABOVE) * count / highest
        bars.append(
            Bar(
                x=WIDTH * low / end,
                y=HEIGHT - tall,
                width=max(1.0, WIDTH * lengths.width / end - _GAP),
                height=tall,
                low=low,
                high=low + lengths.width - 1,
                count=count,
                is_lost=low >= lengths.cutoff,
            )
        )
    at = WIDTH * lengths.cutoff / end
    ticks = [Tick(WIDTH * share, anchor, end * share) for share, anchor in _TICKS]
    return Histogram(bars, ticks, highest, lengths.cutoff, at if at <= WIDTH else None)

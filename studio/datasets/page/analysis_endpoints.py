"""What a script, and the page, can ask when it looks closer at a dataset: checks, tokens, lengths, new sets made of
rows.
"""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.jobs import Job
from studio.datasets.analysis import CUTOFF, DatasetAnalysis, EncodingSettings
from studio.datasets.page.analysis_schemas import (
    CheckResult,
    EncodingOptions,
    LeakResult,
    LeaksResult,
    LeaksSentence,
    LengthsResult,
    NewPartsResult,
    NewSetResult,
    ProblemResult,
    ReportResult,
    SequenceResult,
    TokenResult,
    TokensResult,
    TrainedOptions,
)
from studio.datasets.page.schemas import IntakeResult
from studio.datasets.quality.row_check import Report
from studio.models.library import library
from studio.web.schema import Result
from studio.web.shared_results import JobResult

# A job that takes no longer is done within the click.
SOON_S = 3.0
PROBLEMS_GIVEN = 1000


def endpoints(analysis: DatasetAnalysis, words: Words) -> list[Callable]:
    """Return the endpoints of checks, tokens, lengths and new sets; sentences inside their results are told in
    `words`.
    """
    return [*_of_checks(analysis, words), *_of_tokens(analysis), *_of_new_sets(analysis, words)]


def _of_checks(analysis: DatasetAnalysis, words: Words) -> list[Callable]:
    def datasets_check(
        name: str, model: str = "", template: str = "", cutoff: int = CUTOFF, lengths: bool = True
    ) -> CheckResult:
        """Check every row of a dataset, and with `lengths` the tokens too, by a model's tokenizer.

        The tokens are those of `model`, or of the first on this machine; where there is none they are left out.
        """
        settings = None
        if lengths and (model or library.usable(analysis.collection.workspace)):
            settings = EncodingOptions(model=model, template=template, cutoff=cutoff).settings(analysis)
        _finished(analysis, analysis.check(name, settings), None)
        report = analysis.report(name)
        if report is None:
            raise Problem("datasets.changed_meanwhile", name=name)
        collection = analysis.collection
        intake = IntakeResult.of(collection.intakes.of(collection.find(name)), words)
        return CheckResult(**vars(report_result(report, words)), intake=intake)

    def datasets_start_check(name: str, options: EncodingOptions | None = None) -> JobResult:
        """Begin a check, by tokens too where `options` are given; {} stands for their defaults."""
        return JobResult(job=analysis.check(name, options.settings(analysis) if options else None).id)

    return [datasets_check, datasets_start_check]


def report_result(report: Report, words: Words) -> ReportResult:
    """Return a report as it is sent, its sentences told in `words`."""
    return ReportResult(
        ok=report.ok,
        rows=report.rows,
        counts=report.counts,
        lengths=LengthsResult.of(report.lengths) if report.lengths else None,
        problems=[
            ProblemResult(row=one.row, field=one.field, message=one.message(words), mend=one.mend(words), kind=one.kind)
            for one in report.findings[:PROBLEMS_GIVEN]
        ],
    )


def _of_tokens(analysis: DatasetAnalysis) -> list[Callable]:
    def datasets_tokens(
        name: str,
        row: int = 1,
        model: str = "",
        template: str = "",
        cutoff: int = CUTOFF,
        options: TrainedOptions | None = None,
    ) -> TokensResult:
        """Return a row (from 1) as the model sees it: its tokens, labelled as LLaMA-Factory does."""
        settings = _settings(analysis, model, template, cutoff, options)
        sequences = [
            SequenceResult(
                name=each.name,
                tokens=[TokenResult(text=token.text, id=token.id, trained=token.trained) for token in each.tokens],
            )
            for each in analysis.tokens(name, _whole("row", row), settings)
        ]
        return TokensResult(tokens=sequences[0].tokens, sequences=sequences)

    def datasets_lengths(
        name: str, model: str = "", template: str = "", cutoff: int = CUTOFF, options: TrainedOptions | None = None
    ) -> LengthsResult:
        """Return the lengths of all rows in tokens."""
        settings = _settings(analysis, model, template, cutoff, options)
        _finished(analysis, analysis.measure(name, settings), None)
        lengths = analysis.lengths(name, settings)
        if lengths is None:
            raise Problem("datasets.changed_meanwhile", name=name)
        return LengthsResult.of(lengths)

    def datasets_start_lengths(name: str, options: EncodingOptions) -> JobResult:
        """Begin to measure the lengths of all rows in tokens."""
        return JobResult(job=analysis.measure(name, options.settings(analysis)).id)

    return [datasets_tokens, datasets_lengths, datasets_start_lengths]


def _settings(
    analysis: DatasetAnalysis, model: str, template: str, cutoff: int, options: TrainedOptions | None
) -> EncodingSettings:
    trained = options.model_dump() if options else {}
    return EncodingOptions(model=model, template=template, cutoff=cutoff, **trained).settings(analysis)


def _of_new_sets(analysis: DatasetAnalysis, words: Words) -> list[Callable]:
    def datasets_keep_good(name: str, new: str) -> NewSetResult | JobResult:
        """Write the rows that the last check found good to a new set; a job where it takes longer."""
        return _made(NewSetResult, analysis, analysis.keep_good(name, new))

    def datasets_split(name: str, shares: str = "8:1:1", seed: int = 42) -> NewPartsResult | JobResult:
        """Deal the rows into <name>_train, (_eval,) _test by shares; a job where it takes longer."""
        parts = [part.strip() for part in shares.split(":")]
        if not all(part.isdecimal() and int(part) for part in parts):
            raise Problem("datasets.bad_shares", shares=shares)
        job = analysis.hold_out(name, tuple(int(part) for part in parts), _whole("seed", seed))
        return _made(NewPartsResult, analysis, job)

    def datasets_sample(name: str, number: int, new: str, seed: int = 42) -> NewSetResult | JobResult:
        """Write `number` rows drawn at random to a new set; a job where it takes longer."""
        job = analysis.sample(name, _whole("number", number), new, _whole("seed", seed))
        return _made(NewSetResult, analysis, job)

    def datasets_mix(weights: dict[str, float] | str, total: int, new: str, seed: int = 42) -> NewSetResult | JobResult:
        """Write `total` rows of several sets by weight to a new set; a job where it takes longer.

        `weights` are {name of a set: weight}, or such a text: "name=2, other=1".
        """
        job = analysis.mix(_weights(weights), _whole("total", total), new, _whole("seed", seed))
        return _made(NewSetResult, analysis, job)

    def datasets_leaks(trained: str, held_out: str) -> LeaksResult:
        """Return the rows of one set that the other is trained on."""
        return LeaksResult(leaks=[LeakResult(**vars(leak)) for leak in analysis.leaks(trained, held_out)])

    def datasets_leaks_told(name: str, held_out: str) -> LeaksSentence:
        """Tell in one sentence which rows of `held_out` are in dataset `name` too."""
        leaks = analysis.leaks(name, held_out)
        rows = ", ".join(str(leak.held_out) for leak in leaks[:10])
        return LeaksSentence(
            said=words("datasets.leaks_found", count=len(leaks), rows=rows) if leaks else words("datasets.no_leaks")
        )

    return [datasets_keep_good, datasets_split, datasets_sample, datasets_mix, datasets_leaks, datasets_leaks_told]


def _weights(given: dict[str, float] | str) -> dict[str, float]:
    """Return the weight of each set by its name. Raises Problem for what is no weight."""
    pairs = given.items() if isinstance(given, dict) else (part.rpartition("=")[::2] for part in given.split(","))
    try:
        weights = {name.strip(): float(weight) for name, weight in pairs}
    except ValueError as error:
        raise Problem("datasets.bad_weights", weights=given) from error
    if not weights or not all(name and 0 < weight < float("inf") for name, weight in weights.items()):
        raise Problem("datasets.bad_weights", weights=given)
    return weights


def _whole(field: str, value: object) -> int:
    """Return a number that may come as the text of a form's field. Raises Problem for anything else."""
    try:
        return int(str(value))
    except ValueError as error:
        raise Problem("datasets.no_number", field=field, value=value) from error


def _made(kind: type[Result], analysis: DatasetAnalysis, job: Job) -> Result:
    """Return what a job made as its `kind` of result, or the job where it takes longer or was stopped.

    Raises:
        Problem: the job's, where it failed.
    """
    _finished(analysis, job, SOON_S)
    return kind.model_validate(job.result) if isinstance(job.result, dict) else JobResult(job=job.id)


def _finished(analysis: DatasetAnalysis, job: Job, seconds: float | None) -> None:
    """Wait until a job is over, at most so many seconds where they are given. Raises its Problem."""
    analysis.jobs.wait(job.id, seconds or SOON_S)
    while seconds is None and job.active:
        analysis.jobs.wait(job.id, SOON_S)
    if job.error:
        raise Problem(job.error["key"], **job.error["facts"])

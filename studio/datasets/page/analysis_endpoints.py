"""What a script, and the page, can ask when it looks closer at a dataset: checks, tokens, lengths, new sets made of
rows.
"""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.jobs import Job
from studio.datasets.analysis import DatasetAnalysis, EncodingSettings
from studio.datasets.quality.lengths import Lengths
from studio.datasets.quality.row_check import Report
from studio.models.library import library

# A job that takes no longer is done within the click.
SOON_S = 3.0
PROBLEMS_GIVEN = 1000


def endpoints(analysis: DatasetAnalysis, words: Words) -> list[Callable]:
    """Return the endpoints of the closer looks; sentences inside their results are told in `words`."""
    return [*_of_checks(analysis, words), *_of_tokens(analysis), *_of_new_sets(analysis, words)]


def _of_checks(analysis: DatasetAnalysis, words: Words) -> list[Callable]:
    def datasets_check(
        name: str, model: str = "", template: str = "", cutoff: int = 1024, lengths: bool = True
    ) -> dict:
        """Check every row and return {ok, rows, counts, lengths, intake, problems}, each of these {row, field, message,
        mend, kind}.

        Rows count from 1. `lengths` ({rows, longest, median, suggested, cut, ...}) are those of `model`, or of the
        first on this machine; None where there is no model, or where `lengths` is false. `intake` is what was told
        when the dataset came in (see `datasets_intake`): rows left out of it are in no file that is checked.
        """
        view = (
            analysis.encoding_settings({"model": model, "template": template, "cutoff": str(cutoff)})
            if lengths and (model or library.usable(analysis.collection.workspace))
            else None
        )
        _finished(analysis, analysis.check(name, view), None)
        report = analysis.report(name)
        if report is None:
            raise Problem("datasets.changed_meanwhile", name=name)
        collection = analysis.collection
        return as_json(report, words) | {"intake": collection.intakes.of(collection.find(name)).told(words)}

    def datasets_start_check(name: str, wish: dict | None = None) -> dict:
        """Begin a check, by tokens too where `wish` ({model, template, cutoff ...}) is given, and return {job}."""
        return {"job": analysis.check(name, analysis.encoding_settings(wish) if wish is not None else None).id}

    return [datasets_check, datasets_start_check]


def as_json(report: Report, words: Words) -> dict:
    """Return a report as {ok, rows, problems, counts, lengths}."""
    return {
        "ok": report.ok,
        "rows": report.rows,
        "counts": report.counts,
        "lengths": _lengths(report.lengths) if report.lengths else None,
        "problems": [
            {
                "row": one.row,
                "field": one.field,
                "message": one.message(words),
                "mend": one.mend(words),
                "kind": one.kind,
            }
            for one in report.findings[:PROBLEMS_GIVEN]
        ],
    }


def _lengths(found: Lengths) -> dict:
    return vars(found) | {"cut": {str(cutoff): share for cutoff, share in found.cut.items()}}  # keys of JSON are text


def _of_tokens(analysis: DatasetAnalysis) -> list[Callable]:
    def datasets_tokens(
        name: str, row: int = 1, model: str = "", template: str = "", cutoff: int = 1024, options: dict | None = None
    ) -> dict:
        """Return {tokens: [{text, id, trained}], sequences} of a row (from 1), labels as LLaMA-Factory makes them.

        `sequences` are [{name, tokens}], two for a preference pair (`tokens` are those of the first); `options` may say
        mask_history, train_on_prompt and packing.
        """
        view = _view(analysis, model, template, cutoff, options)
        sequences = [
            {
                "name": each.name,
                "tokens": [{"text": token.text, "id": token.id, "trained": token.trained} for token in each.tokens],
            }
            for each in analysis.tokens(name, _whole("row", row), view)
        ]
        return {"tokens": sequences[0]["tokens"], "sequences": sequences}

    def datasets_lengths(
        name: str, model: str = "", template: str = "", cutoff: int = 1024, options: dict | None = None
    ) -> dict:
        """Return the lengths of all rows in tokens: {rows, longest, median, suggested, bins, counts, cut, tokens,
        trained, samples, ...}.
        """
        view = _view(analysis, model, template, cutoff, options)
        _finished(analysis, analysis.measure(name, view), None)
        found = analysis.lengths(name, view)
        if found is None:
            raise Problem("datasets.changed_meanwhile", name=name)
        return _lengths(found)

    def datasets_start_lengths(name: str, wish: dict) -> dict:
        """Begin to measure the lengths through what `wish` says ({model, template, cutoff ...}), and return {job}."""
        return {"job": analysis.measure(name, analysis.encoding_settings(wish)).id}

    return [datasets_tokens, datasets_lengths, datasets_start_lengths]


def _view(analysis: DatasetAnalysis, model: str, template: str, cutoff: int, options: dict | None) -> EncodingSettings:
    return analysis.encoding_settings({"model": model, "template": template, "cutoff": str(cutoff), **(options or {})})


def _of_new_sets(analysis: DatasetAnalysis, words: Words) -> list[Callable]:
    def datasets_keep_good(name: str, new: str) -> dict:
        """Write the rows that the last check found good to a new set, and return {name, rows}, or {job} where it takes
        longer.
        """
        return _finished(analysis, analysis.keep_good(name, new))

    def datasets_split(name: str, shares: str = "8:1:1", seed: int = 42) -> dict:
        """Deal the rows into <name>_train, (_eval,) _test by shares, and return {names, rows}, or {job} where it takes
        longer.
        """
        parts = [part.strip() for part in shares.split(":")]
        if not all(part.isdecimal() and int(part) for part in parts):
            raise Problem("datasets.bad_shares", shares=shares)
        return _finished(analysis, analysis.hold_out(name, tuple(int(part) for part in parts), _whole("seed", seed)))

    def datasets_sample(name: str, number: int, new: str, seed: int = 42) -> dict:
        """Write `number` rows drawn at random to a new set, and return {name, rows}, or {job} where it takes longer."""
        return _finished(analysis, analysis.sample(name, _whole("number", number), new, _whole("seed", seed)))

    def datasets_mix(weights: dict | str, total: int, new: str, seed: int = 42) -> dict:
        """Write `total` rows of several sets by weight ({name: weight}, or "name=2, other=1") to a new set; {name,
        rows} or {job}.
        """
        return _finished(analysis, analysis.mix(_weights(weights), _whole("total", total), new, _whole("seed", seed)))

    def datasets_leaks(trained: str, held_out: str) -> dict:
        """Return {leaks: [{held_out, trained, exact}]}: rows (from 1) of one set that the other is trained on."""
        return {"leaks": [vars(leak) for leak in analysis.leaks(trained, held_out)]}

    def datasets_leaks_told(name: str, held_out: str) -> dict:
        """Return {said}: one sentence on the rows of `held_out` that are in dataset `name` too."""
        found = analysis.leaks(name, held_out)
        rows = ", ".join(str(leak.held_out) for leak in found[:10])
        return {
            "said": words("datasets.leaks_found", count=len(found), rows=rows) if found else words("datasets.no_leaks")
        }

    return [datasets_keep_good, datasets_split, datasets_sample, datasets_mix, datasets_leaks, datasets_leaks_told]


def _weights(said: dict | str) -> dict[str, float]:
    pairs = said.items() if isinstance(said, dict) else (part.rpartition("=")[::2] for part in said.split(","))
    try:
        weights = {name.strip(): float(weight) for name, weight in pairs}
    except ValueError as error:
        raise Problem("datasets.bad_weights", weights=said) from error
    if not weights or not all(name and 0 < weight < float("inf") for name, weight in weights.items()):
        raise Problem("datasets.bad_weights", weights=said)
    return weights


def _whole(field: str, value: object) -> int:
    """Return a number that may come as the text of a form's field. Raises Problem for anything else."""
    try:
        return int(str(value))
    except ValueError as error:
        raise Problem("datasets.no_number", field=field, value=value) from error


def _finished(analysis: DatasetAnalysis, job: Job, seconds: float | None = SOON_S) -> dict:
    """Return the result of a job that is over within so many seconds (None: whenever it is), else {job}. Raises its
    Problem.
    """
    analysis.jobs.wait(job.id, seconds or SOON_S)
    while seconds is None and job.active:
        analysis.jobs.wait(job.id, SOON_S)
    if job.error:
        raise Problem(job.error["key"], **job.error["facts"])
    return job.result if isinstance(job.result, dict) else {"job": job.id}

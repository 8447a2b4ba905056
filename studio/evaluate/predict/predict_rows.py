"""An evaluation of predictions from its first row to its last score; begun again, it goes on where it stood."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.core.i18n import Problem
from studio.core.jobs import Job
from studio.core.plain import plain
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Event, Prediction, ReferenceLoss
from studio.evaluate.models_in_use import ModelsInUse, in_memory
from studio.evaluate.predict.asking import LocalAsking, Session
from studio.evaluate.predict.questions import encoders_of
from studio.evaluate.predict.row_selection import rows_of, sources
from studio.evaluate.predict.served_asking import ask_served, parity
from studio.evaluate.scores.row_scoring import RowScoring
from studio.evaluate.settings import PredictSettings
from studio.inference.local.generation import LoadedTarget
from studio.inference.sampling import Sampling
from studio.inference.target_names import SERVED, is_run


@dataclass
class Progress:
    """How many answers and losses are written down, of how many; told to the job."""

    job: Job
    total: int
    done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        """Count so many more."""
        with self._lock:
            self.done += count
            self.job.report(
                min(1.0, self.done / max(1, self.total)), "evaluate.asking", done=self.done, total=self.total
            )


def run(evaluation: Evaluation, models: ModelsInUse, collection: Collection, job: Job) -> None:
    """Ask what is still missing of an evaluation, and write it down.

    Raises:
        Problem: a dataset or a model cannot be used, or the disk refuses; what was answered stays.
        Stopped: the person stopped the job.
    """
    request = evaluation.request()
    settings = request.predict or PredictSettings()
    rows = rows_of(evaluation, collection, job)
    work = _Work(evaluation, rows, models, collection, job)
    if settings.answers:
        with RowScoring(evaluation, rows, settings, collection.workspace) as scoring:
            work.ask(scoring.take)
    else:
        work.ask(lambda answers: None)
    job.check()


@dataclass
class _Work:
    """What one start of an evaluation asks."""

    evaluation: Evaluation
    rows: list[EvaluatedRow]
    models: ModelsInUse
    collection: Collection
    job: Job

    def ask(self, on_answers: Callable[[list[Prediction]], None]) -> None:
        """Ask those of this machine, group by group, then those of servers; `on_answers` is given what they said."""
        request = self.evaluation.request()
        settings = request.predict or PredictSettings()
        progress = _progress(self.evaluation, request.targets, self.rows, settings, self.job)
        progress.add(0)
        session = Session(
            self.evaluation, sampling(settings), settings.batch, progress.add, on_answers, self.job.cancelled
        )
        trained: LoadedTarget | None = None
        for names in in_memory(request.targets):
            self.job.check()
            loaded = self.models.local(names)
            trained = trained or max(loaded, key=lambda one: is_run(one.target.name))
            self._ask_loaded(session, loaded, request.targets, settings)
        if settings.answers:
            self._ask_servers(session, [name for name in request.targets if name.startswith(SERVED)], trained)

    def _ask_loaded(
        self, session: Session, loaded: list[LoadedTarget], targets: list[str], settings: PredictSettings
    ) -> None:
        workspace = self.collection.workspace
        encoders = {one.target.name: encoders_of(workspace, one, targets, settings.cutoff) for one in loaded}
        datasets = sources(self.collection, self.evaluation.request(), are_chosen=True)
        LocalAsking(session, loaded, encoders, datasets).run(self.rows, settings.answers, settings.loss)

    def _ask_servers(self, session: Session, names: list[str], trained: LoadedTarget | None) -> None:
        for name in names:
            self.job.check()
            served = self.models.served(name)
            if trained and self.rows:
                _note_parity(self.evaluation, served, trained, self.rows[0])
            ask_served(session, served, self.rows)


def _note_parity(evaluation: Evaluation, served, trained: LoadedTarget, row: EvaluatedRow) -> None:
    """Write down, once, whether a server makes the prompt of training."""
    if any(event.event == "parity" and event.facts.get("target") == served.name for event in evaluation.read(Event)):
        return
    try:
        judged = parity(served, trained, row)
    except Problem as problem:
        evaluation.note("failed", problem.key, **(plain(problem.facts) | {"target": served.name}))
        return
    evaluation.note("parity", f"evaluate.parity_{judged}", target=served.name, trained=trained.target.name)


def sampling(settings: PredictSettings) -> Sampling:
    """Return how tokens are chosen: LLaMA-Factory's defaults are those of its `GeneratingArguments`
    (hparams/generating_args.py).
    """
    if settings.preset == "llamafactory":
        return Sampling(0.95, 0.7, settings.max_tokens, settings.seed, top_k=50)
    return Sampling(0.0, 1.0, settings.max_tokens, settings.seed)


def _progress(
    evaluation: Evaluation, targets: list[str], rows: list[EvaluatedRow], settings: PredictSettings, job: Job
) -> Progress:
    local = [name for name in targets if not name.startswith(SERVED)]
    measured = sum(row.reference is not None and not row.images for row in rows) * len(local) if settings.loss else 0
    total = measured + (len(rows) * len(targets) if settings.answers else 0)
    done = len(evaluation.done(Prediction)) + len(evaluation.done(ReferenceLoss))
    return Progress(job, total, min(done, total))

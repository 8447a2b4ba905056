"""Evaluations as they are started, stopped, gone on with and looked at: one job each."""

import time
from dataclasses import dataclass
from pathlib import Path

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs, Places
from studio.core.storage.records import Record
from studio.datasets.registry.collection import Collection
from studio.evaluate import part_names
from studio.evaluate.benchmarks import benchmark_run, tasks
from studio.evaluate.evaluation import Evaluation, Event
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.models_in_use import ModelsInUse
from studio.evaluate.predict import judging, predict_rows, row_sources
from studio.evaluate.reports import llamafactory_results
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.scores.pairwise_judge import check_prompt
from studio.evaluate.scores.row_scoring import check_metrics
from studio.evaluate.settings import BenchmarkSettings, PredictSettings
from studio.inference import target_names
from studio.inference.local.spare_models import SpareModels
from studio.inference.remote.servers import ServerRegistry
from studio.inference.target_names import SERVED
from studio.train import runs

KIND = "evaluate"
MOST_CHECKPOINTS = 64


class JobFacts(Record):
    """What the job of an evaluation works on."""

    evaluation: str
    title: str | dict[str, object] = ""


@dataclass(frozen=True)
class Status:
    """How far an evaluation is. state: as a job's. progress: 0 to 1, None where it is not known. message, error: a
    sentence as {"key", "facts"}. left_s: seconds, by the pace so far; None while nothing can be said.
    """

    state: str
    progress: float | None = None
    message: dict | None = None
    error: dict | None = None
    left_s: float | None = None


class EvaluationService:
    """All evaluations of a workspace, and the jobs that work on them, one after the other."""

    def __init__(
        self,
        device: DeviceLease,
        jobs: Jobs,
        collection: Collection,
        servers: ServerRegistry,
        spare: SpareModels | None = None,
    ):
        self.workspace = collection.workspace
        self.evaluations = Evaluations(self.workspace)
        self.collection = collection
        self._device, self._jobs, self._servers, self._spare = device, jobs, servers, spare
        self._paces: dict[str, tuple[float, float]] = {}
        jobs.offer(KIND, self._work, facts=JobFacts)
        jobs.places(KIND, Places(reads=self._reads))

    def predict(self, targets: list[str], datasets: list[str], settings: PredictSettings) -> Evaluation:
        """Ask models the rows of datasets, and score their answers. Returns at once; the rows are asked in a job.

        Args:
            targets: as Chat names them, at most four.
            datasets: as Datasets names them, or "held-out:<run>".

        Raises:
            Problem: nobody or too many are asked, one of them or a dataset cannot be used, or the settings contradict.
        """
        targets = self._known(targets)
        self._require_askable(targets, datasets, settings)
        return self._started(self.evaluations.create("predict", targets, list(dict.fromkeys(datasets)), settings))

    def benchmark(self, targets: list[str], names: list[str], settings: BenchmarkSettings) -> Evaluation:
        """Ask models the questions of benchmarks. Returns at once; the questions are asked in a job.

        Args:
            targets: as Chat names them, at most four.
            names: of benchmarks in the workspace (see `tasks.tasks`).

        Raises:
            Problem: nobody or too many are asked, or one of them or a benchmark cannot be used.
        """
        targets = self._known(targets)
        if not names:
            raise Problem("evaluate.no_benchmark")
        for name in targets:
            self._require_known(name, settings.bits)
        for name in names:
            tasks.require(self.workspace, name)
        return self._started(self.evaluations.create("benchmark", targets, list(dict.fromkeys(names)), settings))

    def checkpoints(self, run: str, datasets: list[str], settings: PredictSettings) -> Evaluation:
        """Ask all checkpoints of a run, and its base, the same rows. Raises Problem as `predict` does."""
        found = runs.find(self.workspace, run)
        names = [f"{run}@{checkpoint}" for checkpoint in found.checkpoints()][-MOST_CHECKPOINTS:]
        if not names:
            raise Problem("evaluate.no_checkpoints", run=run)
        targets = [target_names.with_base(self.workspace, run)[0], *names]
        self._require_askable(targets, datasets, settings)
        return self._started(self.evaluations.create("predict", targets, list(dict.fromkeys(datasets)), settings))

    def stop(self, id: str) -> str:
        """Stop an evaluation, and return its state; what was answered stays. Raises Problem where there is none."""
        self.evaluations.find(id)
        job = self._job(id)
        return self._jobs.cancel(job.id).state if job else self.status(id).state

    def resume(self, id: str) -> str:
        """Go on where an evaluation stands, and return its state. Raises Problem where there is none, or it is at work
        or done.
        """
        evaluation = self.evaluations.find(id)
        evaluation.request()
        if job := self._job(id):
            return self._jobs.resume(job.id).state
        if self.status(id).state == "finished":
            raise Problem("evaluate.is_finished", id=id)
        return self._status_of(self._start(evaluation)).state

    def status(self, id: str) -> Status:
        """Return how far an evaluation is. Raises Problem where there is none."""
        evaluation = self.evaluations.find(id)
        if job := self._job(id):
            return self._status_of(job)
        ended = any(event.event == "finished" for event in evaluation.read(Event))
        return Status("finished", 1.0) if ended else Status("interrupted")

    def delete(self, id: str) -> str:
        """Stop an evaluation and move it into the trash; returns the item's id there. Raises Problem."""
        if (job := self._job(id)) and job.active:
            self._jobs.cancel(job.id)
            if self._jobs.wait(job.id, 60).active:
                raise Problem("evaluate.still_at_work", id=id)
        item = self.evaluations.delete(id)
        if job:
            self._jobs.forget(job.id)
        return item

    def _known(self, targets: list[str]) -> list[str]:
        unique = list(dict.fromkeys(targets))
        if not 1 <= len(unique) <= target_names.MOST:
            raise Problem("evaluate.choose_some", most=target_names.MOST)
        return unique

    def _require_askable(self, targets: list[str], parts: list[str], settings: PredictSettings) -> None:
        if not parts:
            raise Problem("evaluate.no_dataset")
        if not settings.answers and not settings.loss:
            raise Problem("evaluate.nothing_to_do")
        local = [name for name in targets if not name.startswith(SERVED)]
        if not settings.answers and not local:
            raise Problem("evaluate.loss_of_served")
        check_metrics(self.workspace, settings)
        if settings.judge:
            if settings.judge.prompt:
                check_prompt(settings.judge.prompt)
            if len(targets) < 2:
                raise Problem("evaluate.judge_needs_two")
        asked = [*targets, *([settings.judge.target] if settings.judge else [])]
        for name in asked:
            self._require_known(name, settings.bits)
        for name in parts:
            row_sources.find(self.collection, name, targets)

    def _require_known(self, name: str, bits: int | None) -> None:
        if name.startswith(SERVED):
            self._servers.target(name)
        else:
            target_names.resolve(self.workspace, [name], bits)

    def _started(self, evaluation: Evaluation) -> Evaluation:
        self._start(evaluation)
        return evaluation

    def _start(self, evaluation: Evaluation) -> Job:
        title = part_names.title(evaluation.request(), evaluation.label)
        return self._jobs.start(KIND, "evaluate.job", {"evaluation": evaluation.id, "title": title})

    def _job(self, id: str) -> Job | None:
        return next((job for job in self._jobs.all(KIND) if job.facts.get("evaluation") == id), None)

    def _status_of(self, job: Job) -> Status:
        return Status(job.state, job.progress, job.message, job.error, self._left(job))

    def _left(self, job: Job) -> float | None:
        """Return the seconds that are left by the pace since the first answer of this start."""
        if job.state != "running" or job.progress is None or job.started is None:
            return None
        now = time.time()
        at, since = self._paces.get(job.id, (job.progress, now))
        if job.id not in self._paces or since < job.started:
            self._paces[job.id] = (job.progress, now)
            return None
        won = job.progress - at
        return (1 - job.progress) * (now - since) / won if won > 0 else None

    def _reads(self, facts: dict) -> list[Path]:
        """Return what a job reads: its models and runs, and where its rows come from. Raises Problem where the
        evaluation is gone.
        """
        request = self.evaluations.find(facts["evaluation"]).request()
        judge = request.settings.judge if request.kind == "predict" else None
        asked = [*request.targets, *([judge.target] if judge else [])]
        if request.kind == "predict":
            rows = row_sources.places(self.collection, request.parts)
        else:
            rows = tasks.places(self.workspace, request.parts)
        return [*target_names.folders(self.workspace, asked), *rows]

    def _work(self, job: Job) -> dict:
        evaluation = self.evaluations.find(JobFacts.model_validate(job.facts).evaluation)
        request = evaluation.request()
        settings = request.settings
        models = ModelsInUse(
            self.workspace, self._device, self._servers, settings.bits, settings.precision, self._spare
        )
        evaluation.note("started")
        try:
            if request.kind == "predict":
                predict_rows.run(evaluation, models, self.collection, job)
                if settings.answers:
                    llamafactory_results.write(RowTable(evaluation, request.targets))
                    if settings.judge:  # last: what it cannot do costs nothing else
                        judging.judge_rows(evaluation, models, settings.judge, job)
            else:
                benchmark_run.run(evaluation, models, job)
        finally:
            models.close()
        evaluation.note("finished")
        return {"evaluation": evaluation.id}

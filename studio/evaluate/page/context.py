"""What the Evaluate tab works with."""

from dataclasses import dataclass

from studio.datasets.registry.collection import Collection
from studio.evaluate.benchmarks.fetching import BenchmarkDownloads
from studio.evaluate.reports.report import Reports
from studio.evaluate.service import EvaluationService
from studio.inference.inference_service import InferenceService


@dataclass(frozen=True)
class EvaluateContext:
    """What the tab works with."""

    service: EvaluationService
    reports: Reports
    inference: InferenceService
    downloads: BenchmarkDownloads

    @property
    def collection(self) -> Collection:
        """The datasets that models are evaluated on."""
        return self.service.collection

"""What the model answered to the probe questions at each checkpoint."""

from dataclasses import dataclass

from studio.core.workspace import Workspace
from studio.train import runs

TEMPLATE = "train/page/runs/probe_answers.html"


@dataclass(frozen=True)
class ProbeAnswers:
    """For each question its answers, the newest first, each with the step at which it was given."""

    questions: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]


def probe_answers(workspace: Workspace, name: str) -> ProbeAnswers | None:
    """Return the answers of a run, None where no run is named. Raises Problem where there is no such run."""
    if not name:
        return None
    answers: dict[str, list[tuple[int, str]]] = {}
    for probe in runs.status(runs.find(workspace, name)).probes:
        answers.setdefault(probe["question"], []).append((probe["step"], probe["answer"]))
    return ProbeAnswers(tuple((question, tuple(reversed(found))) for question, found in answers.items()))

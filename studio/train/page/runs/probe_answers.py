"""What the model answered to the probe questions at each checkpoint."""

from dataclasses import dataclass

from studio.core.workspace import Workspace
from studio.train import runs

TEMPLATE = "train/page/runs/probe_answers.html"
SHARDED = ("deepspeed", "fsdp")  # with these no question is asked (see loop/callback.py)


@dataclass(frozen=True)
class ProbeAnswers:
    """For each question its answers, the newest first, each with the step at which it was given. `is_asked` is whether
    the run asks any, which it does at its checkpoints.
    """

    questions: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
    is_asked: bool
    is_over: bool


def probe_answers(workspace: Workspace, name: str) -> ProbeAnswers | None:
    """Return the answers of a run, None where no run is named. Raises Problem where there is no such run."""
    if not name:
        return None
    answers: dict[str, list[tuple[int, str]]] = {}
    run = runs.find(workspace, name)
    status, recipe = runs.status(run), run.recipe_if_any()
    for probe in status.probes:
        answers.setdefault(probe["question"], []).append((probe["step"], probe["answer"]))
    return ProbeAnswers(
        questions=tuple((question, tuple(reversed(found))) for question, found in answers.items()),
        is_asked=bool(run.info().probes) and not any(recipe.get(name) for name in SHARDED),
        is_over=status.state not in runs.ACTIVE,
    )

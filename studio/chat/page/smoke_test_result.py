"""The smoke test of the model in hand: its button, and how the last one went."""

from dataclasses import dataclass, replace

from studio.chat.evaluation.smoke_test import SmokeTest, SmokeTests
from studio.models.weights import completeness

TEMPLATE = "chat/page/smoke_test.html"
RUNNING = ("loading", "answering", "unloading")


@dataclass(frozen=True)
class SmokeTestContext:
    """test: the last one of this model, None where there was none. is_running: it is at work now."""

    model: str
    test: SmokeTest | None
    is_running: bool = False


def smoke_test(tests: SmokeTests, model: str) -> SmokeTestContext | None:
    """Return the smoke test of a model, None where none is in hand, or it has a fault, which its head tells. Raises
    Problem where there is no such model.
    """
    if not model or completeness.find(tests.workspace, model, wait=0).faults:
        return None
    last = tests.last(model)
    test = replace(last) if last else None  # as it stands now: another thread goes on with it
    return SmokeTestContext(model, test, test is not None and test.stage in RUNNING)

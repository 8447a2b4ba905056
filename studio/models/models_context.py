"""What the Models tab works with, and what it asks of the packages above it."""

from collections.abc import Callable
from dataclasses import dataclass

from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.models.hub.download import Downloads
from studio.models.library.library import Model
from studio.models.library.manage import Guard
from studio.monitor.history import Monitor


@dataclass(frozen=True)
class ModelsContext:
    """`guard` raises Problem for a model that the chat uses now; `runs_on` counts the runs that were tuned on
    a model, `users_of` all that know it by its folder or its name.
    """

    workspace: Workspace
    jobs: Jobs
    downloads: Downloads
    monitor: Monitor
    guard: Guard
    runs_on: Callable[[Model], int]
    users_of: Callable[[Model], int]

    def memory(self) -> tuple[str, int]:
        """Return the device that models run on, "cuda" or "cpu", and its whole memory in bytes: of the largest GPU, or
        the machine's.
        """
        latest = self.monitor.latest()
        gpus = [gpu.memory_total for gpu in latest.gpus if gpu.memory_total]
        return ("cuda", max(gpus)) if gpus else ("cpu", latest.host.memory_total)

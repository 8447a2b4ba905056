"""What these parts of the tab work with."""

import threading
from dataclasses import dataclass, field

from studio.core.jobs import Jobs
from studio.core.storage import read_only
from studio.datasets.registry.collection import Collection
from studio.deploy.clients.open_webui import OpenWebui
from studio.deploy.load_test.load_test_service import LoadTestService
from studio.deploy.prompt_recorder.recorded_prompt import RecordedPrompt
from studio.deploy.prompt_recorder.recorder_service import PromptRecorders
from studio.inference.inference_service import InferenceService

MOST_PROMPTS = 50  # compared prompts that are remembered


@dataclass(frozen=True)
class ToolsContext:
    """What these parts work with. prompts: the prompts of recorded requests that were compared, by id."""

    inference: InferenceService
    load_tests: LoadTestService
    recorders: PromptRecorders
    open_webui: OpenWebui
    prompts: dict[str, RecordedPrompt] = field(default_factory=dict)

    @classmethod
    def of(cls, jobs: Jobs, collection: Collection, inference: InferenceService) -> "ToolsContext":
        """Return what the parts work with in the workspace of a studio."""
        workspace, servers = inference.workspace, inference.servers
        return cls(
            inference,
            LoadTestService(jobs, collection, servers),
            PromptRecorders(workspace, servers),
            OpenWebui(workspace, jobs, servers),
        )

    def targets(self) -> list[str]:
        """Return every served model, as Chat names it; the lists of models are asked for in the background."""
        return self.inference.model_lists.columns()

    def take_up(self) -> None:
        """Start the recorders that ended with the last studio, without waiting for them."""
        if read_only.why() is None:
            threading.Thread(target=self.recorders.take_up, name="recorders", daemon=True).start()

    def remember(self, id: str, prompt: RecordedPrompt) -> None:
        """Keep a compared prompt for the page."""
        self.prompts[id] = prompt
        for old in list(self.prompts)[:-MOST_PROMPTS]:
            del self.prompts[old]

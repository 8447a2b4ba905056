"""A studio that is killed amid an evaluation, as the kernel does it where memory ends, and one that goes on with it."""

import json
import urllib.error
import urllib.request
from collections import Counter

import pytest
from conftest import SMALL, Server, new_workspace, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluation import EvaluatedRow, RowScores
from studio.evaluate.service import EvaluationService
from studio.inference.remote.servers import ServerRegistry

ROWS = 16


def _call(studio: Server, endpoint: str, *values: object) -> dict:
    body = json.dumps({"data": values}).encode()
    request = urllib.request.Request(
        f"{studio.url}/gradio_api/run/{endpoint}", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return json.load(answer)["data"][0]
    except urllib.error.HTTPError as error:
        pytest.fail(f"{endpoint}: {error.read().decode()[:500]}")


@pytest.fixture
def studio(tmp_path):
    new_workspace(tmp_path / "workspace")
    started = Server(tmp_path / "workspace")
    yield started
    started.stop()


def test_a_killed_studio_goes_on_at_the_next_row(studio, tmp_path):
    """The services of the next studio run in this process, which has loaded the libraries."""
    options = {"rows": ROWS, "batch": 2, "max_tokens": 24, "metrics": ["exact"]}
    made = _call(studio, "evaluate_predict", [SMALL], ["sft_en_zh"], options)["evaluation"]
    folder = tmp_path / "workspace" / "saves" / ".evaluations" / made
    answers, losses = folder / "predictions.jsonl", folder / "losses.jsonl"
    wait_for(lambda: answers.exists() and answers.read_bytes().count(b"\n") >= 4, every=0.01)
    studio.kill()
    before = answers.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert 4 <= whole.count(b"\n") < ROWS, "killed too late to test anything"

    workspace = Workspace(tmp_path / "workspace")
    jobs = Jobs(workspace)
    next_one = EvaluationService(DeviceLease(), jobs, Collection(workspace, jobs), ServerRegistry(workspace))
    assert next_one.status(made).state == "interrupted"
    next_one.resume(made)
    wait_for(lambda: next_one.status(made).state not in ("queued", "preparing", "running"))
    assert next_one.status(made).state == "finished"
    assert answers.read_bytes().startswith(whole)
    for file in (answers, losses, folder / "scores.jsonl"):
        asked = Counter(json.loads(line)["row"] for line in file.read_bytes().splitlines() if _is_whole(line))
        assert asked == Counter(range(ROWS)), file.name
    evaluation = next_one.evaluations.find(made)
    assert len(evaluation.read(EvaluatedRow)) == ROWS
    assert all("exact" in row.scores for row in evaluation.read(RowScores))


def _is_whole(line: bytes) -> bool:
    """Tell whether a line of a file was written to its end; that which the kill cut is passed over."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False

"""A studio that is killed amid an evaluation, as the kernel does it where memory ends, and one that goes on with it."""

import json
import urllib.error
import urllib.request
from collections import Counter

import pytest
from conftest import SMALL, Server, new_workspace, wait_for

ROWS = 24


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


def _result(studio: Server, evaluation: str) -> dict:
    return _call(studio, "evaluate_result", evaluation, 0, 100, "")


@pytest.fixture
def studios(tmp_path):
    started: list[Server] = []

    def start() -> Server:
        started.append(Server(tmp_path / "workspace"))
        return started[-1]

    new_workspace(tmp_path / "workspace")
    yield start
    for one in started:
        one.stop()


def test_a_killed_studio_goes_on_at_the_next_row(studios, tmp_path):
    first = studios()
    options = {"rows": ROWS, "batch": 2, "max_tokens": 24, "metrics": ["exact"]}
    made = _call(first, "evaluate_predict", [SMALL], ["sft_en_zh"], options)["evaluation"]
    folder = tmp_path / "workspace" / "saves" / ".evaluations" / made
    answers, losses = folder / "predictions.jsonl", folder / "losses.jsonl"
    wait_for(lambda: answers.exists() and answers.read_bytes().count(b"\n") >= 4, every=0.01)
    first.kill()
    before = answers.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert 4 <= whole.count(b"\n") < ROWS, "killed too late to test anything"

    second = studios()
    assert _result(second, made)["state"] == "interrupted"
    _call(second, "evaluate_resume", made)
    wait_for(lambda: _result(second, made)["state"] not in ("queued", "preparing", "running"))
    result = _result(second, made)
    assert result["state"] == "finished" and result["total"] == ROWS
    assert answers.read_bytes().startswith(whole)
    for file in (answers, losses, folder / "scores.jsonl"):
        asked = Counter(json.loads(line)["row"] for line in file.read_bytes().splitlines() if _is_whole(line))
        assert asked == Counter(range(ROWS)), file.name
    assert all("exact" in row["scores"][SMALL] for row in result["rows"])


def _is_whole(line: bytes) -> bool:
    """Tell whether a line of a file was written to its end; that which the kill cut is passed over."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False

"""The studio on Windows and macOS: nothing at import or start that only Linux has. Neither was tried itself here; this
machine plays them (tests/other_system.py).
"""

import json
import urllib.request

import pytest
from conftest import Server, new_workspace, rest_slow


def ask(server: Server, endpoint: str, *arguments: object):
    request = urllib.request.Request(
        f"{server.url}/gradio_api/run/{endpoint}",
        json.dumps({"data": arguments}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=240) as answer:
        return json.loads(answer.read())["data"][0]


@pytest.mark.parametrize("system", rest_slow("win32", "darwin"))
def test_it_is_imported_and_started_without_what_only_linux_has(tmp_path, system):
    workspace = new_workspace(tmp_path / "workspace")
    server = Server(workspace.root, program=("tests/other_system.py", system))
    try:
        assert b"<html" in urllib.request.urlopen(server.url, timeout=240).read()
        assert {one["name"] for one in ask(server, "datasets_list")} >= {"identity_en", "identity_zh"}
        assert len(ask(server, "models_list")) == 2 and ask(server, "train_runs") == []
        regions = [{"name": name, "arg": "", "mark": ""} for name in ("strip", "holders")]
        assert [one["html"] != "" for one in ask(server, "live", regions)] == [True, True]
    finally:
        server.stop()
    log = server.log.read_text()
    assert "every module was imported" in log and "The studio is at" in log and "Traceback" not in log, log

"""LLaMA-Factory's API as an engine: started, found again by another studio, asked, stopped; and what is refused."""

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass

import psutil
import pytest
from conftest import ROOT, SLOW, SMALL, is_sentence, new_workspace, slow, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.deploy.deploy_service import DeployService
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.export.templates import training
from studio.export.templates.cases import CASES, TOOLS, Case
from studio.inference.inference_service import InferenceService
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.inference.local import base_loading
from studio.inference.sampling import Sampling
from studio.inference.target_names import resolve

KEY = "sk-of-this-test"
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=12, seed=1)
# A studio that starts an engine and dies the moment it is ready.
STARTER_SCRIPT = """
import os, sys, time
from pathlib import Path
from studio.core.device_lease import DeviceLease
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.deploy.deploy_service import DeployService
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.inference.inference_service import InferenceService
from studio.inference.llama_cpp.toolkit import Toolkit

workspace = Workspace(Path(sys.argv[1]))
device = DeviceLease()
jobs = Jobs(workspace)
inference = InferenceService(workspace, device)
service = DeployService(workspace, device, inference, Toolkit(jobs), EngineEnvironments(jobs), jobs)
settings = DeploySettings(name="served", precision=sys.argv[4])
deployment = service.start("llamafactory", sys.argv[2], settings, sys.argv[3])
while deployment.state().state == "starting":
    time.sleep(0.1)
os._exit(deployment.state().state != "ready")
"""


def service_on(workspace: Workspace) -> DeployService:
    device = DeviceLease()
    jobs = Jobs(workspace)
    inference = InferenceService(workspace, device)
    return DeployService(workspace, device, inference, Toolkit(jobs), EngineEnvironments(jobs), jobs)


@pytest.fixture
def service(workspace):
    made = service_on(workspace)
    yield made
    made.interrupt()


def refused(service: DeployService, key: str, *arguments, **settings) -> None:
    with pytest.raises(Problem) as told:
        service.start(*arguments, DeploySettings(**settings), "a-key" if key == "deploy.bad_host" else "")
    assert told.value.key == key
    assert all(is_sentence(Words(language).tell(told.value)) for language in ("en", "zh"))


def test_it_survives_its_studio_and_answers_as_the_chat_does(tmp_path):
    workspace = new_workspace(tmp_path / "workspace")
    # Chat computes in what the processor does best; the engine is told to do the same.
    precision = str(base_loading._number_type(resolve(workspace, [SMALL])[0].base)).removeprefix("torch.")
    command = [sys.executable, "-c", STARTER_SCRIPT, str(workspace.root), SMALL, KEY, precision]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=ROOT, env=environment, timeout=120, check=False).returncode == 0
    service = service_on(workspace)
    try:
        (deployment,) = service.active()
        parity = wait_for(lambda: deployment.state().parity)
        state, request = deployment.state(), deployment.request()
        assert (state.state, state.error, parity.verdict, parity.asked) == ("ready", None, "same_length", 3)
        served = service.column("served", request, state)
        assert service.inference.model_lists.columns() == [served]
        assert [one.who for one in service._device.holders()] == ["deploy:served"]
        for one in [asked for asked in conversations() if not asked.case.tools][:: 1 if SLOW else 3]:
            answers = answers_of(service, [served, SMALL], one.messages, one.system)
            assert answers[0].fault is None and answers[0].text == answers[1].text != "", one.messages
        leader = psutil.Process(state.members[0].pid)
        assert KEY not in " ".join(leader.cmdline())
        kept = [path for path in workspace.saves.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
        assert kept == [deployment.folder / "key"] and kept[0].stat().st_mode & 0o777 == 0o600
        with pytest.raises(Problem, match="is at work"):
            service.start("llamafactory", SMALL, DeploySettings(name="served"))
        assert service.stop("served").state == "stopping"
        assert service.wait("served", 240) and deployment.state().state == "stopped"
        service.inference.unload()
        assert is_gone(leader) and service.inference.servers.list() == [] == service._device.holders()
        with socket.socket() as port:
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port.bind(("127.0.0.1", state.port))
        assert service.delete("served") and service.deployments.all() == []
    finally:
        service.interrupt()


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended; one whose parent is gone may wait for ever to be buried."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def answers_of(service: DeployService, names: list[str], messages: list[dict], system: str):
    *_, answers = service.inference.ask(dict.fromkeys(names, messages), system, GREEDY, threading.Event())
    return answers


@dataclass(frozen=True)
class Asked:
    """A conversation of the comparison of templates, as Chat takes it: `tools` are JSON, "" for none."""

    case: Case
    messages: list[dict]
    system: str
    tools: str


def conversations() -> list[Asked]:
    """Return those of the conversations by which templates are compared that ask a model of texts for an answer."""
    found = []
    for case in CASES:
        if case.answered or case.thinking is not None or case.needs & {"thoughts", "images"}:
            continue
        messages = [_of_chat(one) for one in case.messages]
        system = messages.pop(0)["content"] if messages[0]["role"] == "system" else ""
        found.append(Asked(case, messages, system, json.dumps(TOOLS) if case.tools else ""))
    assert len(found) >= 20
    return found


def _of_chat(message: dict) -> dict:
    made = {"role": message["role"], "content": training.plain_text(message["content"])}
    called = [call["function"] for call in message.get("tool_calls") or ()]
    arguments = [one["arguments"] for one in called]
    parsed = [json.loads(one) if isinstance(one, str) else one for one in arguments]
    calls = [{"name": one["name"], "arguments": given} for one, given in zip(called, parsed, strict=True)]
    return made | ({"calls": calls} if calls else {})


def test_what_cannot_be_served_is_refused_before_anything_is_loaded(service, workspace, tmp_path):
    (workspace.models / "some.gguf").write_bytes(b"GGUF")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        refused(service, "deploy.port_taken", "llamafactory", SMALL, port=port)
    refused(service, "deploy.no_gguf", "llamafactory", "some.gguf")
    refused(service, "gguf.no_file", "llamafactory", "../some.gguf")
    refused(service, "deploy.key_needed", "llamafactory", SMALL, host="0.0.0.0")
    refused(service, "deploy.bad_host", "llamafactory", SMALL, host="203.0.113.7")
    refused(service, "deploy.no_engine", "nginx", SMALL)
    refused(service, "deploy.nothing_chosen", "llamafactory", " ")
    refused(service, "deploy.served_already", "llamafactory", "served:x/y")
    refused(service, "workspace.bad_name", "llamafactory", SMALL, name="../x")
    assert service.deployments.all() == [] == service._device.holders()


def test_one_that_is_starting_can_be_stopped(service):
    deployment = service.start("llamafactory", SMALL, DeploySettings())
    wait_for(lambda: deployment.state().members)
    leader = psutil.Process(deployment.state().members[0].pid)
    service.stop(deployment.name)
    assert service.wait(deployment.name, 240) and deployment.state().state == "stopped"
    assert is_gone(leader)


@slow  # test_llama_cpp.py has an engine say why it failed
def test_what_dies_while_it_loads_says_why(service, workspace):
    (workspace.models / SMALL / "model.safetensors").unlink()
    (workspace.models / SMALL / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    deployment = service.start("llamafactory", SMALL, DeploySettings())
    assert service.wait(deployment.name, 240)
    state = deployment.state()
    assert state.state == "failed" and state.error.key == "deploy.fault_said"
    assert "SafetensorError" in str(state.error.problem())


def test_an_engine_that_is_gone_when_the_studio_comes_back_is_told(service, workspace):
    deployment = service.start("llamafactory", SMALL, DeploySettings())
    wait_for(lambda: deployment.state().members)
    state = deployment.state()
    service.stop(deployment.name)
    service.wait(deployment.name, 240)
    deployment.write_state(state.model_copy(update={"state": "ready"}))  # as a machine that was switched off leaves it
    again = service_on(workspace)
    again.wait(deployment.name, 240)
    assert deployment.state().state == "failed" and again._device.holders() == []

"""From the button to the first token: llama.cpp's server, and LLaMA-Factory's API against `llamafactory-cli api`."""

import http.client
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import engines
from benchmarks.report import Row, compared, shown
from studio.core import llamafactory
from studio.core.device_lease import DeviceLease
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.deploy.deploy_service import DeployService
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.inference.inference_service import InferenceService
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models import starter

RUNS = 3
REACH_LLAMA_CPP_S = 5.0
REACH_API = 1.1
PATIENCE_S = 180.0
MODEL = engines.ROOT / "models" / starter.NAME
FILE = "starter.gguf"


def measure(runs: int, quick: bool) -> list[Row]:
    """Start engines as the page does, and LLaMA-Factory's by its own command in turn; return the rows."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        workspace = Workspace(folder / "workspace").prepare()
        shutil.copytree(MODEL, workspace.models / MODEL.name, copy_function=os.symlink)
        engines.starter_gguf(folder).rename(workspace.models / FILE)
        service = _service(workspace)
        llamafactory.load()  # as it is in a studio that stands
        settings = DeploySettings(name="fast", prompt_of=MODEL.name)
        fast = [_started(service, "llama.cpp", FILE, settings) for _ in range(runs)]
        print(f"  llama.cpp: {', '.join(f'{one:.2f} s' for one in fast)}", flush=True)
        ours, theirs = [], []
        for number in range(runs):
            sides = [(ours, _ours), (theirs, _theirs)]
            for times, side in sides if number % 2 else sides[::-1]:
                times.append(side(service, folder))
            print(f"  LLaMA-Factory's API: ours {ours[-1]:.2f} s, its own command {theirs[-1]:.2f} s", flush=True)
    return [
        Row(
            "deploy",
            "from Start to the first token of llama.cpp's server, with the template of training",
            shown(fast),
            "",
            "",
            f"under {REACH_LLAMA_CPP_S:g} s",
            max(fast) < REACH_LLAMA_CPP_S,
        ),
        compared(
            "deploy",
            "from Start to the first token of LLaMA-Factory's API, against `llamafactory-cli api`",
            ours,
            theirs,
            REACH_API,
        ),
    ]


def _service(workspace: Workspace) -> DeployService:
    """Return what starts engines, with llama.cpp's programs made where they are missing."""
    device, jobs = DeviceLease(), Jobs(workspace)
    toolkit = Toolkit(jobs)
    toolkit.ensure(lambda *_, **__: None, lambda: None)
    return DeployService(
        workspace, device, InferenceService(workspace, device), toolkit, EngineEnvironments(jobs), jobs
    )


def _ours(service: DeployService, folder: Path) -> float:
    return _started(service, "llamafactory", MODEL.name, DeploySettings(name="api"))


def _started(service: DeployService, engine: str, target: str, settings: DeploySettings) -> float:
    """Return the seconds from the start of an engine to its first token, and end it."""
    began = time.perf_counter()
    deployment = service.start(engine, target, settings)
    while (state := deployment.state()).state == "starting" and time.perf_counter() - began < PATIENCE_S:
        time.sleep(0.02)
    if state.state != "ready":
        raise RuntimeError(f"{engine} is {state.state}:\n{deployment.log()[-2000:]}")
    try:
        _first_token(f"http://127.0.0.1:{state.port}/v1", deployment.name)
        return time.perf_counter() - began
    finally:
        service.stop(deployment.name)
        service.wait(deployment.name, 60)


def _theirs(service: DeployService, folder: Path) -> float:
    """Return the seconds from LLaMA-Factory's own command to its first token."""
    files = service.preview("llamafactory", MODEL.name, DeploySettings()).files
    name = json.loads(next(iter(files.values())))["template"]
    began = time.perf_counter()
    with engines.factory_api(MODEL, name, folder / "api.log") as engine:
        _first_token(engine.url, MODEL.name)
        return time.perf_counter() - began


def _first_token(url: str, model: str) -> None:
    """Ask something, and return once the first piece of an answer is there."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": "What is a fox?"}],
        "stream": True,
        "max_tokens": 8,
    }
    connection.request(
        "POST", f"{parts.path}/chat/completions", json.dumps(asked), {"Content-Type": "application/json"}
    )
    for line in connection.getresponse():
        if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            break
    connection.close()

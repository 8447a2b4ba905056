"""Two engines under the same load, as Deploy starts them: llama.cpp's server and LLaMA-Factory's API."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks import engines
from benchmarks.report import Row
from studio.core.device_lease import DeviceLease
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.deploy.deploy_service import DeployService
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.deploy.load_test.load_settings import LoadSettings
from studio.deploy.load_test.load_summary import StepSummary, summary
from studio.deploy.load_test.load_test_service import LoadTestService
from studio.inference.inference_service import InferenceService
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models import starter

RUNS = 1
PATIENCE_S, TEST_S = 180.0, 900
FILE = "starter.gguf"
MODEL = engines.ROOT / "models" / starter.NAME
PARALLEL = 4
SETTINGS = LoadSettings(prompt_tokens=64, max_tokens=32, concurrency=[1, PARALLEL], requests=12, seconds=120)
QUICK = SETTINGS.model_copy(update={"concurrency": [1], "requests": 2, "max_tokens": 8})


def measure(runs: int, quick: bool) -> list[Row]:
    """Start both, load one after the other with the same prompts, and return a row for each engine and step."""
    settings = QUICK if quick else SETTINGS
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        workspace = Workspace(folder / "workspace").prepare()
        shutil.copytree(MODEL, workspace.models / MODEL.name, copy_function=os.symlink)
        engines.starter_gguf(folder).rename(workspace.models / FILE)
        device, jobs = DeviceLease(), Jobs(workspace)
        toolkit = Toolkit(jobs)
        toolkit.ensure(lambda *_, **__: None, lambda: None)
        inference = InferenceService(workspace, device)
        service = DeployService(workspace, device, inference, toolkit, EngineEnvironments(jobs), jobs)
        tests = LoadTestService(jobs, Collection(workspace, jobs), inference.servers)
        try:
            columns = [
                _started(service, "llama.cpp", FILE, DeploySettings(prompt_of=MODEL.name, parallel=PARALLEL)),
                _started(service, "llamafactory", MODEL.name, DeploySettings(parallel=PARALLEL)),
            ]
            test = tests.start(columns, settings)
            job = jobs.wait(tests.job(test.id).id, TEST_S)
            if job.state != "finished":
                raise RuntimeError(f"the load test is {job.state}: {job.error}")
            return [_row(step) for step in summary(test, settings)]
        finally:
            service.interrupt()


def _started(service: DeployService, engine: str, target: str, settings: DeploySettings) -> str:
    """Start an engine, and return its model as a load test names it, once it is ready and its prompt was compared."""
    deployment, end = service.start(engine, target, settings), time.monotonic() + PATIENCE_S
    while (state := deployment.state()).state == "starting" or state.state == "ready" and state.parity is None:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    if state.state != "ready":
        raise RuntimeError(f"{engine} is {state.state}:\n{deployment.log()[-2000:]}")
    return service.column(deployment.name, deployment.request(), state)


def _row(step: StepSummary) -> Row:
    told = (
        f"{step.tokens_s:.1f} tokens/s, first token {step.ttft.p50:.2f} s (95 %: {step.ttft.p95:.2f} s), "
        f"{(step.memory or 0) / 2**20:.0f} MiB, {step.answered} answered, {step.failed} failed"
    )
    what = f"{step.name}, {step.concurrency} at a time: {SETTINGS.prompt_tokens} tokens of prompt, answers of at most"
    return Row("load", f"{what} {SETTINGS.max_tokens}", told, "", "", "none fails", step.failed == 0)

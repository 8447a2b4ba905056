"""vLLM's build for processors in the environment that the studio makes for it: served, asked, switched and stopped."""

import importlib.util
import json
import os
import statistics
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from conftest import STARTER, slow, wait_for
from endpoint_calls import by_name, over, running_app
from random_runs import random_run
from test_llamafactory_api import is_gone
from test_served_as_chat import louder

from studio.inference.sampling import Sampling

pytestmark = slow
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=8, seed=1)
ACTIVE = ("queued", "preparing", "running", "stopping")
OFFLINE = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
QUESTION = [{"role": "user", "content": "What is a fox?"}]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    yield from running_app(tmp_path_factory.mktemp("vllm") / "workspace")


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


def listed(call) -> dict:
    return next(one for one in call.deploy_list() if one["name"] == "fast")


def said(studio, column: str) -> str:
    *_, (answer,) = studio.chat.service.ask({column: QUESTION}, "", GREEDY, threading.Event())
    assert answer.fault is None, answer.fault
    return answer.text


def test_it_is_installed_serves_a_run_and_its_adapters_and_leaves_nothing(studio, call, tmp_path):
    run = random_run(studio.workspace, "tuned", dtype="bfloat16")
    louder(run)
    if not next(one for one in call.deploy_engines() if one["name"] == "vllm")["ready"]:
        status = over(call, call.deploy_prepare("vllm")["job"], 3600)
        assert status["state"] == "finished", status["error"]
    options = {"name": "fast", "context": 1024, "eager": True, "precision": "bfloat16", "adapters": {"one": run.name}}
    call.deploy_start("vllm", STARTER.name, options)
    found = wait_for(lambda: (one := listed(call))["state"] != "starting" and one, 600)
    assert found["state"] == "ready", (found, call.deploy_log("fast")["text"][-3000:])
    found = wait_for(lambda: (one := listed(call))["parity"] and one, 120)
    assert found["parity"]["verdict"] in ("same", "other_tokens") and found["parity"]["asked"] >= 15, found["parity"]
    column, adapted = found["column"], found["column"].rpartition("/")[0] + "/one"
    base = said(studio, column)
    assert base and said(studio, adapted) != base
    assert call.deploy_adapter("fast", "one", False) == {"on": []}
    assert not any(name.endswith("/one") for name in studio.chat.service.model_lists.columns())
    assert call.deploy_adapter("fast", "one", True) == {"on": ["one"]}
    assert said(studio, adapted) != base
    agrees_with_vllms_own(studio, call, column, found["address"], tmp_path)
    processes = [psutil.Process(one.pid) for one in studio.deploy.deployments.find("fast").state().members]
    call.deploy_stop("fast")
    wait_for(lambda: listed(call)["state"] == "stopped")
    assert all(is_gone(one) for one in processes)


# Of this version's `bench serve`: its command line begins with what the processor's build does not have.
BENCH = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
# By our names: those of its result file.
FIGURES = {
    "tokens_per_s": "output_throughput",
    "ttft_p50_ms": "median_ttft_ms",
    "tpot_p50_ms": "median_tpot_ms",
    "itl_p50_ms": "median_itl_ms",
}
REQUESTS, AT_ONCE, ANSWER = 24, 4, 32


def agrees_with_vllms_own(studio, call, column: str, address: str, folder) -> None:
    """Measure the server by the load test and by `vllm bench serve` in turn; their figures must be near."""
    settings = {"max_tokens": ANSWER, "whole_length": True, "concurrency": [AT_ONCE], "requests": REQUESTS}
    ours, theirs = [], []
    for turn in range(3):
        theirs.append(bench(studio, address, folder, turn))
        rows = [{"instruction": one, "input": "", "output": "Yes."} for one in prompts(2 * turn + 1)]
        (studio.workspace.data / f"asked-{turn}.json").write_text(json.dumps(rows))
        index = studio.workspace.data / "dataset_info.json"
        known = json.loads(index.read_text()) | {f"asked-{turn}": {"file_name": f"asked-{turn}.json"}}
        index.write_text(json.dumps(known))
        asked = {"targets": [column], "dataset": f"asked-{turn}", **settings}
        test = call.deploy_load_test(asked)["load_test"]
        found = wait_for(
            lambda test=test: (one := call.deploy_load_test_result(test))["state"] not in ACTIVE and one, 300
        )
        assert found["state"] == "finished", found
        (step,) = found["steps"]
        assert (step["answered"], step["failed"], step["output_tokens"]) == (REQUESTS, 0, REQUESTS * ANSWER)
        ours.append({name: step[name] for name in FIGURES})
    for figure in FIGURES:
        one, other = (statistics.median(each[figure] for each in side) for side in (ours, theirs))
        print(f"{figure}: load test {one:.4g}, vllm bench serve {other:.4g}, ratio {one / other:.3f}")
        assert 0.8 < one / other < 1.25, figure


def prompts(number: int) -> list[str]:
    """Return questions of one length that begin differently: no side finds the other's in the engine's cache."""
    return [
        f"{1000 * number + row} ships: " + "tell what each of them carries, and where to. " * 6 for row in range(24)
    ]


def bench(studio, address: str, folder, turn: int) -> dict[str, float]:
    """Return what `vllm bench serve` measures, by our names."""
    python = studio.deploy.engine("vllm")._python("vllm")
    options = {
        "backend": "openai-chat",
        "base-url": address.removesuffix("/v1"),
        "endpoint": "/v1/chat/completions",
        "model": "fast",
        "tokenizer": STARTER,
        "dataset-name": "custom",
        "dataset-path": folder / f"{turn}.jsonl",
        "custom-output-len": ANSWER,
        "num-prompts": REQUESTS,
        "max-concurrency": AT_ONCE,
        "seed": turn,
        "result-dir": folder,
        "result-filename": f"{turn}.json",
    }
    command = [python, "-c", BENCH, "--ignore-eos", "--skip-chat-template", "--save-result", "--disable-tqdm"]
    lines = [json.dumps({"prompt": one}) for one in prompts(2 * turn)]
    (folder / f"{turn}.jsonl").write_text("\n".join(lines))
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    # The environment that serves has no pandas, by which `bench serve` reads prompts: it takes that of the tests.
    (borrowed := folder / "borrowed").mkdir(exist_ok=True)
    for name in ("pandas", "dateutil", "pytz", "six", "tzdata"):
        if found := importlib.util.find_spec(name):
            place = Path(found.origin)
            place = place.parent if place.name == "__init__.py" else place
            if not (borrowed / place.name).exists():
                (borrowed / place.name).symlink_to(place)
    environment = OFFLINE | {"PYTHONPATH": str(borrowed)}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / f"{turn}.json").read_text())
    assert found["completed"] == REQUESTS
    return {ours: found[name] for ours, name in FIGURES.items()}

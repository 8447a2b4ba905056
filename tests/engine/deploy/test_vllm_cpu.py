"""vLLM's build for processors in the environment that the studio makes for it: served, asked, switched and stopped."""

import threading

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


def test_it_is_installed_serves_a_run_and_its_adapters_and_leaves_nothing(studio, call):
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
    processes = [psutil.Process(one.pid) for one in studio.deploy.deployments.find("fast").state().members]
    call.deploy_stop("fast")
    wait_for(lambda: listed(call)["state"] == "stopped", 60)
    assert all(is_gone(one) for one in processes)

"""A tuned and merged model answers behind an engine as it does in Chat; adapters are switched while it runs."""

import json
import threading

import pytest
from conftest import STARTER, slow, wait_for
from endpoint_calls import by_name, over, running_app
from random_runs import random_run
from safetensors.torch import load_file, save_file
from test_llamafactory_api import conversations

from studio.core.i18n import Words
from studio.export.templates import training
from studio.export.templates.cases import TOOLS
from studio.inference.local import base_loading
from studio.inference.local.base_loading import encoder_of
from studio.inference.remote import engine_prompt
from studio.inference.remote.servers import ServedTarget
from studio.inference.sampling import Sampling
from studio.inference.target_names import resolve

pytestmark = slow

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=24, seed=1)
QUESTION = [{"role": "user", "content": "What is a fox?"}]
# llama.cpp answers with an error where what a model says beside tools is no call in its form; LLaMA-Factory's API takes
# no two results of tools in a row; vLLM takes no tools where it was started without a parser for a model's calls.
REFUSALS = ("does not match the expected", "Only supports u/a/u/a/u", "tool choice requires")
NEAR = 0.1  # nats between two choices that 16 bits, added up in another order, may put the other way round


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    yield from running_app(tmp_path_factory.mktemp("as-chat") / "workspace")


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture(scope="module")
def run(studio):
    made = random_run(studio.workspace, "tuned", dtype="bfloat16")
    louder(made)
    return made


def louder(run) -> None:
    """Make an adapter's share of the answer four times as large, so that each says something else."""
    file = run.folder / "adapter_model.safetensors"
    save_file({name: weight * (4 if "lora_B" in name else 1) for name, weight in load_file(file).items()}, file)


def ready(call, name: str) -> dict:
    """Return a deployment that is ready."""
    found = wait_for(lambda: (one := listed(call, name))["state"] != "starting" and one)
    assert found["state"] == "ready", (found, call.deploy_log(name)["text"][-2000:])
    return found


def listed(call, name: str) -> dict:
    return next(one for one in call.deploy_list() if one["name"] == name)


def answers(studio, names: list[str], messages: list[dict], system: str = "", tools: str = "") -> list[str]:
    """Return what models say, with the calls in it, which they must."""
    asked = dict.fromkeys(names, messages)
    *_, found = studio.chat.service.ask(asked, system, GREEDY, threading.Event(), tools)
    faults = [Words("en").tell(one.fault) for one in found if one.fault]
    assert not faults or (tools and any(one in faults[0] for one in REFUSALS)), faults
    if faults:
        return [faults[0], ""]
    # The last token may be a part of a character, which Chat does not show.
    return [
        one.text.rstrip("\N{REPLACEMENT CHARACTER}") + "".join(json.dumps(call) for call in one.calls) for one in found
    ]


@pytest.fixture(scope="module")
def merged(call, run) -> str:
    """Give the run, merged in 16 bits, and its GGUF file of 16 bits beside it."""
    status = over(call, call.export_gguf("", run.name, {"types": ["f16"], "name": "tuned-GGUF"})["job"], 600)
    assert status["state"] == "finished", status["error"]
    return call.export_list()[0]["name"]


@pytest.fixture(params=["llama.cpp", "llamafactory", "vllm"])
def served(request, studio, call, run, merged):
    """Give a deployment of the tuned model; vLLM is asked where its environment was made (test_vllm_cpu.py)."""
    if not next(one for one in call.deploy_engines() if one["name"] == request.param)["ready"]:
        pytest.skip(f"{request.param} is not installed")
    (file,) = [one["target"] for one in call.deploy_targets() if one["target"].startswith("tuned-GGUF/")]
    number_type = str(base_loading._number_type(resolve(studio.workspace, [merged])[0].base)).removeprefix("torch.")
    target, options = {
        "llama.cpp": (file, {"prompt_of": run.name}),
        "llamafactory": (merged, {"precision": number_type}),
        "vllm": (merged, {"precision": number_type, "context": 1024, "eager": True}),
    }[request.param]
    name = f"as-chat-{request.param.replace('.', '-')}"
    call.deploy_start(request.param, target, options | {"name": name})
    yield ready(call, name)
    call.deploy_stop(name)


def test_what_is_served_says_what_chat_says(studio, run, merged, served):
    """Ask both, greedily. Where they part the reason must be one of two: the engine made other tokens of the
    conversation, or the choice was so near that numbers added up in another order decide it.
    """
    asked, same, ends = conversations(), 0, []
    for one in asked:
        theirs, here = answers(studio, [served["column"], merged], one.messages, one.system, one.tools)
        if theirs == here:
            same += 1
            continue
        if not here:
            ends.append(f"{one.case.name}: {theirs}")
            continue
        prompt = training.encode(*_encoder(studio, run), list(one.case.messages), TOOLS if one.case.tools else None).ids
        said = _prompt_of_engine(served, one.case, *_encoder(studio, run))
        if (parts := engine_prompt.compare(list(prompt), said)) is not None:
            ends.append(f"{one.case.name}: other tokens of the same conversation: {parts}")
            continue
        gap = _gap(studio, run, list(prompt), theirs, here)
        ends.append(f"{one.case.name}: {gap:.4f} nats apart: {theirs!r} {here!r}")
        assert gap < NEAR, ends[-1]
    print(f"{served['engine']}: {same} of {len(asked)} the same, character for character", *ends, sep="\n  ")
    assert same >= 11


def _prompt_of_engine(served: dict, case, template, tokenizer) -> list[int]:
    """Return what an engine makes of a conversation: LLaMA-Factory's API by its own code, the other as it tells."""
    tools = TOOLS if case.tools else None
    if served["engine"] != "llamafactory":
        target = ServedTarget(served["name"], served["address"], served["name"])
        return engine_prompt.of_messages(target, list(case.messages), tools).ids
    from llamafactory.api.chat import _process_request
    from llamafactory.api.protocol import ChatCompletionRequest

    messages = [engine_prompt._with_arguments_as_text(one) for one in case.messages]
    asked = ChatCompletionRequest(model="any", messages=messages, tools=tools)
    turns, system, defined, *_ = _process_request(asked)
    return template.encode_oneturn(tokenizer, [*turns, {"role": "assistant", "content": ""}], system, defined)[0]


def _encoder(studio, run) -> tuple:
    """Return template and tokenizer of a run."""
    (target,) = resolve(studio.workspace, [run.name])
    encoder = encoder_of(target.base, target)
    return encoder.template, encoder.tokenizer


def _gap(studio, run, prompt: list[int], served: str, here: str) -> float:
    """Return by how much the model prefers its own next token to the served one, in nats, where two answers part."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = next(one for one in studio.workspace.models.iterdir() if one.name.endswith("tuned-1"))
    _, tokenizer = _encoder(studio, run)
    first, other = (tokenizer.encode(text, add_special_tokens=False) for text in (here, served))
    end = tokenizer.eos_token_id
    at = next((n for n, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), min(len(first), len(other)))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + first[:at]])).logits[0, -1]
    logs = torch.log_softmax(logits.double(), -1)
    one, two = (tokens[at] if at < len(tokens) else end for tokens in (first, other))
    return abs(float(logs[one] - logs[two]))


def test_adapters_are_switched_while_llama_cpp_runs(studio, call, run):
    other = random_run(studio.workspace, "other", 2, dtype="bfloat16")
    louder(other)
    job = call.export_gguf(STARTER.name, None, {"types": ["f16"], "name": "base-GGUF"})["job"]
    assert over(call, job, 600)["state"] == "finished"
    file = next(one["target"] for one in call.deploy_targets() if one["target"].startswith("base-GGUF/"))
    options = {"name": "adapted", "prompt_of": run.name, "adapters": {"first": run.name, "second": other.name}}
    call.deploy_start("llama.cpp", file, options)
    found = ready(call, "adapted")
    assert found["adapters"] == {"first": True, "second": False}

    def says() -> str:
        return answers(studio, [found["column"]], QUESTION)[0]

    first = says()
    assert call.deploy_adapter("adapted", "first", False) == {"on": []}
    base = says()
    assert call.deploy_adapter("adapted", "second", True) == {"on": ["second"]}
    second = says()
    assert len({first, base, second}) == 3
    call.deploy_adapter("adapted", "second", False)
    assert says() == base and listed(call, "adapted")["adapters"] == {"first": False, "second": False}
    call.deploy_adapter("adapted", "first", True)
    assert says() == first
    call.deploy_stop("adapted")
    wait_for(lambda: listed(call, "adapted")["state"] == "stopped")
    call.deploy_again("adapted", {})
    found = ready(call, "adapted")
    assert found["adapters"] == {"first": True, "second": False} and says() == first

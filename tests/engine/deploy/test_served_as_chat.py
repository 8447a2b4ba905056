"""A tuned and merged model behind llama.cpp in 16 bit answers as it does in Chat; adapters switched while it runs."""

import threading

import pytest
from conftest import STARTER, slow, wait_for
from endpoint_calls import by_name, over, running_app
from random_runs import random_run
from safetensors.torch import load_file, save_file
from test_llamafactory_api import conversations

from studio.inference.local.base_loading import encoder_of
from studio.inference.remote import engine_prompt
from studio.inference.remote.servers import ServedTarget
from studio.inference.sampling import Sampling
from studio.inference.target_names import resolve

pytestmark = slow

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=24, seed=1)
QUESTION = [{"role": "user", "content": "What is a fox?"}]
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


def answers(studio, names: list[str], messages: list[dict], system: str = "") -> list[str]:
    """Return what models say, which they must."""
    asked = dict.fromkeys(names, messages)
    *_, found = studio.chat.service.ask(asked, system, GREEDY, threading.Event())
    assert not any(one.fault for one in found), [one.fault for one in found]
    return [one.text for one in found]


def test_llama_cpp_in_16_bit_says_what_chat_says(studio, call, run):
    job = call.export_gguf("", run.name, {"types": ["f16"], "name": "tuned-GGUF"})["job"]
    status = over(call, job, 600)
    assert status["state"] == "finished", status["error"]
    merged = call.export_list()[0]["name"]
    (file,) = status["result"]["files"]
    call.deploy_start("llama.cpp", f"tuned-GGUF/{file}", {"name": "as-chat", "prompt_of": run.name})
    found = ready(call, "as-chat")
    column = found["column"]
    asked, same = conversations(), 0
    for messages, system in asked:
        served, here = answers(studio, [column, merged], messages, system)
        if served == here:
            same += 1
            continue
        prompt = _prompt(studio, run, messages, system)
        said = [{"role": "system", "content": system}, *messages] if system else messages
        theirs = engine_prompt.of_messages(ServedTarget("as-chat", found["address"], "as-chat"), said)
        if engine_prompt.compare(prompt, theirs.ids) is not None:  # llama.cpp cuts blanks otherwise
            print(f"other tokens of the same prompt: {served!r} {here!r}")
            continue
        gap = _gap(studio, run, prompt, served, here)
        print(f"differs by {gap:.4f} nats: {served!r} {here!r}")
        assert gap < NEAR, (messages, served, here)
    print(f"{same} of {len(asked)} the same, character for character")
    assert same >= len(asked) - 3
    call.deploy_stop("as-chat")


def _encoder(studio, run):
    (target,) = resolve(studio.workspace, [run.name])
    return encoder_of(target.base, target)


def _prompt(studio, run, messages: list[dict], system: str) -> list[int]:
    """Return the prompt of training."""
    encoder, turns = _encoder(studio, run), [*messages, {"role": "assistant", "content": ""}]
    pairs = encoder.template.encode_multiturn(encoder.tokenizer, turns, system or None, None)
    return [*(one for question, answer in pairs[:-1] for one in (*question, *answer)), *pairs[-1][0]]


def _gap(studio, run, prompt: list[int], served: str, here: str) -> float:
    """Return by how much the model prefers its own next token to the served one, in nats, where two answers part."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = next(one for one in studio.workspace.models.iterdir() if one.name.endswith("tuned-1"))
    encoder = _encoder(studio, run)
    first, other = (encoder.tokenizer.encode(text, add_special_tokens=False) for text in (here, served))
    end = encoder.tokenizer.eos_token_id
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
    wait_for(lambda: listed(call, "adapted")["state"] == "stopped", 15)
    call.deploy_again("adapted", {})
    found = ready(call, "adapted")
    assert found["adapters"] == {"first": True, "second": False} and says() == first

"""The commands and files of engines that are not on this machine: vLLM and LMDeploy; and what their logs say."""

import json
import shutil

import pytest
from conftest import SMALL, is_sentence, new_workspace
from endpoint_calls import by_name, refused

from studio import app
from studio.core.i18n import Words
from studio.deploy.engines.engine import fault_in, phase_in
from studio.deploy.engines.lmdeploy_server import Lmdeploy
from studio.deploy.engines.vllm import Vllm


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return new_workspace(tmp_path_factory.mktemp("commands") / "workspace")


@pytest.fixture(scope="module")
def call(workspace):
    return by_name(app.make(workspace))


def test_an_export_is_served_with_the_prompt_that_it_was_trained_with(call, workspace):
    exported = workspace.models / "exported"
    shutil.copytree(workspace.models / SMALL, exported, symlinks=True)
    settings = {"default_system": "Be kind."}
    made = {"name": "exported", "base": SMALL, "targets": ["a/b/c"], "template": "alpaca", "settings": settings}
    (exported / "export.json").write_text(json.dumps(made | {"created": 1_760_000_000}))
    (text,) = call.deploy_preview("llamafactory", "exported")["files"].values()
    assert json.loads(text)["template"] == "alpaca" and json.loads(text)["default_system"] == "Be kind."
    (text,) = call.deploy_preview("llamafactory", SMALL)["files"].values()
    assert json.loads(text)["template"] != "alpaca"


def test_vllm_gets_the_template_of_training_and_no_key_on_its_command_line(call):
    options = {"name": "v", "key": "sk-1", "context": 512, "precision": "float16", "tensor_parallel": 2, "port": 8123}
    made = call.deploy_preview("vllm", SMALL, options)
    command = made["command"]
    for part in (
        "--host 127.0.0.1 --port 8123",
        "--served-model-name v",
        "--max-model-len 512",
        "--dtype half",
        "--tensor-parallel-size 2",
        "VLLM_NO_USAGE_STATS=1",
        "HF_HUB_OFFLINE=1",
    ):
        assert part in command
    ((path, text),) = made["files"].items()
    assert f"--chat-template {path}" in command and "<|im_start|>" in text
    assert "sk-1" not in json.dumps(made) and "VLLM_API_KEY=" in command
    assert made["cluster"] == []


def test_several_machines_get_a_command_each(call):
    made = call.deploy_preview("vllm", SMALL, {"nodes": 2, "pipeline_parallel": 2})
    first, others = made["cluster"]
    assert "--head" in first and "--address=" in others
    assert "--distributed-executor-backend ray" in made["command"] and "--pipeline-parallel-size 2" in made["command"]
    assert is_sentence(made["problem"])
    assert refused(call.deploy_start, "vllm", SMALL, {"nodes": 2})


def test_lmdeploy_gets_its_template_as_a_file_and_its_key_by_the_environment(call):
    made = call.deploy_preview("lmdeploy", SMALL, {"name": "l", "key": "sk-1", "memory_share": 0.5, "port": 8124})
    command = made["command"]
    assert "--server-name 127.0.0.1 --server-port 8124" in command and "--cache-max-entry-count 0.5" in command
    assert "sk-1" not in json.dumps(made)
    path = next(path for path in made["files"] if path.endswith("lmdeploy.json"))
    assert f"--chat-template {path}" in command
    template = json.loads(made["files"][path])
    if (
        template["model_name"] == "hf"
    ):  # what its own fields cannot say stands in a tokenizer with the Jinja of training
        assert any(path.endswith("chat_template.jinja") for path in made["files"])
    assert refused(call.deploy_start, "lmdeploy", SMALL, {"precision": "float32"})


@pytest.mark.parametrize(
    "engine, log, key, remedy",
    [
        (Vllm, "OSError: [Errno 98] Address already in use", "deploy.fault_port", {"port": 0}),
        (
            Vllm,
            "ValueError: To serve at least one request with the model's max seq len (8192), (3.2 GiB KV cache is needed"
            ", which is larger than ... the estimated maximum model length is 2048. Try",
            "deploy.fault_context",
            {"context": 2048},
        ),
        (
            Vllm,
            "ValueError: Free memory on device (2.1/24 GiB) on startup is less than desired",
            "deploy.fault_share",
            {},
        ),
        (
            Vllm,
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
            "deploy.fault_bfloat16",
            {"precision": "float16"},
        ),
        (Vllm, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "deploy.fault_memory", {}),
        (Vllm, "ValueError: Model architectures ['FooLM'] are not supported for now.", "deploy.fault_architecture", {}),
        (Vllm, "(EngineCore pid=7) RuntimeError: something new", "deploy.fault_said", {}),
        (Lmdeploy, "RuntimeError: CUDA error: invalid device ordinal", "deploy.fault_device", {"devices": []}),
        (Lmdeploy, "AttributeError: 'list' object has no attribute 'keys'", "deploy.fault_old_tokenizer", {}),
    ],
)
def test_what_a_log_says_becomes_a_sentence_and_what_would_change_it(engine, log, key, remedy):
    told = fault_in(f"INFO starting\n{log}\nINFO ended\n", engine.faults)
    assert (told.sentence.key, told.remedy) == (key, remedy)
    assert all(is_sentence(told.sentence.tell(Words(language))) for language in ("en", "zh"))


def test_what_an_engine_is_doing_is_the_last_that_its_log_says():
    assert phase_in("", Vllm.phases) is None
    log = "INFO Starting to load model x\nINFO GPU KV cache size: 9 tokens\nINFO Capturing CUDA graphs"
    assert phase_in(log, Vllm.phases).key == "deploy.doing_graphs"

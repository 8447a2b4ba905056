"""The catalogue: LLaMA-Factory's own table, read without its heavy imports."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from studio.core.workspace import Workspace
from studio.models.hub import catalogue


def by_name(name: str) -> catalogue.Entry:
    return next(entry for entry in catalogue.entries() if entry.name == name)


def test_it_is_the_very_table_of_llamafactory():
    from llamafactory.extras.constants import DEFAULT_TEMPLATE, MULTIMODAL_SUPPORTED_MODELS, SUPPORTED_MODELS

    assert [entry.name for entry in catalogue.entries()] == list(SUPPORTED_MODELS)
    for entry in catalogue.entries():
        paths = {str(source): path for source, path in SUPPORTED_MODELS[entry.name].items()}
        assert (entry.huggingface, entry.modelscope) == (paths.get("hf"), paths.get("ms"))
        assert (entry.template or "") == DEFAULT_TEMPLATE.get(entry.name, "")
        assert entry.multimodal == (entry.name in MULTIMODAL_SUPPORTED_MODELS)


def test_it_is_read_without_the_heavy_libraries():
    code = (
        "import sys; from studio.models.hub.catalogue import entries; "
        "print(len(entries()), 'torch' in sys.modules, 'peft'"
        " in sys.modules)"
    )
    count, *heavy = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(count) > 400 and heavy == ["False", "False"]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("Qwen2.5-0.5B-Instruct", 5e8),
        ("SmolLM2-135M-Instruct", 135e6),
        ("BLOOM-7B1", 7.1e9),
        ("Qwen3-30B-A3B-Thinking", 30e9),
        ("Mixtral-8x7B-v0.1", 46.7e9),
        ("Mixtral-8x22B-v0.1", 141e9),
        ("Qwen2.5-14B-Instruct-1M", 14e9),
        ("Phi-3-14B-128k-Instruct", 14e9),
        ("Hunyuan-A13B-Instruct", None),
        ("GLM-4.5-Base", None),
        ("Llama-4-Scout-17B-16E-Instruct", None),
        ("PaliGemma2-10B-pt-896", 10e9),
    ],
)
def test_parameters_are_read_from_the_name(name, params):
    assert catalogue.params_in(name) == (params and pytest.approx(params, rel=0.05))


def test_base_and_chat_models_and_their_size():
    chat, base, small = by_name("Qwen2.5-7B-Instruct"), by_name("Qwen2.5-7B"), by_name("Qwen2.5-7B-Instruct-GPTQ-Int4")
    assert (chat.chat, chat.template, base.chat, base.template) == (True, "qwen", False, None)
    assert chat.bytes == 14e9 and small.bytes < chat.bytes / 2
    assert chat.address("modelscope") == "Qwen/Qwen2.5-7B-Instruct" and by_name("Qwen2.5-VL-7B-Instruct").multimodal


def test_search_by_words_in_any_order_the_name_first():
    names = [entry.name for entry in catalogue.search("instruct QWEN2.5 0.5b")]
    assert "Qwen2.5-0.5B-Instruct" in names and all("0.5B" in name for name in names)
    assert catalogue.search("HuggingFaceH4 zephyr")[0].name == "Zephyr-7B-Alpha-Chat"
    assert (
        all(not entry.chat for entry in catalogue.search("qwen", chat=False))
        and catalogue.search("no such model") == []
    )
    for address in (
        "https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct",
        "https://www.modelscope.cn/models/Qwen/Qwen2.5-0.5B-Instruct/summary?tab=files",
    ):
        assert catalogue.search(address)[0].name == "Qwen2.5-0.5B-Instruct", "a pasted address finds its model"
    assert all(entry.multimodal for entry in catalogue.search(multimodal=True)) and len(catalogue.search()) == 100


def test_what_is_on_disk_is_marked(tmp_path):
    workspace = Workspace(tmp_path)
    for name in ("SmolLM2-135M-Instruct", "mine", "Qwen2.5-0.5B.broken"):
        (workspace.models / name).mkdir(parents=True)
        (workspace.models / name / "config.json").write_text("{}")
    (workspace.models / "mine" / catalogue.SOURCE_FILE).write_text(json.dumps({"repo": "Qwen/Qwen2.5-0.5B-Instruct"}))
    (workspace.models / "Qwen2.5-0.5B.broken" / catalogue.SOURCE_FILE).write_text("[")
    assert catalogue.on_disk(workspace) == {
        "SmolLM2-135M-Instruct": "SmolLM2-135M-Instruct",
        "Qwen2.5-0.5B-Instruct": "mine",
    }

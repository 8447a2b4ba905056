"""Ollama under the studio's care, against a server that speaks its documented API; its models by the endpoints."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import ollama_program
import psutil
import pytest
import split_gguf
from conftest import SMALL, new_workspace, wait_for
from endpoint_calls import by_name, over, refused

from studio import app
from studio.core.i18n import LANGUAGES, Words
from studio.core.storage import atomic
from studio.deploy import served_source
from studio.deploy.engines import ollama_server
from studio.deploy.ollama import joined_parts
from studio.deploy.supervision import ports
from studio.models.gguf import gguf_parts


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ollama")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{ollama_program.on_the_path(folder / 'bin')}{os.pathsep}{os.environ['PATH']}")
        made = app.make(new_workspace(folder / "workspace"))
        write_gguf(made.workspace.models / SMALL / "small.gguf")
        yield made
        made.deploy.interrupt()


def write_gguf(file) -> Path:
    """Write a GGUF file that says what Ollama's template depends on, with weights that mean nothing."""
    import numpy
    from gguf import GGUFWriter

    writer = GGUFWriter(file, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_block_count(2)
    for number in range(4):
        writer.add_tensor(f"blk.{number}.weight", numpy.full((8, 8), number, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture(scope="module")
def served(studio, call):
    """An Ollama that is ready."""
    call.deploy_start("ollama", f"{SMALL}/small.gguf", {"name": "little", "context": 512})
    found = wait_for(lambda: (one := call.deploy_list()[0])["state"] != "starting" and one)
    assert found["state"] == "ready", (found, call.deploy_log("little"))
    return found


def names(call) -> list[str]:
    return [one["name"] for one in call.deploy_ollama_list("little")]


def test_the_model_is_made_with_the_template_and_the_stops_of_training(studio, call, served):
    assert names(call) == ["little:latest"]
    shown = call.deploy_ollama_show("little", "little")
    assert "<|im_start|>" in shown["template"] and "{{" in shown["template"]
    assert "<|im_end|>" in shown["parameters"] and "num_ctx 512" in shown["parameters"]
    assert served["column"].endswith("/little")
    wait_for(lambda: [one.url for one in studio.chat.service.servers.list()] == [served["address"]])
    state = studio.deploy.deployments.find("little").state()
    assert state.members[0].process().environ()["OLLAMA_NO_CLOUD"] == "1"


@pytest.mark.skipif(ports.fault("::1", 0) is not None, reason="this machine has no IPv6")
def test_it_is_served_at_an_address_of_ipv6(call, served):
    preview = call.deploy_preview("ollama", f"{SMALL}/small.gguf", {"host": "::1", "port": 8123})
    assert preview["address"] == "http://[::1]:8123/v1" and "OLLAMA_HOST='[::1]:8123'" in preview["command"]
    call.deploy_start("ollama", f"{SMALL}/small.gguf", {"name": "six", "host": "::1"})
    found = wait_for(lambda: (one := call.deploy_list()[0])["state"] != "starting" and one)
    assert (found["name"], found["state"]) == ("six", "ready"), (found, call.deploy_log("six"))
    assert found["address"].startswith("http://[::1]:")
    assert [one["name"] for one in call.deploy_ollama_list("six")] == ["little:latest", "six:latest"]
    call.deploy_ollama_delete("six", "six")
    call.deploy_stop("six")


def test_models_are_copied_fetched_and_deleted(studio, call, served):
    assert call.deploy_ollama_copy("little", "little", "second")["template"]
    assert over(call, call.deploy_ollama_pull("little", "qwen3:0.6b")["job"])["state"] == "finished"
    assert set(names(call)) == {"little:latest", "second:latest", "qwen3:0.6b"}
    for language in LANGUAGES:
        drawn = str(studio.live._draws["deployment-models"](Words(language), "little"))
        assert "qwen3:0.6b" in drawn and "second:latest" in drawn
    assert {one["name"] for one in call.deploy_ollama_delete("little", "second")} == {"little:latest", "qwen3:0.6b"}
    failed = over(call, call.deploy_ollama_pull("little", "gone")["job"])
    assert failed["state"] == "failed" and "does not exist" in json.dumps(failed)
    assert "not found" in refused(call.deploy_ollama_delete, "little", "second")


@pytest.fixture(scope="module")
def parts(studio):
    """The parts of a split file, as they are listed: by the first alone."""
    folder = studio.workspace.models / "split"
    folder.mkdir()
    whole = write_gguf(folder / "whole")
    found = split_gguf.split(whole, folder, 3)
    assert [one for one in served_source.gguf_files(studio.workspace) if "split" in one] == [f"split/{found[0].name}"]
    return found


def deployed(call, name: str, file: object) -> dict:
    """Return what became of an Ollama that was to serve a file."""
    call.deploy_start("ollama", str(file), {"name": name})
    return wait_for(
        lambda: next((one for one in call.deploy_list() if one["name"] == name and one["state"] != "starting"), None)
    )


@pytest.mark.parametrize("part", [0, 2])
def test_a_split_file_is_handed_over_in_one(studio, call, parts, part):
    """Ollama takes one file, and had been given the first part of three."""
    from gguf import GGUFReader

    found = deployed(call, f"whole-{part}", parts[part])
    assert found["state"] == "ready", (found, call.deploy_log(f"whole-{part}"))
    store = studio.deploy.deployments.folder / ollama_server.STORE
    made = json.loads((store / "models.json").read_text())[f"whole-{part}:latest"]
    taken, whole = GGUFReader(store / made["digest"]), GGUFReader(parts[0].parent / "whole")
    assert {one.name: one.data.tobytes() for one in taken.tensors} == {
        one.name: one.data.tobytes() for one in whole.tensors
    }
    assert not [name for name in taken.fields if name.startswith("split.")]
    assert list((studio.workspace.root / atomic.BEING_WRITTEN).rglob("*.gguf")) == []
    call.deploy_stop(f"whole-{part}")


def test_a_split_file_is_put_together_once_and_again_when_a_part_changed_or_the_store_has_it_no_more(
    studio, call, parts, monkeypatch
):
    joined, join = [], gguf_parts.join_apart

    def counted(*given) -> None:
        joined.append(given)
        join(*given)

    monkeypatch.setattr(gguf_parts, "join_apart", counted)
    store = studio.deploy.deployments.folder / ollama_server.STORE

    def starts(name: str) -> int:
        """Start one, and return how often anything was put together until it was ready."""
        found = deployed(call, name, parts[0])
        assert found["state"] == "ready", (found, call.deploy_log(name))
        call.deploy_stop(name)
        wait_for(lambda: next(one for one in call.deploy_list() if one["name"] == name)["state"] == "stopped")
        return len(joined)

    os.utime(parts[1], ns=(1, 10**18))
    assert [starts("once"), starts("once"), starts("twice")] == [1, 1, 1]
    os.utime(parts[1], ns=(1, 2 * 10**18))
    assert [starts("once"), starts("once")] == [2, 2]
    (store / json.loads((store / "models.json").read_text())["once:latest"]["digest"]).unlink()
    assert starts("once") == 3
    for kept in (studio.deploy.deployments.folder / joined_parts.FOLDER).iterdir():
        kept.write_text("[]")
    assert starts("twice") == 4
    assert list(studio.workspace.root.joinpath("saves").rglob("*.gguf")) == []


def test_stop_ends_the_joining_at_once(studio, call, parts):
    os.utime(parts[1], ns=(1, 3 * 10**18))
    call.deploy_start("ollama", str(parts[0]), {"name": "joining"})

    def joins() -> psutil.Process | None:
        for one in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if "studio.models.gguf.gguf_parts" in one.cmdline():
                    return one
        return None

    process = wait_for(joins)
    process.suspend()  # as one that has gigabytes to write
    call.deploy_stop("joining")
    wait_for(lambda: next(one for one in call.deploy_list() if one["name"] == "joining")["state"] == "stopped")
    assert not process.is_running() and "deploy:joining" not in [one.who for one in studio.accelerator.holders()]
    assert list((studio.workspace.root / atomic.BEING_WRITTEN).rglob("*.gguf")) == []


def test_a_split_file_is_not_put_together_without_room_or_without_a_part(studio, call, parts, monkeypatch):
    os.utime(parts[1], ns=(1, 4 * 10**18))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 1000, 1000))
        found = deployed(call, "full", parts[0])
    assert found["state"] == "failed" and "3 parts" in found["error"] and "make room" in found["error"], found
    away = parts[1].rename(parts[1].with_suffix(".away"))
    told = refused(call.deploy_start, "ollama", str(parts[0]), {"name": "lacks"})
    assert "part 2 is not beside it" in told and "choose any of them" in told
    away.rename(parts[1])


def test_a_split_file_counts_whole_and_begins_with_its_first_part(studio, parts):
    for one in (parts[2], f"split/{parts[0].name}"):
        source = served_source.find(studio.workspace, str(one))
        assert source.gguf == parts[0] and source.bytes == sum(part.stat().st_size for part in parts)


def test_what_it_cannot_is_refused(call):
    file = f"{SMALL}/small.gguf"
    assert "key" in refused(call.deploy_start, "ollama", file, {"key": "sk-1"})
    assert "key" in refused(call.deploy_start, "ollama", file, {"host": "0.0.0.0"})
    assert "GGUF" in refused(call.deploy_start, "ollama", SMALL)


def test_where_it_is_not_installed_its_line_is_shown(call, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert shutil.which("ollama") is None
    why = next(one["why"] for one in call.deploy_engines() if one["name"] == "ollama")
    assert "ollama.com/install.sh" in why

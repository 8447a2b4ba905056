"""Real readings of this machine, and the names processes are called by."""

import json
import os
import subprocess
import sys

import nvml_stand_in
import pytest

from studio.core.i18n import Words
from studio.monitor.page.endpoints import monitor_result
from studio.monitor.readings import cpu_times, short_command, snapshot_now


def burn():
    return sum(number * number for number in range(3_000_000))


def test_host_readings_are_sane(tmp_path):
    before = cpu_times()
    burn()
    host = snapshot_now(tmp_path, before).host
    assert host.cores == os.cpu_count()
    assert 0 < host.cpu_process <= 100
    assert 0 < host.cpu <= 100
    assert 0 < host.memory_process < host.memory_total
    assert host.memory_used + host.memory_available == host.memory_total
    assert 0 < host.disk_free <= host.disk_total


def test_without_an_earlier_look_the_cpu_is_not_known(tmp_path):
    host = snapshot_now(tmp_path).host
    assert host.cpu is None and host.cpu_process is None and host.memory_used > 0


def test_a_workspace_that_is_gone_has_no_disk(tmp_path):
    host = snapshot_now(tmp_path / "gone").host
    assert host.disk_free is None and host.disk_total is None


def test_gpus_are_read_or_their_absence_is_explained_in_both_languages(tmp_path):
    snapshot = snapshot_now(tmp_path)
    if snapshot.no_gpu is None:
        for gpu in snapshot.gpus:
            assert gpu.name and 0 < gpu.memory_total and 0 <= gpu.memory_used <= gpu.memory_total
            assert gpu.utilisation is None or 0 <= gpu.utilisation <= 100
            assert gpu.temperature is None or 0 < gpu.temperature < 130
            assert gpu.power is None or 0 < gpu.power < 3000
    else:
        assert snapshot.gpus == ()
        english, chinese = (Words(language).tell(snapshot.no_gpu) for language in ("en", "zh"))
        assert "GPU" in english and "GPU" in chinese and english != chinese


def test_looking_for_a_driver_prints_nothing(tmp_path):
    code = "import sys, pathlib; from studio.monitor import readings; readings.snapshot_now(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_reading_is_json(tmp_path):
    found = json.loads(monitor_result(snapshot_now(tmp_path), (), Words("en")).model_dump_json())
    assert {"gpus", "processes", "cpu", "memory", "disk", "history"} <= set(found)
    assert found["memory"]["total_bytes"] > 0
    assert (found["no_gpu"] is None) == bool(found["gpus"])


@pytest.mark.parametrize(
    "arguments, name",
    [
        ([], None),
        ([""], None),
        (["/usr/bin/python3.11", "-X", "dev", "/home/a/train.py", "--token", "secret"], "python train.py"),
        (
            ["python", "-u", "-m", "vllm.entrypoints.openai.api_server", "--api-key", "secret"],
            "python -m vllm.entrypoints.openai.api_server",
        ),
        (["python", "-c", "key = 'secret'"], "python"),
        (["python"], "python"),
        (["/usr/lib/xorg/Xorg", ":0", "-auth", "secret"], "Xorg"),
        (["VLLM::EngineCore"], "VLLM::EngineCore"),
    ],
)
def test_a_process_is_named_without_its_arguments(arguments, name):
    assert short_command(arguments) == name


def readings_of(folder, **more):
    """Return what a process reads of the machine that the stand-in for NVML shows, as the endpoint gives it."""
    code = (
        "import sys, pathlib; from studio.monitor.readings import snapshot_now;"
        "from studio.core.i18n import Words; from studio.monitor.page.endpoints import monitor_result;"
        "print(monitor_result(snapshot_now(pathlib.Path(sys.argv[1])), (), Words('en')).model_dump_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env=nvml_stand_in.environment(folder, **more),
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_a_card_at_work_is_read_to_the_last_figure(tmp_path):
    found = readings_of(tmp_path, STAND_IN_PID=str(os.getpid()))
    card = found["gpus"][0]
    assert found["no_gpu"] is None and card["name"] == "NVIDIA GeForce RTX 4090"
    assert (card["utilisation_percent"], card["temperature_c"], card["fan_percent"]) == (87, 71, 63)
    assert (card["power_w"], card["power_limit_w"]) == (401.5, 450.0)
    assert (card["memory_used_bytes"] / 2**30, card["memory_total_bytes"] / 2**30) == (23, 24)
    first, hidden = [process for process in found["processes"] if process["gpu"] == 0]
    assert first["pid"] == os.getpid() and first["command"].startswith("python") and first["kind"] == "C"
    assert hidden["command"] is None and hidden["kind"] == "G", "it ended, or is outside this container"


def test_a_divided_card_is_its_slices(tmp_path):
    slices = [gpu for gpu in readings_of(tmp_path)["gpus"] if gpu["index"] == 1]
    assert [(one["slice"], one["memory_total_bytes"] // 2**30) for one in slices] == [(0, 40), (1, 10)]
    assert all(one["utilisation_percent"] is None and not one["lost"] for one in slices)


@pytest.mark.parametrize("since", [{}, {"STAND_IN_LOST_LATER": "1"}])
def test_a_card_that_fell_off_the_bus_is_lost_and_says_nothing_else(tmp_path, since):
    card = readings_of(tmp_path, **since)["gpus"][-1]
    assert card.pop("lost") and card.pop("index") == 2 and not any(card.values())


def test_free_memory_of_a_card_is_told_by_the_driver_alone(tmp_path):
    """By CUDA's numbering of the cards: here the first that it sees is the second of the machine, a divided one."""
    code = (
        "from types import SimpleNamespace as Part; from studio.core.device_lease import _free_by_driver;"
        "print([_free_by_driver(Part(cuda=Part(_get_nvml_device_index=lambda _: index))) for index in range(3)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        env=nvml_stand_in.environment(tmp_path),
    )
    assert done.stdout == f"[{2**30}, {67 * 2**30}, None]\n", done.stderr

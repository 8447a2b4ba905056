"""The doctor on machines that are half in order: each thing is told, whatever is wrong with another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, is_sentence

from studio import doctor
from studio.core.i18n import Words
from studio.monitor.machine_check import MachineCheck

CARD = "580.65.06, NVIDIA H100 80GB HBM3, 81559 MiB"
CORRUPTED = "WARNING: infoROM is corrupted at gpu 0000:3B:00.0"


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder of programs that come before those of the machine."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def add(folder: Path, name: str, *lines: str) -> None:
    """Put a program into a folder that prints these lines, whatever it is asked."""
    said = folder / f"{name}.txt"
    said.write_bytes(b"\n".join(line.encode("utf-8", "surrogateescape") for line in lines))
    (folder / name).write_text(f'#!/bin/sh\ncat "{said}"\n')
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("lines", "state", "key", "facts"),
    [
        ([CARD], doctor.GOOD, "driver", {"gpus": "NVIDIA H100 80GB HBM3, 81559 MiB"}),
        ([CARD, CORRUPTED], doctor.GOOD, "driver", {"gpus": "NVIDIA H100 80GB HBM3, 81559 MiB"}),
        (["470.1, A, 1 MiB", "470.1, B, 2 MiB"], doctor.MISSING, "old_driver", {"gpus": "A, 1 MiB; B, 2 MiB"}),
        (["No devices were found"], doctor.OPTIONAL, "not_looked", {}),
    ],
)
def test_the_driver_is_read_from_among_its_warnings(programs, lines, state, key, facts):
    add(programs, "nvidia-smi", *lines)
    found = doctor.check_driver()
    assert (found.state, found.key) == (state, key) and found.facts.items() >= facts.items()
    assert all(lines[0][:5] in found.line(Words(language)) for language in ("en", "zh"))


@pytest.mark.parametrize(
    "lines",
    [
        ["ollama version is 0.30.1"],
        ["Warning: could not connect to a running Ollama instance", "Warning: client version is 0.30.1"],
        ["ollama version is 0.30.1", "Warning: client version is 0.31.0"],
        ["0.30.1"],
    ],
)
def test_the_version_of_ollama_is_a_version(programs, lines):
    add(programs, "ollama", *lines)
    assert doctor.check_ollama().facts == {"version": "0.30.1"}


def test_a_program_that_writes_no_utf8_is_heard(programs):
    add(programs, "ollama", "\udcb0\udce6 version is 0.30.1")
    assert doctor.check_ollama().facts == {"version": "0.30.1"}


def test_a_proxy_that_is_no_address_is_told(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:port")
    found = doctor.check_hub("huggingface.co")
    assert found.key == "no_hub" and "nonnumeric port" in found.line(Words("zh"))


def test_torch_that_cannot_be_loaded_takes_no_other_answer_with_it(tmp_path, programs):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text('raise OSError("libcudnn.so.9: cannot open shared object file")\n')
    add(programs, "nvidia-smi", CARD)
    done = subprocess.run(
        [sys.executable, "-m", "studio.doctor", "127.0.0.1", "0", str(tmp_path), "en"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "https_proxy": "http://127.0.0.1:9"},
    )
    lines = {line[10:24].strip(): line for line in done.stdout.splitlines()[:-1]}
    assert done.stderr == "" and len(lines) == 14 and done.returncode == 1
    for what in ("torch", "bf16", "bitsandbytes"):
        assert lines[what].startswith("missing") and "libcudnn.so.9" in lines[what]
    assert lines["driver"].startswith("good") and lines["port"].startswith("good")


def test_what_cannot_be_looked_at_is_told_in_both_languages():
    def fails():
        raise LookupError("no such thing")

    for state in (doctor.MISSING, doctor.OPTIONAL):
        found = doctor.looked("torch", state, fails)
        assert found.state == state
        for language in ("en", "zh"):
            told = Words(language)(f"launch.doctor_{found.key}", **found.facts)
            assert "no such thing" in told and is_sentence(told)


def test_a_look_for_which_no_process_can_be_had_ends(tmp_path, monkeypatch):
    check = MachineCheck(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    check.look()
    check._thread.join()
    assert check.report().has_failed and check.report().looked

"""The studio installed as a package: what is in the wheel, and the window that `finetune-studio` starts outside of a
clone.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, free_port

# What the wheel is made of; a clone holds gigabytes beside it.
LOCKS = ("requirements-ppo.lock", "requirements-uv.lock", "requirements-open-webui.lock")
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", *LOCKS, "assets", "data", "studio")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a clone that is in use: its person has added a dataset, and built it before, with other modules."""
    clone = tmp_path_factory.mktemp("wheel") / "clone"
    clone.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    (clone / "data" / "mine.json").write_text('[{"instruction": "a", "output": "b"}]')
    registry = clone / "data" / "dataset_info.json"
    registry.write_text(json.dumps(json.loads(registry.read_text()) | {"mine": {"file_name": "mine.json"}}))
    stale = clone / "build" / "lib" / "studio" / "gone.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", clone.parent, clone], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(clone.parent.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel):
    """A folder outside of the clone into which the wheel is installed, beside the libraries of this Python."""
    folder = wheel.parent / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def elsewhere(site, tmp_path, monkeypatch):
    """Make the installed studio the one that is found, for a person with an empty home, in another folder."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shipped(folder: str) -> set[str]:
    """Return the files below a folder of the clone that git keeps."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, check=True).stdout
    return {name for name in listed.decode().split("\0") if name and (ROOT / name).exists()}


def test_all_that_is_read_at_run_time_is_in_the_wheel_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
        registry = json.loads(file.read("studio/packaged/data/dataset_info.json"))
    beside = shipped("assets") | shipped("data") | set(LOCKS)
    assert shipped("studio") | {f"studio/packaged/{name}" for name in beside} == held
    assert registry == json.loads(
        subprocess.run(["git", "show", "HEAD:data/dataset_info.json"], cwd=ROOT, capture_output=True, check=True).stdout
    )


def test_an_installed_studio_starts_with_a_workspace_in_the_home_of_its_person(elsewhere, site):
    port = free_port()
    with (elsewhere / "log").open("w+") as log:
        command = [site / "bin" / "finetune-studio", "--port", str(port), "--language", "en"]
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            # Whoever follows the address as soon as it is told finds the page.
            assert f"127.0.0.1:{port}" in studio.stdout.readline(), (elsewhere / "log").read_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=240) as answer:
                page = answer.read().decode()
            asked = subprocess.run(
                [sys.executable, "-c", ASK, f"http://127.0.0.1:{port}/"], capture_output=True, text=True
            )
        finally:
            studio.terminate()
            assert studio.wait(timeout=240) == 0, (elsewhere / "log").read_text()
    assert (ROOT / "assets" / "studio.css").read_text(encoding="utf-8")[:200] in page
    models, datasets = json.loads(asked.stdout or "null") or pytest.fail(asked.stderr)
    home = elsewhere / "finetune-studio"
    assert models == [] and {Path(one["folder"]) for one in datasets} == {home / "data"}
    assert {one["name"] for one in datasets if one["rows"] and not one["problem"]} == {one["name"] for one in datasets}
    assert set(os.listdir(home)) >= {"data", "models", "saves"} and not list(site.glob("engines"))


ASK = """
import json, sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
print(json.dumps([client.predict(api_name="/models_list"), client.predict(api_name="/datasets_list")]))
"""


def test_another_python_gets_the_studio_without_the_libraries_beside_it(elsewhere, site):
    code = (
        "from studio.core import locations as at; print(at.import_path(), at.environments(), at.lock('ppo').is_file())"
    )
    for _ in range(2):  # made, then found
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    folder, environments, locked = told
    assert os.listdir(folder) == ["studio"] and locked == "True"
    assert all(Path(place).is_relative_to(elsewhere / ".local" / "share") for place in (folder, environments))
    command = [sys.executable, "-S", "-c", "import studio; print(studio.__file__)"]
    alone = subprocess.run(command, env={"PYTHONPATH": folder}, capture_output=True, text=True, check=True)
    assert Path(alone.stdout.strip()).resolve() == site / "studio" / "__init__.py"

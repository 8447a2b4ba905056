"""A demo: real work in a folder that goes, and nothing that deletes, downloads or runs code of others."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import slow

from studio import api, app
from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.demo import fresh_copy as demo
from studio.demo import withheld

# A new endpoint with such a name is no part of a demo. "notes of a run" and the like are the person's own words.
HARMFUL = re.compile(
    r"delete|remove|empty|download$|fetch|trust|import|add_folder|link|push|forget|environment|webhook|install|prepare|bring_in"
)
HARMLESS = {"train_queue_remove"}  # a run of this demo that has not begun


@pytest.fixture
def endpoints(tmp_path):
    studio = app.make(Workspace(tmp_path))
    return {one.__name__: one for one in api.all_endpoints(studio, Words("en"))}


def test_what_harms_is_withheld(endpoints):
    assert withheld.ENDPOINTS <= set(endpoints)
    harmful = {name for name in endpoints if HARMFUL.search(name)} - HARMLESS
    assert harmful - api.LOOKING <= withheld.ENDPOINTS


def test_what_is_withheld_is_refused_in_a_demo_alone(endpoints, monkeypatch):
    refused = api.for_owner(endpoints["models_delete"])
    with pytest.raises(Problem) as other:
        refused("nobody")
    assert other.value.key != "demo.withheld" and withheld.styles() == ""
    monkeypatch.setitem(withheld._state, "on", True)
    for name in withheld.ENDPOINTS:
        with pytest.raises(Problem) as told:
            api.for_owner(endpoints[name])()
        assert told.value.key == "demo.withheld" and name in withheld.styles()


def test_what_is_withheld_is_not_begun_by_a_form_either(tmp_path, monkeypatch):
    monkeypatch.setitem(withheld._state, "on", True)
    studio = app.make(Workspace(tmp_path))
    assert withheld.JOBS - {"nodes", "convert"} <= studio.jobs._offers.keys()
    for begin in (
        *(partial(studio.jobs.start, kind, "jobs.fault", {}) for kind in withheld.JOBS),
        partial(studio.trainer.nodes, {}, {}, 2, ""),
    ):
        with pytest.raises(Problem) as told:
            begin()
        assert told.value.key == "demo.withheld"
    assert studio.jobs.all() == []


def test_a_copy_names_its_own_folder_and_what_a_killed_demo_left_goes(tmp_path, monkeypatch):
    worked = tmp_path / "engines" / "demo" / "0-en"
    (worked / "saves").mkdir(parents=True)
    (worked / "saves" / "recipe.yaml").write_text("output_dir: /made/here/saves/a\n")
    (worked / "saves" / "model.safetensors").write_bytes(b"/made/here")
    (worked / demo.FINISHED).write_text("/made/here")
    monkeypatch.setattr(demo.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(demo.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(demo.locations, "environments", lambda: tmp_path / "engines")
    monkeypatch.setattr(demo.studio, "__version__", "0")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (left := tmp_path / f"{demo.PREFIX}{gone.pid}-x").mkdir()
    folder = demo.make(tmp_path / "models", Words("en"))
    assert not left.exists()
    assert (folder / "saves" / "recipe.yaml").read_text() == f"output_dir: {folder}/saves/a\n"
    assert (folder / "saves" / "model.safetensors").read_bytes() == b"/made/here"
    shutil.rmtree(folder)
    assert (worked / "saves" / "model.safetensors").exists()


@slow
def test_a_demo_has_work_in_it_and_leaves_nothing(tmp_path):
    log = tmp_path / "log"
    with open(log, "w") as output:
        command = [sys.executable, "-m", "studio", "--demo"]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"TMPDIR": str(tmp_path)})
    while "The studio is at" not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.5)
    (folder,) = tmp_path.glob(f"{demo.PREFIX}*")
    made = Workspace(Path(folder))
    assert len(list(made.saves.glob("*/lora/*/recipe.yaml"))) == 2
    assert list((made.saves / ".evaluations").iterdir()) and len(list(made.models.iterdir())) == 2
    process.send_signal(signal.SIGINT)
    process.wait(240)
    assert not list(tmp_path.glob(f"{demo.PREFIX}*"))

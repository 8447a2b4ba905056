"""The login for a hub stays at home where a library asks a hub by itself: in a run, in its preview, in a child."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SMALL_MODEL
from hub import Hub, tiny_model
from huggingface_hub import constants
from modelscope_hub.config import HubConfig

from studio.models.hub import addresses, logins
from studio.models.hub.hubs import open_hub

TOKEN = "hf_secret-of-a-person"
NAMED = ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN")
ROWS = b'[{"instruction": "Who are you?", "input": "", "output": "I."}]'
# Each run fails at its rows or its model, or is over after one step: what counts is what was asked until then.
TRAIN = """
import os, sys
from pathlib import Path
from studio.train.loop.run_training import run_training
from studio.train.runs import Run

for folder in sys.argv[1:]:
    os.environ["USE_MODELSCOPE_HUB"] = str(int("modelscope" in folder))
    run_training(Run("/".join(Path(folder).parts[-3:]), Path(folder)))
"""


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with a model and rows, on a machine with a login for both hubs."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", raising=False)
    for name in NAMED:
        monkeypatch.delenv(name, raising=False)
    HubConfig(config_dir=tmp_path / "home" / ".modelscope").save_token(TOKEN)
    with Hub({"maker/tiny": tiny_model()}, {"maker/rows": {"train.json": ROWS}}) as running:
        yield running


def run_folder(folder: Path, name: str, model: str, dataset: str) -> str:
    """Return the folder of a run with a recipe of one step."""
    made = folder / "saves" / "m" / "lora" / name
    made.mkdir(parents=True)
    recipe = {
        "model_name_or_path": model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": dataset,
        "dataset_dir": str(folder / "data"),
        "template": "default",
        "max_steps": 1,
        "use_cpu": True,
    }
    (made / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (made / "run.json").write_text("{}")
    return str(made)


def test_a_run_that_fetches_its_data_or_model_sends_no_login_to_a_mirror(hub, monkeypatch, tmp_path):
    entries = {"huggingface": {"hf_hub_url": "maker/rows"}, "modelscope": {"ms_hub_url": "maker/rows"}}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(entries))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
    folders = [run_folder(tmp_path, f"{name}-data", str(SMALL_MODEL[0]), name) for name in entries]
    folders += [run_folder(tmp_path, f"{name}-model", "maker/tiny", name) for name in entries]
    done = subprocess.run([sys.executable, "-c", TRAIN, *folders], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for asked in ("/datasets/maker/rows/", "/maker/tiny/", "/api/v1/datasets/maker/rows", "/api/v1/models/maker/tiny/"):
        assert any(path.startswith(asked) for _, path, _ in hub.requests), asked
    assert TOKEN not in str(hub.requests)


def test_what_a_studio_starts_sends_no_login_to_a_mirror(hub, monkeypatch):
    """Whatever asks a hub in the studio, or in a process that inherits its environment."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    ask = "from huggingface_hub import model_info; model_info('maker/tiny')"
    prepare = f"import subprocess, sys; from studio import __main__; __main__.prepare_process(); {ask}; "
    child = f'subprocess.run([sys.executable, "-c", {ask!r}], check=True)'
    subprocess.run([sys.executable, "-c", prepare + child], cwd=ROOT, check=True, timeout=240)
    assert len(hub.gets("/api/models/maker/tiny")) == 2 and TOKEN not in str(hub.requests)


@pytest.mark.parametrize("named", [None, *addresses.OWN_HOSTS["modelscope"], "https://www.modelscope.cn"])
def test_the_hubs_own_hosts_get_the_login(hub, monkeypatch, named):
    if named:
        monkeypatch.setenv("MODELSCOPE_DOMAIN", named)
    with logins.kept():
        assert HubConfig().token == TOKEN and "HF_HUB_DISABLE_IMPLICIT_TOKEN" not in os.environ


@pytest.mark.parametrize("variable", ["MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_modelscopes_login_is_back_when_a_run_is_over(hub, monkeypatch, variable, token):
    monkeypatch.setenv(variable, hub.url.removeprefix("http://") if variable.endswith("DOMAIN") else hub.url)
    if token:
        monkeypatch.setenv("MODELSCOPE_API_TOKEN", token)
    with pytest.raises(RuntimeError), logins.kept():
        assert not HubConfig().token and not HubConfig().load_token()
        raise RuntimeError
    assert HubConfig().token == TOKEN


def test_the_hubs_own_address_gets_the_login_where_it_was_typed_beside_a_mirror(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    tokens = [
        open_hub("huggingface", "maker/tiny", None, endpoint, typed).token
        for endpoint, typed in ((None, None), (hub.url, None), ("https://huggingface.co", None), (None, "typed"))
    ]
    assert tokens == [False, False, TOKEN, "typed"]

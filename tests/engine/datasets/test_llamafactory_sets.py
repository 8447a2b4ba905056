"""Every set of LLaMA-Factory's own `data/`, where a checkout of it is at hand, comes in whole: by its own entry, and
recognised as a stranger's file.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import STARTER

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.encoding.loading.judge import judge
from studio.datasets.files import reading
from studio.datasets.page.add_data.registering import Registration, register
from studio.datasets.page.schemas import RegisterOptions
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema.observed_schema import MEDIA

SOURCE = os.environ.get("STUDIO_LLAMAFACTORY_SOURCE", "")
DATA = Path(SOURCE, "data")
INFO = json.loads((DATA / "dataset_info.json").read_text(encoding="utf-8")) if SOURCE else {}
ENTRIES = {name: entry for name, entry in INFO.items() if DATA.joinpath(entry.get("file_name", "/-")).is_file()}
FILES = sorted(path.name for path in DATA.glob("*.json*") if path.name != "dataset_info.json") if SOURCE else []
FILES += sorted(path.name for path in DATA.glob("*.txt")) if SOURCE else []

pytestmark = pytest.mark.skipif(not SOURCE, reason="STUDIO_LLAMAFACTORY_SOURCE names no checkout")


@pytest.fixture
def collection(tmp_path) -> Collection:
    workspace = Workspace(tmp_path / "workspace")
    workspace.data.mkdir(parents=True)
    return Collection(workspace, Jobs(workspace))


def kept(folder: Path, name: str, entry: dict) -> int:
    """Return how many rows LLaMA-Factory's loader and converter keep of a dataset; a row whose turns it skips has no
    prompt.
    """
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import get_train_args

    arguments = {
        "model_name_or_path": str(STARTER),
        "stage": "rm" if entry.get("ranking") else "sft",
        "do_train": True,
        "template": "qwen",
        "dataset": name,
        "dataset_dir": str(folder),
        "output_dir": str(folder.parent / "run"),
        "finetuning_type": "lora",
        "report_to": "none",
        "overwrite_cache": True,
        "use_cpu": True,
    }
    model_args, data_args, training_args, _, _ = get_train_args(arguments)
    (attributes,) = get_dataset_list([name], str(folder))
    rows = _load_single_dataset(attributes, model_args, data_args, training_args)
    return sum(bool(row["_prompt"]) for row in rows)


def copy_of_data(folder: Path) -> Path:
    shutil.copytree(DATA, folder / "lf", dirs_exist_ok=True)
    return folder / "lf"


def judged(dataset: Dataset, folder: Path):
    scratch = folder / "scratch"
    scratch.mkdir()
    return judge(dataset.file, dataset.entry, dataset.home, scratch, {"template": "qwen"})


def shown(dataset: Dataset) -> int:
    return sum(row.value is not None for row in reading.rows(dataset.file))


@pytest.mark.parametrize("name", ENTRIES)
def test_a_set_by_its_own_entry_has_the_rows_that_the_loader_keeps(tmp_path, collection, name):
    home = copy_of_data(tmp_path)
    collection.workspace.data.rmdir()
    shutil.move(home, collection.workspace.data)
    dataset = collection.find(name)
    assert dataset.problem is None
    verdict = judged(dataset, tmp_path)
    assert verdict.kept and not verdict.stopping
    assert shown(dataset) - len(verdict.left_out) == kept(collection.workspace.data, name, ENTRIES[name])


def rows_of_v1(path: Path) -> int:
    """Return how many rows LLaMA-Factory's v1 reads of a file."""
    from llamafactory.v1.core.data_engine import DataEngine

    return len(DataEngine(str(path)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("copy", [True, False], ids=["converted", "as it is"])
def test_a_set_without_its_entry_is_recognised_and_comes_in_whole(tmp_path, collection, name, copy):
    home = copy_of_data(collection.workspace.root if copy else collection.workspace.data)
    path = home / name
    entry = next((entry for entry in ENTRIES.values() if entry["file_name"] == name), None)
    if entry:
        (home / "dataset_info.json").write_text(json.dumps({"own": entry}), encoding="utf-8")
        expected = kept(home, "own", entry)
    else:
        expected = rows_of_v1(path)
    result = register(collection, Words("en"), Registration(str(path), "made", options=RegisterOptions(copy=copy)))
    assert (result.left_out, result.problems) == (0, [])
    dataset = collection.find("made")
    assert dataset.problem is None
    verdict = judged(dataset, tmp_path)
    assert verdict.kept and not verdict.stopping and not verdict.left_out
    assert shown(dataset) == expected == kept(collection.workspace.data, "made", dataset.entry)
    if entry:
        columns = entry.get("columns", {}).keys() & {*MEDIA, "tools", "kto_tag", "rejected"}
        assert columns <= dataset.entry["columns"].keys()

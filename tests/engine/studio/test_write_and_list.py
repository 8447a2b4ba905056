"""Everything is written and everything is listed at once: no list falls by what comes and goes under it, and no errno
text is told.
"""

import contextlib
import json
import os
import random
import re
import shutil
import threading
import time
import traceback

import pytest
from drawn import drawn

from studio import app
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, write_json
from studio.datasets.registry import dataset_info
from studio.models.hub import catalogue
from studio.models.library import library
from studio.train import notifications, runs
from studio.train.page.runs import now_running, run_list
from studio.train.recipe import saved_recipes
from studio.train.runs import adapters, checkpoints, manage_runs
from studio.web.live import RegionOptions

SECONDS = 10 if os.environ.get("STUDIO_FUZZ_MINUTES") else 4
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8}
REGIONS = (
    "runs",
    "now",
    "notices",
    "batch",
    "holders",
    "models",
    "models-views",
    "coming",
    "datasets",
    "talks",
    "board",
    "sheets",
    "servers",
)
EMPTY_WEIGHTS = (2).to_bytes(8, "little") + b"{}"


@pytest.fixture
def studio(tmp_path):
    workspace = Workspace(tmp_path / "workspace").prepare()
    return app.make(workspace)


def runs_come_and_go(workspace: Workspace, chance: random.Random) -> None:
    run = runs.make(workspace, f"m{chance.randrange(3)}", "lora", "r")
    write_json(run.info_file, {"title": "t", "created": time.time(), "executor": "in-process"})
    run.say("state", state="queued")
    run.recipe_file.write_text("stage: sft\ndataset: d\nfinetuning_type: lora\n")
    for state in ("preparing", "running"):
        run.say("state", state=state)
    for step in (1, 2):
        run.say("metrics", step=step, epoch=0.5, values={"loss": 1.0, "eval_loss": 2.0})
        folder = run.folder / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(EMPTY_WEIGHTS)
        (folder / "adapter_config.json").write_text("{}")
        (folder / "trainer_state.json").write_text("{}")
        run.note(note=f"step {step}")
    run.say("state", state="finished")
    manage_runs.star(workspace, run.name)
    manage_runs.delete(workspace, Jobs(workspace), run.name) if chance.random() < 0.5 else shutil.rmtree(run.folder)


def models_come_and_go(workspace: Workspace, chance: random.Random) -> None:
    folder = workspace.models / f"model-{chance.randrange(1000)}-{threading.get_ident()}"
    folder.mkdir()
    write_json(folder / "config.json", CONFIG)
    (folder / "model.safetensors").write_bytes(EMPTY_WEIGHTS)
    (folder / "tokenizer.json").write_text("{}")
    renamed = folder.with_name(folder.name + "-b")
    folder.rename(renamed)
    shutil.rmtree(renamed)


def datasets_come_and_go(workspace: Workspace, chance: random.Random) -> None:
    name = f"set-{chance.randrange(1000)}-{threading.get_ident()}"
    file = workspace.data / f"{name}.jsonl"
    file.write_text('{"instruction": "a", "output": "b"}\n')
    with _info:
        info = dataset_info.read_info(workspace.data)
        write_json(workspace.data / dataset_info.INFO, {**info, name: {"file_name": file.name}})
    file.unlink()
    with _info:
        info = dataset_info.read_info(workspace.data)
        info.pop(name)
        write_json(workspace.data / dataset_info.INFO, info)


def conversations_come_and_go(studio, chance: random.Random) -> None:
    conversations = studio.chat.turns.conversations
    one = conversations.new(["a", "b"], title=f"{chance.random()}")
    with conversations.change(one.id) as changed:
        changed.title = "another"
    conversations.delete(one.id)


def recipes_come_and_go(workspace: Workspace, chance: random.Random) -> None:
    name = f"recipe-{chance.randrange(1000)}-{threading.get_ident()}"
    saved_recipes.save(workspace, name, {"stage": "sft"})
    (saved_recipes.folder(workspace) / f"{name}.yaml").unlink()


def trash_is_emptied(workspace: Workspace, _) -> None:
    for item in Trash(workspace).list():
        with contextlib.suppress(Problem):  # another thread was quicker
            Trash(workspace).empty(item.id)
    time.sleep(0.05)


_info = threading.Lock()


def lists(studio) -> list:
    workspace, languages = studio.workspace, [Words(language) for language in LANGUAGES]
    found = runs.all_runs(workspace)
    regions = [RegionOptions(name=name, arg="\n" if name == "talks" else "") for name in REGIONS]
    given = [
        found,
        [runs.summary(run) for run in found],
        notifications.since(workspace, 1),
        [adapters.on(workspace, f"m{n}") for n in range(3)],
        adapters.reward_models(workspace, "m1"),
        [manage_runs.size(run) for run in found],
        [checkpoints.measured(run, runs.status(run)) for run in found],
        [run.checkpoints() for run in found],
        library.models(workspace),
        catalogue.on_disk(workspace),
        studio.analysis.collection.datasets(workspace.data),
        studio.chat.turns.conversations.list(),
        studio.chat.prompt_lists.all(),
        studio.jobs.all(),
        Trash(workspace).list(),
        saved_recipes.saved(workspace),
        studio.trainer.queue(),
    ]
    for words in languages:
        given += [
            drawn(run_list, run_list.run_list(workspace), words.language),
            drawn(now_running, now_running.now_running(workspace), words.language),
            studio.live.answer(words, regions),
        ]
    return given


def test_all_is_listed_while_all_is_written(studio):
    workspace, faults, ended, counts = studio.workspace, [], threading.Event(), {}

    def again_and_again(name, work, *arguments):
        chance = random.Random(name)
        while not ended.is_set():
            try:
                said = work(*arguments, chance) if name != "list" else work(*arguments)
                if name == "list" and (
                    told := re.search(r"Errno|No such file|Traceback|could not be drawn", json.dumps(said, default=str))
                ):
                    faults.append(
                        f"{name}: told {told[0]} in"
                        f" {json.dumps(said, default=str)[max(0, told.start() - 200) : told.start() + 200]}"
                    )
                counts[name] = counts.get(name, 0) + 1
            except Exception:
                faults.append(f"{name}: {traceback.format_exc()}")
                time.sleep(0.1)

    works = [
        (runs_come_and_go, workspace),
        (runs_come_and_go, workspace),
        (models_come_and_go, workspace),
        (datasets_come_and_go, workspace),
        (conversations_come_and_go, studio),
        (recipes_come_and_go, workspace),
        (trash_is_emptied, workspace),
    ]
    threads = [
        threading.Thread(target=again_and_again, args=(f"{work.__name__}-{number}", work, of), daemon=True)
        for number, (work, of) in enumerate(works)
    ]
    threads += [threading.Thread(target=again_and_again, args=("list", lists, studio), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    ended.set()
    for thread in threads:
        thread.join(240)
    kinds = {fault.strip().splitlines()[-1][:100]: fault for fault in faults}
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(list(kinds.values())[:8])
    assert counts["list"] >= 3 and len(counts) == len(works) + 1, counts

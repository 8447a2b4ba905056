"""Endpoints called by their names, as a script calls them: what each leaves on disk, or shows in what is read next."""

import hashlib
import json
import re
import threading

import pytest
from conftest import ROOT, SHORT, SLOW, STARTER, wait_for
from endpoint_calls import by_name, closing_studio, files_below, over, refused
from hub import Hub, tiny_model

from studio.core import installing, locations, trust
from studio.core.i18n import Words
from studio.core.workspace import write_json
from studio.inference import target_names
from studio.train import runs

RECIPE = SHORT | {"model_name_or_path": STARTER.name, "stage": "sft", "dataset": "sft_en_zh"}
ROW = {"instruction": "What is a fox?", "input": "", "output": "An animal."}
OTHER = {"instruction": "What is a hare?", "input": "", "output": "Another animal."}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("by-name"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


def test_no_endpoint_is_without_a_test_that_names_it(call):
    texts = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name in vars(call) if not re.search(rf"""["'/.]{name}\b""", texts)] == []


# Jobs


def test_a_job_that_failed_is_resumed_under_its_name(studio, call):
    tries = []

    def work(job) -> dict:
        tries.append(job.id)
        if len(tries) == 1:
            raise OSError("the cable is out")
        return {"tries": len(tries)}

    job = studio.jobs.start("errand", "batch.title", {}, work).id
    failed = over(call, job)
    assert failed["state"] == "failed" and "the cable is out" in failed["error"]
    assert call.job_resume(job)["state"] in ("queued", "preparing", "running", "finished")
    again = over(call, job)
    assert (again["state"], again["result"], again["error"]) == ("finished", {"tries": 2}, None)
    assert tries == [job, job]
    assert json.loads((studio.workspace.saves / ".jobs" / f"{job}.json").read_text())["state"] == "finished"
    refused(call.job_resume, job)
    assert "gone" in refused(call.job_resume, "gone")


# Models


def test_the_code_of_a_model_is_shown_before_it_is_trusted(studio, call):
    folder, code = studio.workspace.models / "with-code", "class Own:\n    pass\n"
    folder.mkdir()
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(code)
    shown = call.models_code("with-code")
    assert shown["files"] == [{"file": "own.py", "sha256": hashlib.sha256(code.encode()).hexdigest(), "text": code}]
    assert (shown["trusted"], shown["problem"]) == (False, None)
    assert call.models_trust("with-code", True, shown["digest"]) == {"trusted": True}
    assert call.models_code("with-code") == shown | {"trusted": True}
    (folder / "own.py").write_text(code + "import os\n")
    changed = call.models_code("with-code")
    assert not changed["trusted"] and changed["digest"] != shown["digest"]
    assert call.models_code(STARTER.name)["files"] == []


def test_a_download_that_was_paused_goes_on_and_one_that_is_cancelled_leaves_nothing(
    studio, call, tmp_path, monkeypatch
):
    for name, value in {"NO_PROXY": "127.0.0.1,localhost", "HF_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    models, files = studio.workspace.models, tiny_model(size=400_000)
    incoming = models / ".incoming"
    with Hub({"maker/tiny": files, "maker/other": files}, rate=250_000) as hub:
        job = call.models_download("huggingface", "maker/tiny", "", {"endpoint": hub.url})["job"]
        wait_for(lambda: studio.models.downloads.arrived_bytes(job) > 100_000, every=0.02)
        assert call.models_pause(job)["state"] in ("stopping", "stopped")
        assert over(call, job)["state"] == "stopped" and not (models / "tiny").exists()
        assert studio.models.downloads.arrived_bytes(job) > 100_000
        cancelled = call.models_download("huggingface", "maker/other", "", {"endpoint": hub.url})["job"]
        wait_for(lambda: studio.models.downloads.arrived_bytes(cancelled) > 0, every=0.02)
        assert call.models_cancel(cancelled)["state"] in ("stopping", "stopped")
        assert over(call, cancelled)["state"] == "stopped"
        assert [path.name for path in incoming.iterdir()] == ["huggingface--maker--tiny"]
        before, hub.rate = len(hub.requests), None
        assert call.models_resume(job)["state"] in ("queued", "preparing", "running")
        assert over(call, job)["state"] == "finished"
        ranges = [headers["range"] for _, _, headers in hub.requests[before:] if "range" in headers]
        assert any(int(one.removeprefix("bytes=").partition("-")[0]) > 0 for one in ranges), ranges
    assert not incoming.exists() and not (models / "other").exists()
    for name in (name for name in files if name.endswith(".safetensors")):
        assert (models / "tiny" / name).read_bytes() == files[name]
    refused(call.models_resume, job)


# Datasets


def register(studio, call, name: str, rows: list[dict]) -> None:
    source = studio.workspace.root / f"{name}.json"
    source.write_text(json.dumps(rows))
    call.datasets_register(str(source), name, options={"copy": True})


@pytest.fixture(scope="module")
def sets(studio, call):
    """Datasets `ours` and `apart` that share a row, the second of `ours`; `faulty` has a good row and a bad one."""
    for name, rows in {"ours": [OTHER, ROW], "apart": [ROW], "faulty": [ROW, ROW | {"output": ""}]}.items():
        register(studio, call, name, rows)


def test_a_check_that_was_started_leaves_a_report_that_others_work_with(studio, call, sets):
    assert "faulty" in refused(call.datasets_keep_good, "faulty", "good")
    checked = over(call, call.datasets_start_check("faulty")["job"])
    assert (checked["state"], checked["result"]) == ("finished", {"rows": 2, "ok": False})
    assert studio.analysis.report("faulty").lengths is None
    assert call.datasets_keep_good("faulty", "good") == {"name": "good", "rows": 1}
    by_tokens = over(call, call.datasets_start_check("faulty", {"model": STARTER.name, "cutoff": "64"})["job"])
    assert by_tokens["state"] == "finished" and studio.analysis.report("faulty").lengths.rows == 2
    assert "cutoff" in refused(call.datasets_start_check, "faulty", {"cutoff": "many"})


def test_lengths_that_were_measured_are_those_that_are_asked_for(studio, call, sets):
    wish = {"model": STARTER.name, "template": "llama3", "cutoff": "64"}
    measured = over(call, call.datasets_start_lengths("ours", wish)["job"])
    kept = studio.analysis.lengths("ours", studio.analysis.encoding_settings(wish))
    assert measured["state"] == "finished" and measured["result"] == {"rows": 2, "tokens": kept.tokens}
    asked = call.datasets_lengths("ours", STARTER.name, "llama3", 64)
    assert (asked["rows"], asked["tokens"], asked["longest"]) == (2, kept.tokens, kept.longest)
    assert "nowhere" in refused(call.datasets_start_lengths, "ours", {"model": "nowhere"})


def test_rows_that_sets_share_are_told(call, sets):
    words = Words("en")
    shared = call.datasets_leaks("ours", "apart")["leaks"]
    assert [(leak["held_out"], leak["trained"], leak["exact"]) for leak in shared] == [(1, 2, True)]
    assert call.datasets_leaks_told("ours", "apart") == {"said": words("datasets.leaks_found", count=1, rows="1")}
    assert call.datasets_leaks_told("ours", "identity_en") == {"said": words("datasets.no_leaks")}


# The trash


def test_what_is_in_the_trash_comes_back_or_goes_for_good(studio, call):
    call.trash_empty()
    for name in ("kept", "other"):
        register(studio, call, name, [ROW])
    file, entry = studio.analysis.collection.find("kept").file, call.datasets_entry("kept")
    content = file.read_bytes()
    call.datasets_remove("kept", True)
    assert not file.exists() and "kept" not in {one["name"] for one in call.datasets_list()}
    (listed,) = call.trash_list()
    assert listed["problem"] is None
    assert call.trash_restore(listed["id"]) == {"restored": [str(file)]}
    assert file.read_bytes() == content and call.datasets_entry("kept") == entry and call.trash_list() == []
    for name in ("kept", "other"):
        call.datasets_remove(name, True)
    first, second = call.trash_list()
    assert call.trash_empty(first["id"])["freed"] > 0 and [one["id"] for one in call.trash_list()] == [second["id"]]
    assert call.trash_empty()["freed"] > 0 and call.trash_list() == []
    assert files_below(studio.workspace.root / ".trash") == []
    refused(call.trash_restore, first["id"])


# Training


@pytest.fixture
def trained(studio):
    """A run that was stopped, with a checkpoint."""
    run = runs.make(studio.workspace, STARTER.name, "lora", "before")
    write_json(run.info_file, {"executor": "worker", "devices": []})
    run.recipe_file.write_text(
        json.dumps({**RECIPE, "model_name_or_path": str(studio.workspace.models / STARTER.name)})
    )
    for state in ("queued", "preparing", "running", "stopped"):
        run.say("state", state=state)
    (run.folder / "checkpoint-1").mkdir()
    for name in ("adapter_model.safetensors", "trainer_state.json"):
        (run.folder / "checkpoint-1" / name).write_text("{}")
    return run


def waiting(call) -> list[str]:
    return [one["run"] for one in call.train_queue()]


def test_a_sweep_waits_in_the_queue_whose_order_can_be_changed(studio, call):
    assert "lora_rank" in refused(call.train_sweep, RECIPE, {"lora_rank": 4}) and waiting(call) == []
    swept = call.train_sweep(RECIPE, {"lora_rank": [4, 8], "seed": [1]}, "worker", {"title": "both", "note": "two"})
    first, second = swept["runs"]
    assert waiting(call) == [first, second]
    assert [runs.find(studio.workspace, name).recipe()["lora_rank"] for name in (first, second)] == [4, 8]
    moved = call.train_queue_move(second, 0)
    assert [(one["run"], one["position"], one["executor"]) for one in moved] == [
        (second, 0, "worker"),
        (first, 1, "worker"),
    ]
    assert moved == call.train_queue()
    assert [one["run"] for one in call.train_queue_remove(second)] == [first]
    assert call.train_status(second)["state"] == "stopped" and call.train_status(first)["state"] == "queued"
    assert second in refused(call.train_queue_remove, second)
    assert "gone" in refused(call.train_queue_move, "gone", 0)
    assert call.train_queue_remove(first) == [] == call.train_queue()


def test_the_first_visit_starts_one_run_and_ends_for_good(studio, call):
    (trust.folder() / "first_visit.json").unlink()
    run = call.first_visit_start()["run"]
    assert waiting(call) == [run] and call.first_visit_start() == {"is_over": False, "run": run}
    assert runs.find(studio.workspace, run).recipe()["dataset"] == "identity_en"
    assert call.first_visit_end() == {"is_over": True, "run": None}
    assert json.loads((trust.folder() / "first_visit.json").read_text())["is_over"] is True
    assert studio.first_visit.record() is None
    assert call.train_queue_remove(run) == []


def test_the_doctor_says_what_this_machine_is(call):
    assert call.machine_report()["looked"] is None
    report = wait_for(lambda: (found := call.machine_report())["looked"] and found, seconds=120)
    found = {one["what"]: one for one in report["findings"]}
    computes_on = "NVIDIA" if call.monitor()["gpus"] else "threads"
    assert found["torch"]["state"] == "good" and computes_on in found["torch"]["text"]
    assert "huggingface.co" not in found, "a hub is asked only where a person says so"
    assert call.machine_check()["looked"] is None
    if SLOW:
        asked = wait_for(lambda: (found := call.machine_report())["looked"] and found, seconds=120)
        assert {"huggingface.co", "modelscope.cn"} <= {one["what"] for one in asked["findings"]}


def test_a_run_starts_again_and_what_it_had_learned_is_in_the_trash(call, trained):
    call.trash_empty()
    assert call.train_status(trained.name)["resumable"] == 1
    assert call.train_restart(trained.name) == {"run": trained.name}
    assert waiting(call) == [trained.name] and call.train_status(trained.name)["resumable"] is None
    refused(call.train_restart, trained.name)  # it waits
    call.train_queue_remove(trained.name)
    (listed,) = call.trash_list()
    assert call.trash_restore(listed["id"])["restored"] == [str(trained.folder / "checkpoint-1")]
    assert call.train_status(trained.name)["resumable"] == 1


def test_a_note_is_kept_with_a_run(studio, call, trained):
    assert call.train_note(trained.name, "  比上次好 ") == {"run": trained.name}
    assert runs.find(studio.workspace, trained.name).info().note == "比上次好"
    assert call.train_note(trained.name) == {"run": trained.name} and trained.info().note == ""
    assert "gone" in refused(call.train_note, "gone/lora/x", "a")


def test_a_run_is_called_by_another_name_and_found_by_its_first(studio, call, trained):
    first = trained.name.split("/")[-1]
    assert call.train_rename(trained.name, "  best   so far ") == {"label": "best so far"}
    assert call.train_metrics(trained.name)["label"] == "best so far"
    names = [trained.name, f"{trained.name}@checkpoint-1", "a-model", "folder/file.gguf", trained.name]
    offered = target_names.choices(studio.workspace, names)
    assert [value for _, value in offered] == names[:4]
    assert [shown for shown, _ in offered] == [f"best so far ({one})" for one in names[:2]] + names[2:4]
    assert "80" in refused(call.train_rename, trained.name, "n" * 81)
    assert call.train_rename(trained.name) == {"label": first}
    assert "gone" in refused(call.train_rename, "gone/lora/x", "a")


def test_a_run_for_several_machines_is_a_command_for_each(studio, call):
    before = {one["run"] for one in call.train_runs()}
    assert "two words" in refused(call.train_nodes, RECIPE, 2, "two words")
    assert {one["run"] for one in call.train_runs()} == before
    made = call.train_nodes(RECIPE, 3, "10.0.0.1", 29501, {"processes": 2})
    info = runs.find(studio.workspace, made["run"]).info()
    assert (info.executor, info.nodes, info.processes) == ("nodes", 3, 6)
    for rank, command in enumerate(made["commands"]):
        assert f"--node_rank {rank} " in command and "--nnodes 3 " in command and "10.0.0.1" in command
    assert len(made["commands"]) == 3 and made["run"] not in waiting(call)


def test_a_search_for_the_batch_begins_and_can_be_stopped(studio, call):
    assert "magic" in refused(call.train_batch, RECIPE | {"finetuning_type": "magic"})
    assert studio.jobs.all("batch") == []
    job = call.train_batch(RECIPE)["job"]
    wait_for(lambda: call.job_status(job)["message"], every=0.05)
    assert [holder.who for holder in studio.accelerator.holders()] == ["batch"]
    call.job_cancel(job)
    assert over(call, job)["state"] == "stopped" and studio.accelerator.holders() == []


def test_an_environment_is_made_once_and_by_one_job(studio, call):
    free = threading.Event()
    # Environments are made one at a time: behind this one the asked one waits, and fetches nothing.
    ahead = studio.jobs.start("environment", "environments.title", {"name": "ahead"}, lambda job: free.wait(240))
    try:
        job = call.train_environment()["job"]
        assert call.train_environment("ppo")["job"] == job and call.job_status(job)["state"] == "queued"
        assert call.job_cancel(job) == {"state": "stopped"}
        assert call.train_environment("ppo")["job"] == job and call.job_status(job)["state"] == "queued"
        call.job_cancel(job)
    finally:
        free.set()
    assert over(call, ahead.id)["state"] == "finished"
    assert "magic" in refused(call.train_environment, "magic")
    python, lock = studio.trainer.environments.place("ppo"), locations.lock("ppo")
    python.parent.mkdir(parents=True)
    python.touch()
    installed = installing.stamp_of(python.parents[1], lock)
    installed.write_text(hashlib.sha256(lock.read_bytes()).hexdigest())
    assert call.train_environment("ppo") == {"job": None}

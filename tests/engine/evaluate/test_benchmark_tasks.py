"""What can be asked: benchmarks that are brought in, and known ones fetched from either hub by their real clients."""

import io
import zipfile

import benchmark_sets
import pytest
from hub import Hub

from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import tasks
from studio.evaluate.benchmarks.fetching import BenchmarkDownloads
from studio.evaluate.benchmarks.sets import incoming
from studio.evaluate.benchmarks.sets.incoming import bring_in
from studio.evaluate.benchmarks.sets.known import KNOWN

SOURCES = ("huggingface", "modelscope")


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Hub() as running:
        yield running


def zipped(folder) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.csv")):
            archive.write(file, file.relative_to(folder))
    return data.getvalue()


def fetched(workspace: Workspace, hub: Hub, name: str, source: str):
    jobs = Jobs(workspace)
    downloads = BenchmarkDownloads(workspace, jobs, tries=2, first_wait_s=0.05)
    job = downloads.start(name, source, hub.url)
    return jobs, jobs.wait(job.id, 240)


@pytest.mark.parametrize("source", SOURCES)
def test_a_known_benchmark_is_fetched_from_either_hub(workspace, hub, tmp_path, source):
    repo = {"huggingface": KNOWN["cmmlu"].huggingface, "modelscope": KNOWN["cmmlu"].modelscope}[source]
    data = zipped(benchmark_sets.cmmlu(tmp_path / "made"))
    hub.datasets[repo] = {"cmmlu_v1_0_1.zip": data, "README.md": b"# CMMLU", "cmmlu.py": b"import os"}
    jobs, job = fetched(workspace, hub, "cmmlu", source)
    assert job.state == "finished", f"{job.error} {jobs.log(job.id)} {hub.requests}"
    (task, *others) = tasks.tasks(workspace)
    assert (task.name, task.is_here, task.questions, task.shots, task.problem) == ("cmmlu", True, 12, 5, None)
    assert [one.name for one in others] == ["mmlu", "ceval"] and not any(one.is_here for one in others)
    assert not list((workspace.data / ".incoming").glob("*"))
    assert not list((workspace.data / "benchmarks").rglob("*.py"))
    with pytest.raises(Problem) as caught:
        fetched(workspace, hub, "cmmlu", source)
    assert caught.value.key == "benchmarks.exists"


@pytest.mark.parametrize("source", SOURCES)
def test_what_cannot_be_fetched_is_told(workspace, hub, source):
    jobs, job = fetched(workspace, hub, "mmlu", source)
    assert job.state == "failed" and job.error["key"] == "downloads.no_dataset"
    with pytest.raises(Problem) as caught:
        fetched(workspace, hub, "gpqa", source)
    assert caught.value.key == "benchmarks.unknown"


def test_licences_are_shown_and_nothing_is_shipped(workspace):
    found = {one.title: (one.licence, one.free, one.is_here) for one in tasks.tasks(workspace)}
    assert found == {
        "MMLU": ("MIT", True, False),
        "C-Eval": ("CC BY-NC-SA 4.0", False, False),
        "CMMLU": ("CC BY-NC-SA 4.0", False, False),
    }


def test_a_set_that_is_brought_in_is_described(workspace, tmp_path):
    folder = benchmark_sets.mmlu(tmp_path / "rooms")
    (folder / "LICENSE.txt").write_text("\nApache License 2.0\nmore\n")
    bring_in(workspace, folder)
    task = tasks.tasks(workspace)[0]
    assert (task.name, task.licence, task.free, task.split, task.language) == (
        "rooms",
        "Apache License 2.0",
        None,
        "test",
        "en",
    )
    assert task.subjects[0] == ("room number 19", 4) and task.questions == 80 and len(task.categories) == 4
    file = next((workspace.data / "benchmarks" / "rooms").rglob("room_3_test.csv"))
    file.write_text("question,A,B,answer\nOne?,x,,A\n")
    (task, *_) = tasks.tasks(workspace)  # seen though it was listed before
    assert task.problem.key == "benchmarks.empty" and task.problem.facts["file"] == "room_3_test.csv"


def test_a_set_goes_into_the_trash_and_comes_back(workspace, tmp_path):
    from studio.core.storage.trash import Trash

    bring_in(workspace, benchmark_sets.cmmlu(tmp_path / "rooms"))
    item = tasks.delete(workspace, Jobs(workspace), "rooms")
    assert not (incoming.folder_of(workspace) / "rooms").exists()
    Trash(workspace).restore(item)
    assert tasks.find(workspace, "rooms").name == "rooms"
    (incoming.folder_of(workspace) / "own.yaml").write_text("task: own\n")
    Trash(workspace).restore(tasks.delete(workspace, Jobs(workspace), "lm-eval:own"))
    assert "lm-eval:own" in [one.name for one in tasks.tasks(workspace)]
    for name in ("../rooms", "lm-eval:other"):
        with pytest.raises(Problem):
            tasks.delete(workspace, Jobs(workspace), name)

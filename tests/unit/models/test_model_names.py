"""A model takes its place under its name: two jobs never make one, and no name of a gone one is in the way."""

import threading
from pathlib import Path

import pytest
from conftest import is_sentence

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.models.library import library, manage, model_names


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


@pytest.fixture
def jobs(workspace):
    """Jobs of all kinds that make something under a name, which go on until the test is over."""
    made, over = Jobs(workspace), threading.Event()
    for kind, makes in {"merge": "model", "import": "model", "form": "files", "copy": ""}.items():
        made.offer(kind, lambda job: over.wait(240), makes=makes)
    yield made
    over.set()
    made.interrupt(240)


def model(workspace: Workspace, name: str) -> Path:
    folder = workspace.models / name
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


@pytest.mark.parametrize(("first", "second"), [("merge", "merge"), ("merge", "import"), ("form", "import")])
def test_two_jobs_do_not_make_one_model(jobs, first, second):
    """The second would work for as long as the first, and fail at its end."""
    jobs.start(first, "export.merging", {"name": "Made"})
    with pytest.raises(Problem) as refused:
        jobs.start(second, "export.merging", {"name": "made"})
    assert refused.value.key == "jobs.name_taken"
    assert all(is_sentence(Words(one).tell(refused.value)) for one in LANGUAGES)
    jobs.start(second, "export.merging", {"name": "another"})
    assert len(jobs.all()) == 2


def test_a_job_whose_name_is_being_made_is_not_taken_up_again(jobs):
    waits = [jobs.start("merge", "export.merging", {"name": name}) for name in ("first", "second")][1]
    jobs.cancel(waits.id)
    other = jobs.start("import", "gguf.title", {"name": "second"})
    with pytest.raises(Problem) as refused:
        jobs.resume(waits.id)
    assert refused.value.key == "jobs.name_taken" and waits.state == "stopped"
    assert other.active


@pytest.mark.parametrize("kind", ["form", "copy"])
def test_files_beside_each_other_and_what_makes_no_model_may_have_one_name(jobs, kind):
    for _ in range(2):
        jobs.start(kind, "export.merging", {"name": "Made"})
    assert len(jobs.all(kind)) == 2


def test_an_older_name_of_a_model_that_is_gone_is_free(workspace):
    link = workspace.models / "old"
    link.symlink_to("gone", target_is_directory=True)
    assert not model_names.is_taken(link)
    assert model_names.require_free(workspace, "old") == link
    made = model(workspace, "made")
    model_names.put(made, link)
    assert not link.is_symlink() and (link / "config.json").is_file()


def test_a_model_takes_the_older_name_of_one_that_is_gone(workspace):
    (workspace.models / "old").symlink_to("gone", target_is_directory=True)
    model(workspace, "model")
    assert manage.rename(workspace, "model", "old", lambda _: None).name == "old"
    assert [one.name for one in library.models(workspace)] == ["old"]


@pytest.mark.parametrize("kind", ["folder", "file", "older name", "disk that is away"])
def test_what_is_there_has_its_name(workspace, kind):
    place = workspace.models / "there"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("")
    elif kind == "older name":
        model(workspace, "new")
        place.symlink_to("new")
    else:
        place.symlink_to("/nowhere/at/all")
    assert model_names.is_taken(place)
    model(workspace, "model")
    with pytest.raises(Problem) as refused:
        manage.rename(workspace, "model", "there", lambda _: None)
    assert refused.value.key == "models.name_taken"

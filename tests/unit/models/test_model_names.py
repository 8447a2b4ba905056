"""A model takes its place under its name: two jobs never make one, and no name of a gone one is in the way."""

import threading
from pathlib import Path

import pytest
from conftest import is_sentence

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs, Places
from studio.core.workspace import Workspace
from studio.models.library import library, manage, model_jobs, model_names
from studio.trash import workspace_trash


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


@pytest.fixture
def jobs(workspace):
    """Jobs of all kinds that make something under a name, or read a model, which go on until the test is over."""
    made, over = Jobs(workspace), threading.Event()
    of_one = model_jobs.places(workspace)
    places = {
        "merge": of_one,
        "import": of_one,
        "form": Places(lambda facts: {workspace.models / facts["name"]: ("form",)}),
        "copy": Places(reads=lambda facts: [workspace.models / facts["name"]]),
    }
    for kind, one in places.items():
        made.offer(kind, lambda job: over.wait(240))
        made.places(kind, one)
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


def refusal(act) -> str:
    """Return the key of the sentence by which something is refused, which both languages have."""
    with pytest.raises(Problem) as refused:
        act()
    assert all(is_sentence(Words(one).tell(refused.value)) for one in LANGUAGES)
    return refused.value.key


def rename(workspace: Workspace, jobs: Jobs, name: str, new: str) -> library.Model:
    return manage.rename(workspace, jobs, name, new, lambda _: None)


@pytest.mark.parametrize("kind", ["merge", "import", "form"])
def test_nothing_takes_the_name_that_a_job_is_making(workspace, jobs, kind):
    """The job would work to its end, and then have no place."""
    model(workspace, "there")
    model(workspace, "deleted")
    manage.delete(workspace, jobs, "deleted", lambda _: None)
    (item,) = workspace_trash.whole(workspace).list()
    for name in ("Made", "deleted"):
        jobs.start(kind, "export.merging", {"name": name})
        jobs.start("merge", "export.merging", {"name": f"{name}-other"})  # the second waits
    for new in ("Made", "made", "Made-other"):
        assert refusal(lambda new=new: rename(workspace, jobs, "there", new)) == "jobs.name_taken"
    assert refusal(lambda: workspace_trash.restore(workspace, jobs, item.id)) == "jobs.name_taken"
    assert rename(workspace, jobs, "there", "free").name == "free"
    for job in jobs.all():
        jobs.cancel(job.id)
    assert [one.name for one in library.models(workspace)] == ["free"]


def test_no_job_is_begun_or_taken_up_for_a_name_that_is_taken(workspace, jobs):
    first, waits = (jobs.start("import", "gguf.title", {"name": name}) for name in ("first", "second"))
    jobs.cancel(waits.id)
    model(workspace, "there")
    rename(workspace, jobs, "there", "second")
    assert refusal(lambda: jobs.resume(waits.id)) == "models.name_taken"
    assert refusal(lambda: jobs.start("merge", "export.merging", {"name": "second"})) == "models.name_taken"
    assert waits.state == "stopped" and [job.active for job in jobs.all()] == [False, True]


def test_a_job_that_begins_while_a_model_gets_its_name_finds_it_taken(workspace, jobs):
    """Both had looked whether the name is free before either took it."""
    folder, begun = model(workspace, "there"), []
    with jobs.moving([folder], [workspace.models / "Made"]):
        begins = threading.Thread(
            target=lambda: begun.append(refusal(lambda: jobs.start("merge", "export.merging", {"name": "Made"})))
        )
        begins.start()
        folder.rename(workspace.models / "Made")
    begins.join(240)
    assert begun == ["models.name_taken"]


def test_what_a_job_reads_or_makes_is_not_moved(workspace, jobs):
    model(workspace, "read")
    model(workspace, "other")
    (workspace.models / "link").symlink_to("read")
    read = jobs.start("copy", "gguf.title", {"name": "link"})
    assert refusal(lambda: rename(workspace, jobs, "read", "new")) == "jobs.in_use"
    assert refusal(lambda: manage.delete(workspace, jobs, "read", lambda _: None)) == "jobs.in_use"
    jobs.start("form", "gguf.title", {"name": "other"})
    assert refusal(lambda: manage.delete(workspace, jobs, "other", lambda _: None)) == "jobs.in_use"
    waits = jobs.start("copy", "gguf.title", {"name": "read"})
    assert waits.state == "queued"
    jobs.cancel(waits.id)
    jobs.cancel(read.id)
    assert [one.name for one in library.models(workspace)] == ["other", "read"]


def test_an_older_name_of_a_model_that_is_gone_is_free(workspace):
    link = workspace.models / "old"
    link.symlink_to("gone", target_is_directory=True)
    assert not model_names.is_taken(link)
    assert model_names.require_free(workspace, "old") == link
    made = model(workspace, "made")
    model_names.put(made, link)
    assert not link.is_symlink() and (link / "config.json").is_file()


def test_a_model_takes_the_older_name_of_one_that_is_gone(workspace, jobs):
    (workspace.models / "old").symlink_to("gone", target_is_directory=True)
    model(workspace, "model")
    assert manage.rename(workspace, jobs, "model", "old", lambda _: None).name == "old"
    assert [one.name for one in library.models(workspace)] == ["old"]


@pytest.mark.parametrize("kind", ["folder", "file", "older name", "disk that is away"])
def test_what_is_there_has_its_name(workspace, jobs, kind):
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
        manage.rename(workspace, jobs, "model", "there", lambda _: None)
    assert refused.value.key == "models.name_taken"

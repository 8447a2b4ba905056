"""Endpoints called by their names in this process, each as scripts get it, on a studio with real models."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from conftest import is_sentence, new_workspace, wait_for

from studio import api, app
from studio.core.i18n import Words
from studio.train.execution.environments import Environments
from studio.web.endpoint import checked_endpoint


def closing_studio(folder: Path) -> app.Studio:
    """Return a studio that is about to close: it does all that it is asked, but what is trained waits in its queue."""
    studio = app.make(new_workspace(folder / "workspace"))
    studio.trainer.end(0, lambda *_: None)
    studio.trainer.environments = Environments(studio.jobs, folder / "engines")
    studio.deploy.toolkit._above = folder / "engines"  # nothing of the machine's own
    return studio


def running_app(folder: Path) -> Iterator[app.Studio]:
    """Give an application of a new workspace; at the end its engines and its chat are stopped."""
    made = app.make(new_workspace(folder))
    yield made
    made.deploy.interrupt()
    made.chat.service.unload()


def by_name(studio: app.Studio) -> SimpleNamespace:
    """Return every endpoint under its name, with what is looked at before and after it."""
    words = Words("en")
    return SimpleNamespace(**{one.__name__: checked_endpoint(one, words) for one in api.all_endpoints(studio, words)})


def refused(function, *args, **kwargs) -> str:
    """Return the sentence with which a call is refused."""
    with pytest.raises(gr.Error) as fault:
        function(*args, **kwargs)
    assert is_sentence(str(fault.value.message))
    return str(fault.value.message)


def over(call, job: str, seconds: float = 240) -> dict:
    """Return the status of a job once it is over."""
    at_work = ("queued", "preparing", "running", "stopping")
    return wait_for(lambda: (status := call.job_status(job))["state"] not in at_work and status, seconds, 0.05)


def files_below(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

"""An engine whose state the disk refuses to take: it goes on, it is told as it is, and it is ended when it is to be."""

import signal
import sys

import psutil
import pytest
from conftest import PATIENCE_S, free_port, wait_for

from studio.core.i18n import Problem, Words
from studio.core.storage import records
from studio.core.workspace import Workspace
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine import Launch, Order
from studio.deploy.supervision.deployment import Deployment, Deployments, EngineState, Parity, Request, new_state
from studio.deploy.supervision.engine_follower import EngineFollower, Hooks


class FolderServer:
    """Python's own server of files: a program that listens, answers, and goes on until it is ended."""

    alive, tells_broken, patience_s, faults, phases = "/", False, 10.0, (), ()

    def launch(self, order: Order) -> Launch:
        return Launch((sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(order.port)), {})

    def arrange(self, order: Order, report, check) -> None:
        """Leave it as it is."""


@pytest.fixture
def deployment(tmp_path) -> Deployment:
    made = Deployments(Workspace(tmp_path / "workspace").prepare()).create("served")
    made.write_request(Request(engine="folder", target="x", created=1.0))
    made.write_state(new_state(free_port()))
    return made


@pytest.fixture
def follower(deployment):
    settings = deployment.request().settings
    hooks = Hooks(
        order=lambda one: Order(one.name, None, settings, one.folder, one.state().port, "", {}),
        ready=lambda *_: None,
        judge=lambda *_: Parity(),
        ended=lambda _, tell: tell(),
    )
    made = EngineFollower(deployment, FolderServer(), DeploySettings(), hooks).begin()
    wait_for(lambda: deployment.state().state == "ready" and deployment.state().parity)
    yield made
    made.stop()
    assert made.join(PATIENCE_S)


def on_disk(deployment: Deployment) -> EngineState:
    return records.load(deployment.folder / "state.json", EngineState)


def refuse(deployment: Deployment) -> None:
    """Let the disk take no state any more, as a full one does: a folder is in its place."""
    place = deployment.folder / "state.json"
    last = on_disk(deployment)
    place.unlink()
    (place / "in the way").mkdir(parents=True)
    with pytest.raises(Problem) as told:
        deployment.write_state(last)
    assert told.value.key == "workspace.unwritable"


def take_again(deployment: Deployment) -> None:
    place = deployment.folder / "state.json"
    (place / "in the way").rmdir()
    place.rmdir()


def leader(deployment: Deployment) -> psutil.Process:
    return psutil.Process(deployment.state().members[0].pid)


def test_it_goes_on_and_its_state_is_written_when_the_disk_takes_it_again(deployment, follower):
    process = leader(deployment)
    refuse(deployment)
    follower._tell(doing=None, ready_s=7.0)  # as what it is at, which is looked at each second
    assert deployment.state().ready_s == 7.0 and process.is_running()
    take_again(deployment)
    wait_for(lambda: (deployment.folder / "state.json").is_file() and on_disk(deployment).ready_s == 7.0)
    assert deployment.state() == on_disk(deployment) and process.is_running()


def test_it_is_stopped_and_told_as_that(deployment, follower):
    process = leader(deployment)
    refuse(deployment)
    follower.stop()
    assert deployment.state().state in ("stopping", "stopped")
    assert follower.join(PATIENCE_S) and not process.is_running()
    assert deployment.state().state == "stopped" and deployment.state().members == []


def test_one_that_dies_is_told_as_that(deployment, follower):
    follower._settings = DeploySettings(restarts=0)
    process = leader(deployment)
    refuse(deployment)
    process.kill()
    assert follower.join(PATIENCE_S)
    assert deployment.state().state == "failed" and deployment.state().error.key == "deploy.fault_killed"


def test_one_that_its_processor_ends_is_told_as_that(deployment, follower):
    follower._settings = DeploySettings(restarts=0)
    leader(deployment).send_signal(signal.SIGILL)
    assert follower.join(PATIENCE_S)
    assert "processor" in Words("en").tell(deployment.state().error.problem())


def test_the_last_of_it_is_written_when_the_disk_takes_it_again(deployment, follower):
    """Else the next studio takes it for one that runs, and tells that it died."""
    refuse(deployment)
    follower.stop()
    assert follower.join(PATIENCE_S)
    take_again(deployment)
    assert deployment.state() == on_disk(deployment) and on_disk(deployment).state == "stopped"


def test_a_new_start_knows_nothing_of_the_last_one(deployment, follower):
    refuse(deployment)
    follower.stop()
    assert follower.join(PATIENCE_S)
    workspace = Workspace(deployment.folder.parents[2])
    again = Deployments(workspace).create("served")
    again.write_state(new_state(8123))
    assert again.state().port == 8123 and again.state() == on_disk(again)

"""Whoever is done with the weights leaves no threads behind that make the products of all others slow."""

import os
import sys
import threading
import time

import pytest
import torch
from conftest import STARTER

from studio.core.processes import thread_team
from studio.inference.local.generation import Batch, GrowingAnswer
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads are counted as Linux shows them")


def _threads() -> set[str]:
    return set(os.listdir("/proc/self/task"))


def _product() -> None:
    wide = torch.ones(600, 600)
    wide @ wide


def _leaves_threads(work) -> bool:
    """Tell whether there are more threads for good when a thread that still lives has done `work`, dividing it in
    two.
    """
    found, plain = [], torch.get_num_threads()

    def do() -> None:
        torch.set_num_threads(2)
        with thread_team.given_back():
            _product()  # what the first product of a process begins is nobody's team
        before = _threads()
        try:
            work()
        except BaseException as error:
            found.append(error)
            raise
        until = time.monotonic() + 1
        while (more := _threads() - before) and time.monotonic() < until:
            time.sleep(0.01)
        found.append(bool(more))

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    torch.set_num_threads(plain)
    assert isinstance(found[0], bool), found
    return found[0]


@pytest.fixture(scope="module")
def kept_teams():
    """Skip where torch's OpenMP keeps no team for each thread."""
    if not _leaves_threads(_product):
        pytest.skip("torch's OpenMP keeps no team for each thread")


def test_a_team_is_given_back_and_made_anew(kept_teams):
    def work():
        for _ in range(3):
            with thread_team.given_back():
                _product()

    assert not _leaves_threads(work)


def test_a_team_is_given_back_after_a_fault(kept_teams):
    def work():
        with pytest.raises(ValueError), thread_team.given_back():
            _product()
            raise ValueError

    assert not _leaves_threads(work)


def test_nothing_is_given_back_where_torch_has_another_openmp(tmp_path):
    assert thread_team._pause(str(tmp_path / "torch" / "__init__.py"))() is None


def test_loading_asking_and_measuring_leave_no_team_behind(kept_teams):
    engine, target = LocalEngine(), ModelTarget("base", STARTER, None, "chatml")
    engine.load([target])  # the first brings the libraries, and the threads of theirs
    engine.unload()
    assert not _leaves_threads(lambda: engine.load([target]))
    loaded, sampling = engine.loaded(target), Sampling(temperature=0.0, max_tokens=2)

    def ask():
        prompt = loaded.encoder.prompt([{"role": "user", "content": "Say yes."}])
        Batch([GrowingAnswer(loaded, prompt, sampling)], threading.Event(), []).run(sampling)

    def measure():
        with loaded.model.forward([loaded.adapter]) as forward:
            forward(input_ids=torch.tensor([[1, 2, 3]]))

    for work in (ask, measure):
        work()
        assert not _leaves_threads(work)
    engine.unload()

"""Run by `test_thread_team.py`, in a process in which nothing else begins or ends threads: tell as JSON whether each of
some pieces of work leaves threads behind in the thread that did it.
"""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from studio.core.processes import thread_team
from studio.inference.local.generation import Batch, GrowingAnswer
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling
from studio.train.execution.executors import in_process


def _threads() -> set[str]:
    return set(os.listdir("/proc/self/task"))


def _product() -> None:
    wide = torch.ones(600, 600)
    wide @ wide


def _given_back() -> None:
    for _ in range(3):
        with thread_team.given_back():
            _product()


def _after_a_fault() -> None:
    with contextlib.suppress(ValueError), thread_team.given_back():
        _product()
        raise ValueError


def _training():
    """Return what has the thread that trains in this process do a run, here of one product."""
    over = threading.Event()
    executor = in_process.InProcess(over.set)
    run = SimpleNamespace(name="run", folder=Path(os.devnull), own=lambda: None)

    def train(*_) -> None:
        torch.set_num_threads(2)
        _product()

    def work() -> None:
        in_process.run_training = train
        over.clear()
        executor.start(run, None)
        assert over.wait(240)

    return work


def leaves_threads(work) -> bool:
    """Tell whether there are more threads for good when a thread that still lives has done `work`, dividing it in
    two.
    """
    found = []

    def do() -> None:
        torch.set_num_threads(2)
        with thread_team.given_back():
            _product()  # what the first product of a process begins is nobody's team
        before = _threads()
        work()
        until = time.monotonic() + 1
        while (more := _threads() - before) and time.monotonic() < until:
            time.sleep(0.01)
        found.append(bool(more))

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    return found[0]  # IndexError where the work failed, whose traceback has been printed


def main(model: str) -> None:
    """Print what each piece of work leaves behind, with the starter model at `model`."""
    engine, target = LocalEngine(), ModelTarget("base", Path(model), None, "chatml")
    sampling = Sampling(temperature=0.0, max_tokens=2)

    def ask() -> None:
        loaded = engine.loaded(target)
        prompt = loaded.encoder.prompt([{"role": "user", "content": "Say yes."}])
        Batch([GrowingAnswer(loaded, prompt, sampling)], threading.Event(), []).run(sampling)

    def measure() -> None:
        loaded = engine.loaded(target)
        with loaded.model.forward([loaded.adapter]) as forward:
            forward(input_ids=torch.tensor([[1, 2, 3]]))

    # The first of each brings libraries, and the threads of theirs.
    engine.load([target])
    ask()
    measure()
    engine.unload()
    works = {
        "product": _product,
        "given back": _given_back,
        "after a fault": _after_a_fault,
        "load": lambda: engine.load([target]),
        "ask": ask,
        "measure": measure,
        "train": _training(),
    }
    print(json.dumps({name: leaves_threads(work) for name, work in works.items()}))


if __name__ == "__main__":
    main(sys.argv[1])

"""What ended a run, in one sentence; and whose words land in which log."""

import errno
import io
import logging
import threading

import pytest
from conftest import is_sentence

from studio.core.i18n import Problem
from studio.train.faults import explain
from studio.train.loop import output


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk is full"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory was not enough"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "memory was not enough"),
        (RuntimeError("CUDA error: device-side assert triggered"), "restart the studio"),
        (ModuleNotFoundError("No module named 'galore'", name="galore"), "“galore” is not installed"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x cannot be written"),
        (ValueError("Please specify `max_steps`\nin streaming mode."), "refuses the recipe: Please specify"),
        (AssertionError("Invalid fine-tuning method."), "Invalid fine-tuning method"),
        (Problem("train.no_run", run="a"), "There is no run"),
        (KeyError("labels"), "KeyError"),
    ],
)
def test_every_error_has_a_sentence(error, said):
    sentence = str(explain(error))
    assert said in sentence and is_sentence(sentence)


def test_what_a_thread_prints_goes_to_its_own_file(tmp_path, capsys):
    def speak(name):
        with output.kept_in(tmp_path / name):
            print(f"this is {name}")

    threads = [threading.Thread(target=speak, args=(name,)) for name in ("one", "two")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print("this is the studio")
    assert (tmp_path / "one").read_text() == "this is one\n"
    assert (tmp_path / "two").read_text() == "this is two\n"
    assert capsys.readouterr().out == "this is the studio\n"


def test_a_log_handler_that_was_there_first_writes_to_the_run_too(tmp_path):
    """Each library has its own, made when it was imported, by whomever."""
    shared = io.StringIO()
    logger = logging.getLogger("a_library.imported_first")
    logger.addHandler(logging.StreamHandler(shared))
    with output.kept_in(tmp_path / "log"):
        logger.warning("of the run")
        other = threading.Thread(target=logger.warning, args=("of another thread",))
        other.start()
        other.join()
    logger.warning("after it")
    assert (tmp_path / "log").read_text() == "of the run\n"
    assert shared.getvalue() == "of another thread\nafter it\n"


def test_progress_bars_do_not_overwrite_the_log(tmp_path):
    with output.kept_in(tmp_path / "log"):
        print("10%\r20%\rdone")
    assert (tmp_path / "log").read_text() == "10%\n20%\ndone\n"

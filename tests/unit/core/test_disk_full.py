"""A full disk is recognised in whichever words a library tells it."""

import errno

import pytest

from studio.core.i18n import Problem
from studio.train.faults import explain, is_disk_full


def from_within(cause: BaseException, error: BaseException) -> BaseException:
    error.__context__ = cause
    return error


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        RuntimeError(
            "[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/32: file write"
            " failed"
        ),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 25088 vs 24980"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        from_within(FULL, RuntimeError("it went wrong")),
        Problem("workspace.unwritable", path="x", reason="No space left on device"),
        from_within(FULL, Problem("workspace.unwritable", path="x", reason="?")),
    ],
)
def test_a_full_disk(error):
    assert is_disk_full(error) and explain(error).key == "train.disk_full"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "Permission denied"),
        ValueError("28"),
        MemoryError(),
        RuntimeError("CUDA error"),
        Problem("train.no_run", run="x"),
    ],
)
def test_what_is_none(error):
    assert not is_disk_full(error) and explain(error).key != "train.disk_full"


def test_errors_that_come_from_each_other_in_a_circle():
    one, other = ValueError("a"), ValueError("b")
    one.__cause__, other.__cause__ = other, one
    assert not is_disk_full(one)

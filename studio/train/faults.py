"""Why a run failed, in one sentence with what to do."""

import errno

from studio.interface.language import Problem

POISONED = ("device-side assert", "illegal memory access", "unspecified launch failure", "CUDA error")


def _ours(error: BaseException) -> Problem | None:
    """Return the Problem that an error is, or that a library put its own words around, None where there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Problem):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def explain(error: BaseException) -> Problem:
    """Return what a person should be told of an error that ended a run.

    The message that a library gave is kept where nothing better is known, in one line.
    """
    if known := _ours(error):
        return known
    message = " ".join(str(error).split())[:400]
    if isinstance(error, OSError) and error.errno == errno.ENOSPC or "No space left on device" in message:
        return Problem("train.disk_full")
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError) or "DefaultCPUAllocator: not enough memory" in message:
        return Problem("train.out_of_memory")
    if any(sign in message for sign in POISONED):
        return Problem("train.accelerator_poisoned", message=message)
    if isinstance(error, ModuleNotFoundError):
        return Problem("train.library_missing", name=error.name)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return Problem("workspace.unwritable", path=error.filename, reason=error.strerror)
    if isinstance(error, (ValueError, AssertionError)):
        return Problem("train.refused", message=message)
    return Problem("train.failed", kind=type(error).__name__, message=message)

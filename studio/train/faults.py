"""Why a run failed, in one sentence with what to do."""

import errno

from studio.interface.language import Problem

# How the libraries under a trainer tell that nothing more can be written: the system's own words, safetensors', torch's and arrow's.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FULL_SIGNS = ("No space left on device", "os error 28", "Disk quota exceeded", "os error 122", "File too large", "os error 27",
              "file write failed", "PytorchStreamWriter failed writing", "not enough space on the disk", "unexpected pos ")
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


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it came from, says that the disk has no room (or the person's share of it none)."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        facts = error.facts.values() if isinstance(error, Problem) else (error,)
        if isinstance(error, OSError) and error.errno in FULL or any(tells_disk_full(str(fact)) for fact in facts):
            return True
        error = error.__cause__ or error.__context__
    return False


def tells_disk_full(text: str) -> bool:
    """Tell whether a message, or the end of a log, says that the disk has no room."""
    return any(sign in text for sign in FULL_SIGNS)


def explain(error: BaseException) -> Problem:
    """Return what a person should be told of an error that ended a run.

    The message that a library gave is kept where nothing better is known, in one line.
    """
    if (known := _ours(error)) and not is_disk_full(error):
        return known
    message = " ".join(str(error).split())[:400]
    if is_disk_full(error):
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

"""What goes wrong while a model is loaded or answers, as a Problem."""

import contextlib
from collections.abc import Iterator

from studio.core import llamafactory, reasons
from studio.core.device_lease import free_memory
from studio.core.i18n import Problem
from studio.core.processes.memory_faults import is_out_of_memory


@contextlib.contextmanager
def errors_as_problem(key: str, **facts: object) -> Iterator[None]:
    """Tell whatever fails inside as the Problem `key` with its `reason`, or as a lack of memory, and let go of what
    failed.
    """
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        problem = as_problem(error, key, **facts)
    else:
        return
    free_memory()
    raise problem


def as_problem(error: Exception, key: str, **facts: object) -> Problem:
    """Return what a person should read of `error`, and drop the frames that would keep its tensors alive."""
    llamafactory.load()
    import logging
    import traceback

    logging.getLogger(__name__).error("chat", exc_info=error)
    out_of_memory = is_out_of_memory(error)
    cause, wants_code, known = error, False, None
    while cause:
        traceback.clear_frames(cause.__traceback__)
        wants_code = wants_code or "trust_remote_code=True" in str(cause)
        known = cause if isinstance(cause, Problem) else known
        cause = cause.__cause__ or cause.__context__
    if known:
        return Problem(known.key, **known.facts)  # ours, around which a library put its own words
    if wants_code and "path" in facts:
        return Problem("prompt.own_code", path=facts["path"])
    return Problem("chat.no_memory") if out_of_memory else Problem(key, reason=reasons.of(error), **facts)

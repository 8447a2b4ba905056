"""The threads among which torch divides a product on a processor, given back by whoever is done with them.

GNU's OpenMP, which torch's packages for Linux bring, gives each thread that ever divided a product a team of its own,
and keeps the team until that thread ends. While all teams of a process together have more threads than the machine has
cores, none waits for its next work awake: each of the hundreds of small products of a token then has to wake it.
Measured with two cores and a model of 135 M parameters: 37 tokens/s beside the idle team of another thread, 63 without.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from studio.core.processes.imported import imported

_SOFT = 1  # `omp_pause_soft` (OpenMP 5.0, section 3.2.44): what was set stays, what is held goes


@contextmanager
def given_back() -> Iterator[None]:
    """Give back the team of this thread at the end of the block. A later product makes a new one (about 0.1 ms)."""
    try:
        yield
    finally:
        if torch := imported("torch"):
            _pause(torch.__file__)()


@cache
def _pause(torch: str) -> Callable[[], object]:
    """Return what gives the team of the calling thread back; nothing has to be done where torch has another OpenMP."""
    try:
        # Through torch's own library: other packages bring a GNU OpenMP of their own, which knows nothing of its teams.
        library = ctypes.CDLL(str(Path(torch).with_name("lib") / "libtorch_cpu.so"))
        own = hasattr(library, "GOMP_parallel") and not hasattr(library, "__kmpc_fork_call")
        pause = library.omp_pause_resource_all if own else None
    except (OSError, AttributeError):
        pause = None
    return (lambda: pause(_SOFT)) if pause else lambda: None

"""Python's collector of cycles, kept from going through what stays for the life of the process."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause the collector while modules are imported or a page is built, then leave all that is there out of every
    later collection.

    The libraries make half a million objects that never go. Gone through again and again while they come, they take a
    third longer to import; and each later collection, of which a training run makes several, would take half a second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()

"""Who holds the GPU (or, without one, the CPU and its memory), and how it is handed over. Nothing is ever taken
silently.
"""

import contextlib
import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from studio.core.i18n import Problem
from studio.core.processes.imported import imported

ROOM_TO_SPARE = 1.25


@dataclass
class Holder:
    """One who works on the accelerator: what for, the bytes it expects to need, and how it can be put away (None: it
    cannot).
    """

    who: str
    bytes_needed: int
    evict: Callable[[], None] | None


class DeviceLease:
    """The one owner. Chat, evaluation, training and export ask here before they load anything."""

    def __init__(self) -> None:
        self._holders: dict[str, Holder] = {}
        self._idle: dict[str, Callable[[], None]] = {}
        self._lock = threading.RLock()

    def holders(self) -> list[Holder]:
        """Return who holds it now, first come first."""
        with self._lock:
            return list(self._holders.values())

    def acquire(self, who: str, bytes_needed: int, evict: Callable[[], None] | None = None) -> list[str]:
        """Take the accelerator for `who`, putting others away until `bytes_needed` fit with room to spare. What is only
        kept (see `keep`) goes first.

        Returns:
            those who were put away, to be told to the person.

        Raises:
            Problem: it does not fit beside a holder that cannot be put away.
        """
        with self._lock:
            gone = []
            while self._idle:
                self._idle.popitem()[1]()
            while not self._fits(bytes_needed) and (victim := self._next_victim(who)):
                victim.evict()
                self._holders.pop(victim.who, None)
                gone.append(victim.who)
            others = [name for name in self._holders if name != who]
            if others and not self._fits(bytes_needed):
                raise Problem(
                    "accelerator.busy", holder=", ".join(others), needed=bytes_needed / 2**30, free=free_bytes() / 2**30
                )
            self._holders[who] = Holder(who, bytes_needed, evict)
            return gone

    def keep(self, who: str, evict: Callable[[], None]) -> None:
        """Let `who` keep what nobody works with. It holds the accelerator against nobody: `evict` is called as soon as
        somebody asks for it, and may be called when nothing is kept any more.
        """
        with self._lock:
            self._idle[who] = evict

    def release(self, who: str) -> None:
        """Give it back. Doing so twice is no fault."""
        with self._lock:
            self._holders.pop(who, None)

    def _fits(self, bytes_needed: int) -> bool:
        return bytes_needed * ROOM_TO_SPARE <= free_bytes()

    def _next_victim(self, who: str) -> Holder | None:
        return next((holder for holder in self._holders.values() if holder.evict and holder.who != who), None)


def free_bytes() -> int:
    """Return the bytes free on the GPU this process works on, or free in memory where it works on the CPU.

    The driver is asked before CUDA, whose answer begins a context: half a GiB (measured on an H100) that a studio whose
    runs are processes of their own held for nothing.
    """
    torch = imported("torch")
    if not torch or not torch.cuda.is_available():
        return psutil.virtual_memory().available
    free = _free_by_driver(torch)
    return torch.cuda.mem_get_info()[0] if free is None else free


def _free_by_driver(torch) -> int | None:
    """Return the bytes free on the first GPU that CUDA would see, None where the driver's library does not tell."""
    from nvitop import Device, libnvml

    try:
        # torch's own reading of CUDA_VISIBLE_DEVICES; it refuses what names a slice of a GPU.
        free = Device(torch.cuda._get_nvml_device_index(0)).memory_free()
    except (RuntimeError, libnvml.NVMLError):
        return None
    return free if isinstance(free, int) else None


@dataclass(frozen=True)
class Freed:
    """Bytes in use before and after: by this process in memory, and by torch on the GPU (0 without one)."""

    memory_before: int
    memory_after: int
    gpu_before: int
    gpu_after: int


def free_memory() -> Freed:
    """Collect what nobody holds any more, and give its memory back to the system and the GPU."""
    memory, gpu = psutil.Process().memory_info().rss, _gpu_bytes()
    gc.collect()
    torch = imported("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # glibc keeps freed memory for itself until it is asked; another C library may not know the call.
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
    return Freed(memory, psutil.Process().memory_info().rss, gpu, _gpu_bytes())


def _gpu_bytes() -> int:
    torch = imported("torch")
    return torch.cuda.memory_reserved() if torch and torch.cuda.is_initialized() else 0

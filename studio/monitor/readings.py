"""One look at the machine: GPUs and their processes through nvitop's api, CPU, memory and disk through psutil.

A reading that is not to be had (no sensor, no permission, a process that ended meanwhile) is None.
"""

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import psutil

from studio.core import reasons
from studio.core.i18n import Problem

# nvitop is imported where a card is looked for: not for the time in which the window is built.
if TYPE_CHECKING:
    from nvitop import Device


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU.

    `command` is the program and its script or module without arguments, which may carry keys; `memory` is in bytes;
    `kind` is NVML's "C" (compute), "G" (graphics) or "C+G"; `own` tells the studio's own process.
    """

    pid: int
    command: str | None
    user: str | None
    memory: int | None
    kind: str | None
    own: bool


@dataclass(frozen=True)
class Gpu:
    """A GPU, or one slice of a GPU that MIG has divided (`slice` is its number, None on a whole GPU).

    `utilisation` and `fan` in percent, memory in bytes, `temperature` in degrees Celsius, `power` and `power_limit` in
    watts. `lost` says that the driver cannot reach the card any more: then nothing else of it is known.
    """

    index: int
    slice: int | None
    name: str | None
    utilisation: int | None
    memory_used: int | None
    memory_total: int | None
    temperature: int | None
    power: float | None
    power_limit: float | None
    fan: int | None
    processes: tuple[GpuProcess, ...]
    lost: bool = False


@dataclass(frozen=True)
class CpuTimes:
    """CPU seconds since some start, of which two readings give a share: all cores together, their busy part, this
    process.
    """

    total: float
    busy: float
    process: float


@dataclass(frozen=True)
class Host:
    """The machine around the GPUs.

    `cpu` and `cpu_process` (the studio's own part) in percent of all cores; `load` is the load average over 1, 5 and 15
    minutes; memory and disk in bytes, the disk being the workspace's; `memory_process` is what the studio's process
    keeps resident.
    """

    cores: int | None
    cpu: float | None
    cpu_process: float | None
    load: tuple[float, float, float] | None
    memory_used: int
    memory_total: int
    memory_available: int
    memory_process: int | None
    disk_free: int | None
    disk_total: int | None


@dataclass(frozen=True)
class Snapshot:
    """One look at the machine. `at` is in seconds since the epoch; `no_gpu` says why `gpus` is empty, None where it is
    not.
    """

    at: float
    gpus: tuple[Gpu, ...]
    no_gpu: Problem | None
    host: Host
    times: CpuTimes


def snapshot_now(workspace_root: Path, earlier: CpuTimes | None = None) -> Snapshot:
    """Look at the machine now.

    Args:
        workspace_root: the folder whose disk is read.
        earlier: the CPU times of an earlier look; the CPU percentages are those of the time between, and None without
            it.
    """
    devices, no_gpu = _devices()
    times = cpu_times()
    return Snapshot(
        time.time(), tuple(_gpu(device) for device in devices), no_gpu, _host(workspace_root, earlier, times), times
    )


def has_gpu() -> bool:
    """Tell whether the driver shows a GPU on this machine."""
    return bool(_devices()[0])


def cpu_times() -> CpuTimes:
    """Read the CPU's counters. Busy is all but idle and waiting for disks, as psutil and top count it."""
    whole, own = psutil.cpu_times(), _process().cpu_times()
    # Linux counts a guest's time in `user` as well.
    total = sum(whole) - getattr(whole, "guest", 0) - getattr(whole, "guest_nice", 0)
    return CpuTimes(total, total - whole.idle - getattr(whole, "iowait", 0), own.user + own.system)


def short_command(arguments: list[str]) -> str | None:
    """Return what a person calls a process by: `python train.py`, `python -m vllm`, `Xorg`; None for an empty command
    line.
    """
    if not arguments or not arguments[0]:
        return None
    program, rest = PurePath(arguments[0]).name, iter(arguments[1:])
    if not program.startswith("python"):
        return program
    for argument in rest:
        if argument == "-m":
            return f"python -m {next(rest, '')}".rstrip()
        if argument in ("-X", "-W"):
            next(rest, None)
        elif not argument.startswith("-"):
            return f"python {PurePath(argument).name}"
        elif argument == "-c":
            break
    return "python"


@cache
def _process() -> psutil.Process:
    return psutil.Process()


@cache
def _devices() -> tuple[list["Device"], Problem | None]:
    """Find the GPUs, once: on a machine without a driver the search is not repeated with every reading."""
    from nvitop import Device, libnvml

    # nvitop prints a banner of its own on stderr; the strip says the same in one line.
    libnvml.LOGGER.disabled = True
    try:
        libnvml.nvmlInit()
        found = [leaf for device in Device.all() for leaf in device.to_leaf_devices()]
    except libnvml.NVMLError_LibraryNotFound:
        return [], Problem("monitor.no_driver")
    except libnvml.NVMLError_DriverNotLoaded:
        return [], Problem("monitor.driver_not_loaded")
    except libnvml.NVMLError_LibRmVersionMismatch:
        return [], Problem("monitor.driver_mismatch")
    except libnvml.NVMLError_NoPermission:
        return [], Problem("monitor.no_permission")
    except libnvml.NVMLError as error:
        return [], Problem("monitor.nvml_failed", reason=reasons.of(error))
    return found, None if found else Problem("monitor.no_device")


def _gpu(device: "Device") -> Gpu:
    with device.oneshot():
        index = device.index
        card, part = index if isinstance(index, tuple) else (index, None)
        if _is_lost(device):
            return Gpu(card, part, None, None, None, None, None, None, None, None, (), lost=True)
        processes = [_gpu_process(process) for process in device.processes().values()]
        return Gpu(
            index=card,
            slice=part,
            name=_known(device.name(), str),
            utilisation=_known(device.gpu_utilization()),
            memory_used=_known(device.memory_used()),
            memory_total=_known(device.memory_total()),
            temperature=_known(device.temperature()),
            power=_watts(device.power_usage()),
            power_limit=_watts(device.power_limit()),
            fan=_known(device.fan_speed()),
            processes=tuple(sorted(processes, key=lambda process: (-(process.memory or 0), process.pid))),
        )


def _is_lost(device: "Device") -> bool:
    """Tell whether the card fell off the bus, before the studio looked first or since: nvitop then has no handle of it,
    or answers "N/A" to everything.
    """
    from nvitop import libnvml

    if device.handle is None:
        return True
    try:
        libnvml.nvmlQuery("nvmlDeviceGetMemoryInfo", device.handle, ignore_errors=False)
    except libnvml.NVMLError_GpuIsLost:
        return True
    except libnvml.NVMLError:
        return False  # of another kind: a card that does not tell its memory may tell the rest
    return False


def _gpu_process(found) -> GpuProcess:
    command = user = None
    try:
        with found.host.oneshot():
            command = short_command(found.host.cmdline()) or found.host.name()
            user = found.host.username()
    except psutil.Error:
        # Ended meanwhile, hidden by the system, or outside this container: its memory is still worth showing.
        command = command or None
    return GpuProcess(
        found.pid, command, user, _known(found.gpu_memory()), _known(found.type, str), found.pid == os.getpid()
    )


def _known(value, kind: type | tuple[type, ...] = (int, float)):
    """Return `value`, or None where it is nvitop's "N/A", which is a str."""
    return value if isinstance(value, kind) and value != "N/A" else None


def _watts(milliwatts) -> float | None:
    value = _known(milliwatts)
    return None if value is None else value / 1000


def _host(root: Path, earlier: CpuTimes | None, now: CpuTimes) -> Host:
    memory = psutil.virtual_memory()
    passed = now.total - earlier.total if earlier else 0
    try:
        disk = psutil.disk_usage(str(root))
    except OSError:
        disk = None  # the folder is on a disk that went away
    return Host(
        cores=psutil.cpu_count(),
        cpu=_share(now.busy - earlier.busy, passed) if passed > 0 else None,
        cpu_process=_share(now.process - earlier.process, passed) if passed > 0 else None,
        load=psutil.getloadavg(),
        memory_used=memory.total - memory.available,
        memory_total=memory.total,
        memory_available=memory.available,
        memory_process=_process().memory_info().rss,
        disk_free=disk and disk.free,
        disk_total=disk and disk.total,
    )


def _share(part: float, whole: float) -> float:
    # The counters of different cores are not read at one instant, so a share can come out a hair below 0 or above 100.
    return min(100.0, max(0.0, 100 * part / whole))

"""Which devices a run trains on, by their numbers on this machine; none named means all that the studio has."""

import os
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs

CPU_PROCESSES = 2


def of(run: str, workspace: Workspace) -> list[int]:
    """Return the devices of a run by its name; none where it names none or is gone."""
    return runs.Run(run, workspace.saves / run).info().devices


def of_this_process() -> list[int]:
    """Return the devices that this process may use, as CUDA_VISIBLE_DEVICES names them; none where it names none by
    number.
    """
    return [int(part) for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip().isdecimal()]


def of_this_machine() -> list[int]:
    """Return the numbers of all GPUs that the driver knows."""
    from nvitop import Device

    return list(range(Device.count()))


@dataclass(frozen=True)
class Spread:
    """How a run is spread. devices: numbers of the GPUs, empty for none or for those that Ray gives. processes: how
    many train together.
    """

    devices: list[int]
    processes: int


def spread(options: dict[str, object], executor: str, cuda: bool) -> Spread:
    """Return how an executor spreads over what the person chose in `options`.

    Args:
        options: `devices`, a list of GPU numbers; `processes`, their number where there is no GPU (2 when left out).
        executor: the executor's name; one process trains on one device, torchrun and Ray on all that are chosen.
        cuda: whether this machine trains on GPUs.

    Raises:
        Problem: a device that is no whole number or not in this machine, more than one for a single process, or another
            than its own for this process; with the field `devices`.
    """
    numbers = options.get("devices") or []
    if not isinstance(numbers, list) or not all(isinstance(one, int) and one >= 0 for one in numbers):
        raise Problem("executors.bad_devices", devices=numbers, field="devices")
    several = executor in ("torchrun", "ray")
    if not cuda:
        if numbers and executor != "ray":
            raise Problem("executors.no_gpu", field="devices")
        processes = options.get("processes", CPU_PROCESSES) if several else 1
        if not isinstance(processes, int) or not 1 <= processes <= 64:
            raise Problem("executors.bad_processes", processes=processes)
        return Spread([], processes)
    if executor == "ray":
        return Spread([], options.get("processes", len(numbers) or len(of_this_machine())))
    known = of_this_machine()
    missing = [one for one in numbers if one not in known]
    if missing:
        raise Problem("executors.no_device", device=missing[0], known=", ".join(map(str, known)), field="devices")
    if executor == "in-process":
        own = of_this_process()
        if numbers and numbers != (own[:1] or [0]):
            raise Problem("executors.own_device", device=(own or [0])[0], field="devices")
        return Spread(own, 1)
    if not several and len(numbers) > 1:
        raise Problem("executors.one_device", executor=executor, field="devices")
    if several:
        numbers = numbers or known
        return Spread(numbers, len(numbers))
    return Spread(numbers or of_this_process(), 1)

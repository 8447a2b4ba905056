"""What a script can ask of the machine."""

from collections.abc import Callable

from studio.monitor.history import Monitor, Point
from studio.monitor.page import schemas
from studio.monitor.readings import Gpu, GpuProcess, Snapshot


def endpoints(machine: Monitor) -> list[Callable]:
    """Return the endpoints of the monitor."""

    def monitor() -> schemas.MonitorResult:
        """Return {gpus, processes, cpu, memory, disk, history}."""
        return monitor_result(machine.latest(), machine.history())

    return [monitor]


def monitor_result(snapshot: Snapshot, history: tuple[Point, ...]) -> schemas.MonitorResult:
    """Return a reading and the last five minutes as `/monitor` answers."""
    host = snapshot.host
    return schemas.MonitorResult(
        at=snapshot.at,
        gpus=[_gpu(gpu) for gpu in snapshot.gpus],
        no_gpu=str(snapshot.no_gpu) if snapshot.no_gpu else None,
        processes=[_process(gpu, process) for gpu in snapshot.gpus for process in gpu.processes],
        cpu=schemas.CpuResult(
            percent=host.cpu,
            process_percent=host.cpu_process,
            cores=host.cores,
            load=list(host.load) if host.load else None,
        ),
        memory=schemas.MemoryResult(
            used_bytes=host.memory_used,
            total_bytes=host.memory_total,
            available_bytes=host.memory_available,
            process_bytes=host.memory_process,
        ),
        disk=schemas.DiskResult(free_bytes=host.disk_free, total_bytes=host.disk_total),
        history=_history(snapshot.gpus, history),
    )


def _gpu(gpu: Gpu) -> schemas.GpuResult:
    return schemas.GpuResult(
        index=gpu.index,
        slice=gpu.slice,
        name=gpu.name,
        utilisation_percent=gpu.utilisation,
        memory_used_bytes=gpu.memory_used,
        memory_total_bytes=gpu.memory_total,
        temperature_c=gpu.temperature,
        power_w=gpu.power,
        power_limit_w=gpu.power_limit,
        fan_percent=gpu.fan,
        lost=gpu.lost,
    )


def _process(gpu: Gpu, process: GpuProcess) -> schemas.GpuProcessResult:
    return schemas.GpuProcessResult(
        gpu=gpu.index,
        slice=gpu.slice,
        pid=process.pid,
        command=process.command,
        user=process.user,
        memory_bytes=process.memory,
        kind=process.kind,
        own=process.own,
    )


def _history(gpus: tuple[Gpu, ...], history: tuple[Point, ...]) -> schemas.HistoryResult:
    return schemas.HistoryResult(
        at=[point.at for point in history],
        cpu_percent=[point.cpu for point in history],
        memory_percent=[point.memory for point in history],
        gpus=[
            schemas.GpuHistory(
                index=gpu.index,
                slice=gpu.slice,
                utilisation_percent=[point.gpus[number][0] for point in history],
                memory_percent=[point.gpus[number][1] for point in history],
            )
            for number, gpu in enumerate(gpus)
        ],
    )

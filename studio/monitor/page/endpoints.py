"""What a script can ask of the machine."""

from collections.abc import Callable

from studio.core.i18n import Words
from studio.core.sentences import Sentence
from studio.monitor.history import Monitor, Point
from studio.monitor.machine_check import MachineCheck
from studio.monitor.page import schemas
from studio.monitor.readings import Gpu, GpuProcess, Snapshot


def endpoints(machine: Monitor, check: MachineCheck, words: Words) -> list[Callable]:
    """Return the endpoints of the monitor; why there is no GPU, and what the doctor found, is told in
    `words`.
    """

    def monitor() -> schemas.MonitorResult:
        """Return {gpus, processes, cpu, memory, disk, history}."""
        return monitor_result(machine.latest(), machine.history(), words)

    def machine_report() -> schemas.MachineResult:
        """Return {looked, findings: [{what, state, text}]}: what the doctor found on this machine. The first call
        begins to look; `looked` is null until that is done.
        """
        return _report(check, words)

    def machine_check() -> schemas.MachineResult:
        """Begin to look this machine over again, the answer of both hubs too, and return what `machine_report` does."""
        check.look()
        return _report(check, words)

    return [monitor, machine_report, machine_check]


def _report(check: MachineCheck, words: Words) -> schemas.MachineResult:
    report = check.report()
    return schemas.MachineResult(
        looked=report.looked,
        findings=[
            schemas.FindingResult(
                what=one.what,
                state=one.state,
                text=Sentence(key=f"launch.doctor_{one.key}", facts=one.facts).tell(words),
            )
            for one in report.findings
        ],
    )


def monitor_result(snapshot: Snapshot, history: tuple[Point, ...], words: Words) -> schemas.MonitorResult:
    """Return a reading and the last five minutes as `/monitor` answers."""
    host = snapshot.host
    return schemas.MonitorResult(
        at=snapshot.at,
        gpus=[_gpu(gpu) for gpu in snapshot.gpus],
        no_gpu=words.tell(snapshot.no_gpu) if snapshot.no_gpu else None,
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

"""What `/monitor` answers, units in the names of the fields; what cannot be read is null."""

from pydantic import Field

from studio.web.schema import Result


class GpuResult(Result):
    index: int
    slice: int | None = Field(description="the number of a part of a GPU that MIG divided, null for a whole GPU")
    name: str | None
    utilisation_percent: int | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    temperature_c: int | None
    power_w: float | None
    power_limit_w: float | None
    fan_percent: int | None
    lost: bool = Field(description="whether the driver cannot reach the card any more")


class GpuProcessResult(Result):
    gpu: int = Field(description="the index of the GPU whose memory it holds")
    slice: int | None
    pid: int
    command: str | None = Field(description="the program and its script or module, without arguments")
    user: str | None
    memory_bytes: int | None
    kind: str | None = Field(description='"C" (compute), "G" (graphics) or "C+G"')
    own: bool = Field(description="whether it is the studio's own process")


class CpuResult(Result):
    percent: float | None = Field(description="of all cores")
    process_percent: float | None = Field(description="the studio's part of it")
    cores: int | None
    load: list[float] | None = Field(description="average over 1, 5 and 15 minutes")


class MemoryResult(Result):
    used_bytes: int
    total_bytes: int
    available_bytes: int
    process_bytes: int | None = Field(description="what the studio's process keeps resident")


class DiskResult(Result):
    free_bytes: int | None
    total_bytes: int | None


class GpuHistory(Result):
    index: int
    slice: int | None
    utilisation_percent: list[float | None]
    memory_percent: list[float | None]


class HistoryResult(Result):
    at: list[float] = Field(description="seconds since 1970 of each reading; every series goes with it")
    cpu_percent: list[float | None]
    memory_percent: list[float]
    gpus: list[GpuHistory]


class MonitorResult(Result):
    at: float = Field(description="seconds since 1970")
    gpus: list[GpuResult]
    no_gpu: str | None = Field(description="why there is no GPU, null where there is one")
    processes: list[GpuProcessResult]
    cpu: CpuResult
    memory: MemoryResult
    disk: DiskResult = Field(description="the disk of the workspace")
    history: HistoryResult


class FindingResult(Result):
    what: str = Field(description="what was looked at")
    state: str = Field(description='"good", "optional" (the studio does without) or "missing"')
    text: str = Field(description="what was found, and how to mend it")


class MachineResult(Result):
    looked: float | None = Field(description="when the look ended, in seconds since 1970")
    findings: list[FindingResult]

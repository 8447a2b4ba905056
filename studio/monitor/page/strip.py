"""The strip in the sidebar: each GPU or why there is none, then CPU, memory and disk.

Its look is in assets/monitor.css. The page merges it once a second, so every fold has an `id` of its own.
"""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.monitor.history import SPAN_S, Point, percent
from studio.monitor.readings import Gpu, Host, Snapshot

TEMPLATE = "monitor/page/strip.html"
# A pool this full is about to fail somebody's work: it is drawn in the colour of failure.
NEARLY_FULL = 92
# From here on a GPU is one line that unfolds, so that a machine with eight still fits beside the page.
MANY_GPUS = 4
COLUMN_S, HEIGHT = 3, 24
COLUMNS = SPAN_S // COLUMN_S


@dataclass(frozen=True)
class Curve:
    """The data of three SVG paths in a box of `width` by `height`: a filled area with its upper edge, and a line."""

    area: str
    edge: str
    line: str
    width: int = COLUMNS - 1
    height: int = HEIGHT


@dataclass(frozen=True)
class GpuContext:
    """A GPU; `place` tells it from all others, `memory_share` is in percent."""

    gpu: Gpu
    place: str
    short_name: str | None
    memory_share: float | None
    curve: Curve


@dataclass(frozen=True)
class StripContext:
    """`folded` GPUs are one line each until they are unfolded; `no_gpu` says why there is none; shares in percent."""

    gpus: list[GpuContext]
    folded: bool
    no_gpu: Problem | None
    host: Host
    memory_share: float | None
    disk_share: float | None
    curve: Curve
    nearly_full: int = NEARLY_FULL


def strip(snapshot: Snapshot, history: tuple[Point, ...]) -> StripContext:
    """Return what the strip shows of a reading and of the last five minutes."""
    host = snapshot.host
    disk_used = None if host.disk_total is None else host.disk_total - host.disk_free
    return StripContext(
        [_gpu(snapshot, number, history) for number in range(len(snapshot.gpus))],
        len(snapshot.gpus) > MANY_GPUS,
        snapshot.no_gpu,
        host,
        percent(host.memory_used, host.memory_total),
        percent(disk_used, host.disk_total),
        curve(snapshot.at, [(point.at, point.cpu, point.memory) for point in history]),
    )


def _gpu(snapshot: Snapshot, number: int, history: tuple[Point, ...]) -> GpuContext:
    gpu = snapshot.gpus[number]
    return GpuContext(
        gpu,
        str(gpu.index) if gpu.slice is None else f"{gpu.index}-{gpu.slice}",
        _short_name(gpu.name),
        percent(gpu.memory_used, gpu.memory_total),
        curve(snapshot.at, [(point.at, *point.gpus[number]) for point in history]),
    )


def _short_name(name: str | None) -> str | None:
    for maker in ("NVIDIA ", "GeForce ", "Tesla "):
        name = name and name.removeprefix(maker)
    if name and " MIG " in name:  # the slice is what tells two lines apart, and the end of a long name is cut off
        card, _, slice_ = name.partition(" MIG ")
        return f"{card.split()[0]} MIG {slice_}"
    return name


def curve(now: float, points: list[tuple[float, float | None, float | None]]) -> Curve:
    """Return (time, filled, line) in percent over the last five minutes; a gap in time is a gap in the curve.

    Points fall into columns of three seconds that start at whole multiples of it, so that the curve moves but never
    changes shape.
    """
    filled = _stretches(now, [(at, value) for at, value, _ in points])
    line = _stretches(now, [(at, value) for at, _, value in points])
    area = "".join(
        f"M{one[0][0]},{HEIGHT}" + "".join(f"L{x},{y}" for x, y in one) + f"L{one[-1][0]},{HEIGHT}Z" for one in filled
    )
    return Curve(area, _path(filled), _path(line))


def _path(stretches: list[list[tuple[int, float]]]) -> str:
    # A stretch of one column would have no length and so no ink.
    return "".join("M" + "L".join(f"{x},{y}" for x, y in one) + ("h.01" if len(one) == 1 else "") for one in stretches)


def _stretches(now: float, points: list[tuple[float, float | None]]) -> list[list[tuple[int, float]]]:
    """Return the unbroken stretches of (column, height from the top), each column being the mean of its readings."""
    columns: dict[int, list[float]] = {}
    for at, value in points:
        column = COLUMNS - 1 - (int(now // COLUMN_S) - int(at // COLUMN_S))
        if value is not None and 0 <= column < COLUMNS:
            columns.setdefault(column, []).append(value)
    stretches: list[list[tuple[int, float]]] = []
    for column, values in columns.items():
        # A slow machine is read every five seconds at the least, so one empty column is no gap.
        if not stretches or column - stretches[-1][-1][0] > 2:
            stretches.append([])
        mean = min(100, sum(values) / len(values))
        stretches[-1].append((column, round(HEIGHT - 0.5 - (HEIGHT - 1) * mean / 100, 1)))
    return stretches

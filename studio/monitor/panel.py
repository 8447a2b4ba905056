"""The strip as HTML: a snapshot in, text out. Its look is in assets/monitor.css.

The page replaces the whole once a second, so every fold has an `id` of its own by which it stays open.
"""

from markupsafe import escape

from studio.core.i18n import Words
from studio.monitor.history import SPAN_S, Point, percent
from studio.monitor.readings import Gpu, GpuProcess, Host, Snapshot

GIB = 2**30
# A pool this full is about to fail somebody's work: it is drawn in the colour of failure.
NEARLY_FULL = 92
# From here on a GPU is one line that unfolds, so that a machine with eight still fits beside the page.
MANY_GPUS = 4
COLUMN_S, HEIGHT = 3, 24
COLUMNS = SPAN_S // COLUMN_S


def strip(words: Words, snapshot: Snapshot, history: tuple[Point, ...]) -> str:
    """Return the strip for the sidebar: each GPU or why there is none, then CPU, memory and disk."""
    if snapshot.no_gpu:
        gpus = [f'<p class="mon-none">{escape(words.tell(snapshot.no_gpu))}</p>']
    else:
        curves = [
            _curve(snapshot.at, [(point.at, *point.gpus[place]) for point in history])
            for place in range(len(snapshot.gpus))
        ]
        many = len(snapshot.gpus) > MANY_GPUS
        gpus = [
            _folded_gpu(words, gpu, curve) if many else _gpu(words, gpu, curve)
            for gpu, curve in zip(snapshot.gpus, curves, strict=True)
        ]
    curve = _curve(snapshot.at, [(point.at, point.cpu, point.memory) for point in history])
    return f'<div class="mon">{"".join(gpus)}{_host(words, snapshot.host, curve)}</div>'


def _gpu(words: Words, gpu: Gpu, curve: str) -> str:
    return (
        f'<section class="mon-gpu"><div class="mon-head"><b>{_gpu_label(words, gpu)}</b>'
        f'<span title="{escape(gpu.name or "")}">{escape(_short_name(words, gpu.name))}</span></div>'
        f"{_gpu_rows(words, gpu, curve)}</section>"
    )


def _folded_gpu(words: Words, gpu: Gpu, curve: str) -> str:
    used = "" if gpu.utilisation is None else words("monitor.percent", value=gpu.utilisation)
    return (
        f'<details class="mon-gpu mon-fold" id="mon-gpu-{escape(_place(gpu))}"><summary'
        f' title="{escape(gpu.name or "")}">'
        f"<b>{_gpu_label(words, gpu)}</b>{_bar(gpu.utilisation, words('monitor.util'))}"
        f'<span class="mon-value">{escape(used or words("monitor.unknown"))}</span>'
        f'<span class="mon-value">{escape(_size(words, gpu.memory_used))}</span></summary>'
        f'<div class="mon-name">{escape(_short_name(words, gpu.name))}</div>{_gpu_rows(words, gpu, curve)}</details>'
    )


def _gpu_rows(words: Words, gpu: Gpu, curve: str) -> str:
    used = percent(gpu.memory_used, gpu.memory_total)
    sensors = [
        words("monitor.celsius", value=_number(words, gpu.temperature)),
        (
            words("monitor.watts", value=_number(words, gpu.power))
            if gpu.power_limit is None
            else words("monitor.watts_of", used=_number(words, gpu.power), limit=_number(words, gpu.power_limit))
        ),
    ]
    if gpu.fan is not None:
        sensors.append(words("monitor.fan", value=gpu.fan))
    return (
        _row(words, "monitor.util", gpu.utilisation, words("monitor.percent", value=_number(words, gpu.utilisation)))
        + _row(words, "monitor.memory", used, _of(words, gpu.memory_used, gpu.memory_total), limited=True)
        + f'<div class="mon-sensors">{"".join(f"<span>{escape(sensor)}</span>" for sensor in sensors)}</div>'
        + _curve_row(words("monitor.minutes"), curve, words("monitor.curve_gpu"))
        + _processes(words, gpu)
    )


def _processes(words: Words, gpu: Gpu) -> str:
    count = len(gpu.processes)
    if not count:
        return f'<div class="mon-idle">{escape(words("monitor.processes_none"))}</div>'
    title = words("monitor.processes_one") if count == 1 else words("monitor.processes", count=count)
    rows = "".join(_process(words, process) for process in gpu.processes)
    return (
        '<details class="mon-processes"'
        f' id="mon-processes-{escape(_place(gpu))}"><summary>{escape(title)}</summary><ul>{rows}</ul></details>'
    )


def _process(words: Words, process: GpuProcess) -> str:
    command = process.command or words("monitor.hidden")
    facts = [words("monitor.pid", pid=process.pid), process.user, process.kind]
    return (
        f'<li><span class="mon-command" title="{escape(command)}">{escape(command)}</span>'
        f'<span class="mon-value">{escape(_size(words, process.memory))}</span>'
        f'<span class="mon-facts">{escape(" · ".join(fact for fact in facts if fact))}</span>'
        + (f'<span class="mon-own">{escape(words("monitor.own"))}</span>' if process.own else "")
        + "</li>"
    )


def _host(words: Words, host: Host, curve: str) -> str:
    used_disk = None if host.disk_total is None else host.disk_total - host.disk_free
    load = " ".join(f"{value:.1f}" for value in host.load) if host.load else words("monitor.unknown")
    return (
        '<section class="mon-host">'
        + _row(
            words,
            "monitor.cpu",
            host.cpu,
            words("monitor.percent", value=_number(words, host.cpu)),
            more=words(
                "monitor.cpu_more", own=_number(words, host.cpu_process), cores=_number(words, host.cores), load=load
            ),
        )
        + _row(
            words,
            "monitor.ram",
            percent(host.memory_used, host.memory_total),
            _of(words, host.memory_used, host.memory_total),
            more=words(
                "monitor.ram_more", own=_gib(words, host.memory_process), available=_gib(words, host.memory_available)
            ),
            limited=True,
        )
        + _row(
            words,
            "monitor.disk",
            percent(used_disk, host.disk_total),
            words("monitor.free", size=_gib(words, host.disk_free)),
            more=words("monitor.disk_more", free=_gib(words, host.disk_free), total=_gib(words, host.disk_total)),
            limited=True,
        )
        + _curve_row(words("monitor.minutes"), curve, words("monitor.curve_cpu"))
        + "</section>"
    )


def _row(words: Words, key: str, share: float | None, value: str, more: str = "", limited: bool = False) -> str:
    label, full = words(key), limited and share is not None and share >= NEARLY_FULL
    value = words("monitor.unknown") if share is None else value
    return (
        f'<div class="mon-row{" mon-full" if full else ""}" title="{escape(more)}"><span'
        f' class="mon-label">{escape(label)}</span>{_bar(share, label)}<span'
        f' class="mon-value">{escape(value)}</span></div>'
    )


def _bar(share: float | None, label: str) -> str:
    if share is None:
        return '<span class="mon-bar"></span>'
    return (
        f'<span class="mon-bar" role="meter" aria-label="{escape(label)}" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{share:.0f}"><i style="width:{share:.0f}%"></i></span>'
    )


def _curve_row(label: str, curve: str, title: str) -> str:
    return f'<div class="mon-row" title="{escape(title)}"><span class="mon-label">{escape(label)}</span>{curve}</div>'


def _curve(now: float, points: list[tuple[float, float | None, float | None]]) -> str:
    """Draw (time, filled, line) in percent over the last five minutes as SVG; a gap in time is a gap in the curve.

    Points fall into columns of three seconds that start at whole multiples of it, so that the curve moves but never
    changes shape.
    """
    filled = _runs(now, [(at, value) for at, value, _ in points])
    line = _runs(now, [(at, value) for at, _, value in points])
    area = "".join(
        f"M{run[0][0]},{HEIGHT}" + "".join(f"L{x},{y}" for x, y in run) + f"L{run[-1][0]},{HEIGHT}Z" for run in filled
    )
    return (
        f'<svg class="mon-curve" viewBox="0 0 {COLUMNS - 1} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="mon-area" d="{escape(area)}"/><path class="mon-edge" d="{escape(_trace(filled))}"/>'
        f'<path class="mon-line" d="{escape(_trace(line))}"/></svg>'
    )


def _trace(runs: list[list[tuple[int, float]]]) -> str:
    # A run of one column would have no length and so no ink.
    return "".join("M" + "L".join(f"{x},{y}" for x, y in run) + ("h.01" if len(run) == 1 else "") for run in runs)


def _runs(now: float, points: list[tuple[float, float | None]]) -> list[list[tuple[int, float]]]:
    """Return the unbroken stretches of (column, height from the top), each column being the mean of its readings."""
    columns: dict[int, list[float]] = {}
    for at, value in points:
        column = COLUMNS - 1 - (int(now // COLUMN_S) - int(at // COLUMN_S))
        if value is not None and 0 <= column < COLUMNS:
            columns.setdefault(column, []).append(value)
    runs: list[list[tuple[int, float]]] = []
    for column, values in columns.items():
        # A slow machine is read every five seconds at the least, so one empty column is no gap.
        if not runs or column - runs[-1][-1][0] > 2:
            runs.append([])
        mean = min(100, sum(values) / len(values))
        runs[-1].append((column, round(HEIGHT - 0.5 - (HEIGHT - 1) * mean / 100, 1)))
    return runs


def _place(gpu: Gpu) -> str:
    return str(gpu.index) if gpu.slice is None else f"{gpu.index}-{gpu.slice}"


def _gpu_label(words: Words, gpu: Gpu) -> str:
    if gpu.slice is None:
        return escape(words("monitor.gpu", index=gpu.index))
    return escape(words("monitor.gpu_slice", index=gpu.index, slice=gpu.slice))


def _short_name(words: Words, name: str | None) -> str:
    if name is None:
        return words("monitor.unknown")
    for maker in ("NVIDIA ", "GeForce ", "Tesla "):
        name = name.removeprefix(maker)
    return name


def _of(words: Words, used: int | None, total: int | None) -> str:
    return words("monitor.of", used=_gib(words, used), total=_gib(words, total))


def _size(words: Words, size: int | None) -> str:
    return words("monitor.unknown") if size is None else words("monitor.size", size=_gib(words, size))


def _gib(words: Words, size: int | None) -> str:
    if size is None:
        return words("monitor.unknown")
    return f"{size / GIB:.1f}" if size < 9.95 * GIB else f"{size / GIB:.0f}"


def _number(words: Words, value: float | None) -> str:
    return words("monitor.unknown") if value is None else f"{value:.0f}"

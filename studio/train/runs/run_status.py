"""What the events of a run add up to: its state, its progress, its curves."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from studio.core.storage import files
from studio.train.runs import event_columns, events

# Thinning costs time in proportion to the points, so it is done rarely and thoroughly.
THIN_AT = 8 * events.POINTS_KEPT
ACTIVE = ("queued", "preparing", "running", "stopping")


@dataclass
class Status:
    """What the events of a run add up to. Times in seconds since 1970.

    A run that was resumed worked in several stretches: `worked` are the seconds of those that ended, and `zero` is the
    moment from which the seconds of the newest one count, so that they go on where the one before it ended. `loss` is
    the last that was logged, None where that was no number.
    """

    state: str = "queued"
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    epochs_per_step: float | None = None
    loss: float | None = None
    started: float | None = None
    ended: float | None = None
    worked: float = 0.0
    zero: float | None = None
    error: dict[str, object] | None = None
    facts: dict[str, object] = field(default_factory=dict)
    warnings: list[dict[str, object]] = field(default_factory=list)
    probes: list[dict[str, object]] = field(default_factory=list)
    series: dict[str, list[tuple]] = field(default_factory=dict)
    steps_began: tuple[float, int] | None = None
    last_time: float = 0.0
    size: int = 0
    order: str = ""
    order_states: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0  # lines that are no events, or whose values cannot be
    heard: float = 0.0  # when this process last saw the file grow, by a clock that nobody sets (time.monotonic)
    age: float = 0.0  # how old the file was by the calendar when this process first saw it; 0 once it has grown since

    def take(self, event: dict[str, object]) -> None:
        """Add one event, as `events.read` gives it."""
        before, self.last_time = self.last_time, event.get("time", self.last_time)
        kind = event["event"]
        if kind in ("state", "error") and not self._is_of_the_last_order(event):
            return
        if kind == "state":
            self._take_state(event, before)
        elif kind == "facts":
            self.facts = {key: value for key, value in event.items() if key not in ("event", "time")}
            self.total_steps = event.get("total_steps", 0)
            self.step = event.get("step", 0)
            self.steps_began = (event["time"], self.step)
            self._forget_after(self.step)
            if not self.step and self.zero is not None:  # it begins anew, and what it did before is gone
                self.started = self.zero = self.zero + self.worked
                self.worked = 0.0
        elif kind == "step":
            self.step = event["step"]
        elif kind == "metrics":
            self._take_metrics(event)
        elif kind == "warning":
            self.warnings = [*self.warnings, event][-20:]
        elif kind == "probe":
            self.probes = [*self.probes, event][-200:]
        elif kind == "unreadable":
            self.unreadable += 1
        elif kind == "error" and not self.error:
            # Where several processes train together, the first fault is the cause and the others follow from it.
            self.error = {key: value for key, value in event.items() if key not in ("event", "time")}

    def _is_of_the_last_order(self, event: dict[str, object]) -> bool:
        """Note the last state of a start, and tell whether it is the start that counts: a run that was queued again has
        left the old one.
        """
        order = event.get("order", "")
        if event["event"] == "state":
            if (
                event["state"] != "stopping" or self.order_states.get(order, "queued") in ACTIVE
            ):  # else asked just as it came to its end
                self.order_states = {**self.order_states, order: event["state"]}
            if event["state"] == "queued":
                self.order = order
        return not order or not self.order or order == self.order

    def _take_state(self, event: dict[str, object], before: float) -> None:
        """Take a state; `before` is the time of the event before it, the last sign of a process that just died."""
        if event["state"] == "stopping" and self.state not in ACTIVE:
            return  # asked just as the run came to its end by itself
        self.state = event["state"]
        if self.state not in ACTIVE:
            self._end_stretch(event["time"])
        elif self.state in ("queued", "preparing") and self.zero is not None and not self.ended:
            self._end_stretch(before)
        if self.state == "preparing":
            self.started, self.ended, self.error = self.started or event["time"], None, None
            self.zero = event["time"] - self.worked

    def _end_stretch(self, moment: float) -> None:
        if not self.ended and self.zero is not None:
            self.worked = max(self.worked, moment - self.zero)  # the clock may have been set back
        self.ended = moment

    def over(self, state: str) -> "Status":
        """Return the status of a run whose process ended with its last event, without a word."""
        known = replace(self, state=state)
        known._end_stretch(self.last_time)
        return known

    def began(self) -> float | None:
        """Return when a run at work was started or resumed the last time, None where it was not yet."""
        return None if self.zero is None else self.zero + self.worked

    def took(self) -> float | None:
        """Return the seconds that a run that has ended was at work in all, the pauses between left out."""
        return self.worked if self.ended and self.started else None

    def seconds(self, moment: float) -> float:
        """Return how many seconds a run had worked at a moment of its newest stretch."""
        return 0.0 if self.zero is None else round(max(0.0, moment - self.zero), 3)

    def _take_epoch(self, step: int, epoch: float | None) -> None:
        if epoch:
            self.epoch = epoch
            self.epochs_per_step = epoch / step if step else self.epochs_per_step

    def _take_metrics(self, event: dict[str, object]) -> None:
        self.step = event["step"]
        self._take_epoch(self.step, event.get("epoch"))
        step, series = event["step"], self.series
        seconds = self.seconds(event["time"])
        for name, value in event["values"].items():
            points = series.get(name)
            if points is None:
                points = series[name] = []
            points.append(
                (step, value, seconds)
            )  # a tuple: the garbage collector need not look into it again and again
            if len(points) > THIN_AT:
                points[:] = events.thinned(points)
        if "loss" in event["values"]:
            self.loss = _number(event["values"]["loss"])

    def take_lines(self, lines: list[bytes | None]) -> None:
        """Add the events of lines as `jsonl.read` gives them."""
        for stretch in event_columns.stretches(lines):
            if isinstance(stretch, event_columns.Columns):
                self._take_columns(stretch)
            else:
                for event in events.of_lines(stretch):
                    self.take(event)

    def _take_columns(self, columns: event_columns.Columns) -> None:
        """Add many logged steps: what `_take_metrics` does with each, one after the other."""
        self.last_time, self.step = columns.time[-1].item(), columns.step[-1].item()
        self._take_epoch(*columns.epoch)
        zero = columns.time if self.zero is None else self.zero
        seconds = np.round(np.maximum(columns.time - zero, 0.0), 3)
        for name, (places, values) in columns.series.items():
            if not len(places):
                continue
            if name == "loss":
                self.loss = values[-1].item()
            points = self.series.setdefault(name, [])
            if len(places) > THIN_AT // 2:
                few = events.kept(values.astype(float))
                places, values = places[few], values[few]
            points += zip(columns.step[places].tolist(), values.tolist(), seconds[places].tolist(), strict=True)
            if len(points) > THIN_AT:
                points[:] = events.thinned(points)

    def _forget_after(self, step: int) -> None:
        # A resumed run trains again what came after its checkpoint; the newer points take the place of the older ones.
        for points in self.series.values():
            points[:] = [point for point in points if point[0] <= step]
        self.warnings = [warning for warning in self.warnings if warning["step"] <= step]
        self.probes = [answer for answer in self.probes if answer["step"] <= step]
        values = (value for _, value, _ in reversed(self.series.get("loss", [])))
        self.loss = _number(next(iter(values), None))
        self.epoch = min(self.epoch, step * (self.epochs_per_step or 0.0))

    def quiet(self) -> float:
        """Return for how many seconds this process has seen nothing new. A calendar that is set anew, or a machine that
        slept, adds none.
        """
        return time.monotonic() - self.heard

    def hear(self, path: Path, size: int) -> None:
        """Take down that the file has this size now."""
        if not self.heard:
            self.age = max(0.0, time.time() - files.stamp(path)[1] / 1e9)
        elif size != self.size:
            self.age = 0.0
        if not self.heard or size != self.size:
            self.heard = time.monotonic()
        self.size = size

    def eta(self) -> float | None:
        """Return the seconds that the steps left will take at the mean pace so far, or None while nothing is known."""
        pace = self.pace()
        return (
            pace * max(0, self.total_steps - self.step)
            if pace is not None and self.state in ("running", "stopping")
            else None
        )

    def pace(self) -> float | None:
        """Return the mean seconds of a step so far, or None while nothing is known."""
        if not self.steps_began or self.step <= self.steps_began[1] or self.last_time < self.steps_began[0]:
            return None  # the clock was set back meanwhile
        return (self.last_time - self.steps_began[0]) / (self.step - self.steps_began[1])


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None

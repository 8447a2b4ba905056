"""The queue of runs, on disk: who waits, in which order, and who is at work. A restart of the studio reads it and goes
on.

`saves/.queue.json` holds `waiting` and `at_work`, each a list of orders {run, resume, id}. A run that is started again
is another order of the same run: the end of one strikes out that one alone. Only the studio that owns the workspace
starts what waits.
"""

import contextlib
import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ConfigDict, field_validator

from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.records import Record
from studio.core.workspace import safe_name, write_json

FILE = ".queue.json"


@dataclass(frozen=True)
class Order:
    """A run that waits or is at work, and the name of the checkpoint that it goes on from, if any. Orders of old
    releases have no id.
    """

    run: str
    resume: str | None = None
    id: str = ""


def new_order(run: str, resume: str | None = None) -> Order:
    """Return an order with an id of its own."""
    return Order(run, resume, secrets.token_hex(6))


class Queue:
    """The queue of one workspace. Every change is on disk before the method returns; Problem where the disk refuses."""

    def __init__(self, saves: Path):
        self._path = saves / FILE
        self._lock = threading.RLock()

    def waiting(self) -> list[Order]:
        """Return who waits, first come first unless moved."""
        return _orders(_read(self._path), "waiting")

    def at_work(self) -> list[Order]:
        """Return who has been started and was not yet seen to end."""
        return _orders(_read(self._path), "at_work")

    def faults(self) -> list[Problem]:
        """Return what is wrong with the file: the whole of it, or orders in it that are left out."""
        _read(self._path)
        return list(_faults.get(self._path, ()))

    def add(self, order: Order) -> None:
        """Put an order at the end."""
        with self._changed() as (waiting, _):
            waiting.append(order)

    def move(self, run: str, position: int) -> None:
        """Put a waiting run at a position, 0 being the next to start. Raises Problem where it does not wait."""
        with self._changed() as (waiting, _):
            order = _of(waiting, run)
            waiting.remove(order)
            waiting.insert(max(0, position), order)

    def remove(self, run: str) -> None:
        """Take a run out of the queue before it starts. Raises Problem where it does not wait."""
        with self._changed() as (waiting, _):
            waiting.remove(_of(waiting, run))

    def begin(self, order: Order) -> None:
        """Take an order that waits to work. Raises Problem where it does not wait."""
        with self._changed() as (waiting, at_work):
            _strike(waiting, order)
            at_work.append(order)

    def end(self, order: Order) -> None:
        """Strike an order out, at work or waiting, and no other of the same run; twice is no fault."""
        with self._changed() as (waiting, at_work):
            for orders in (waiting, at_work):
                orders[:] = [one for one in orders if one != order]

    def put_back(self, order: Order) -> None:
        """Let an order that was at work wait again, as the first. Raises Problem where it is not at work."""
        with self._changed() as (waiting, at_work):
            _strike(at_work, order)
            waiting.insert(0, order)

    @contextlib.contextmanager
    def _changed(self) -> Iterator[tuple[list[Order], list[Order]]]:
        with self._lock:
            whole = _read(self._path)
            if _faults.get(self._path):
                records.set_aside(self._path)
            waiting, at_work = _orders(whole, "waiting"), _orders(whole, "at_work")
            yield waiting, at_work
            rest = {name: value for name, value in whole.items() if name != "keeper"}  # which earlier releases wrote
            write_json(
                self._path,
                {**rest, "waiting": [asdict(one) for one in waiting], "at_work": [asdict(one) for one in at_work]},
            )


def holds(saves: Path, run: str) -> bool:
    """Tell whether a run waits in the queue of these saves, or is just being started."""
    whole = _read(saves / FILE)
    return any(order.run == run for order in (*_orders(whole, "waiting"), *_orders(whole, "at_work")))


def collide(devices: list[int], others: list[int]) -> bool:
    """Tell whether two runs want the same devices; one that names none wants them all."""
    return not devices or not others or not set(devices).isdisjoint(others)


def _of(orders: list[Order], run: str) -> Order:
    for order in orders:
        if order.run == run:
            return order
    raise Problem("executors.not_waiting", run=run)


def _strike(orders: list[Order], order: Order) -> None:
    if order not in orders:
        raise Problem("executors.not_waiting", run=order.run)
    orders.remove(order)


def _orders(whole: dict, name: str) -> list[Order]:
    return [Order(one["run"], one.get("resume"), one.get("id", "")) for one in whole.get(name, [])]


class StoredOrder(Record):
    """An order as it stands on disk. A name in it leads nowhere but to a run, and to a checkpoint of it."""

    model_config = ConfigDict(extra="allow")

    run: str
    resume: str | None = None
    id: str = ""

    @field_validator("run")
    @classmethod
    def is_run(cls, run: str) -> str:
        """Refuse what is no name of a run."""
        try:
            return safe_name(run, parts=3)
        except Problem as error:
            raise ValueError("it is no name of a run") from error

    @field_validator("resume")
    @classmethod
    def is_checkpoint(cls, resume: str | None) -> str | None:
        """Refuse what is no name of a checkpoint."""
        if resume is not None and not re.fullmatch(r"checkpoint-[0-9]{1,15}", resume):
            raise ValueError("it is no name of a checkpoint")
        return resume


_seen: dict[Path, tuple[tuple[int, int, int], dict]] = {}
_faults: dict[Path, list[Problem]] = {}


def _read(path: Path) -> dict:
    """Return the file's content, kept until the file changes, without what cannot be used in it, which `_faults` then
    tells.
    """
    stamp = files.stamp(path)
    if stamp[2] == 0:
        _faults.pop(path, None)
        return {}
    if _seen.get(path, (None,))[0] != stamp:
        faults: list[Problem] = []
        try:
            content = records.read(path)
            if not isinstance(content, dict):
                raise Problem("records.wrong_field", file=path.name, field="-", reason="it is no object")
        except Problem as fault:
            content, faults = {}, [fault]
        for name in ("waiting", "at_work"):
            content[name] = _usable(content.get(name, []), path.name, name, faults)
        _seen[path], _faults[path] = (stamp, content), faults
    return _seen[path][1]


def _usable(orders: object, file: str, name: str, faults: list[Problem]) -> list[dict]:
    if not isinstance(orders, list):
        faults.append(Problem("records.wrong_field", file=file, field=name, reason="it is no list"))
        return []
    found = []
    for number, one in enumerate(orders):
        try:
            found.append(records.typed(one, StoredOrder, file).model_dump(exclude_unset=True))
        except Problem as fault:
            faults.append(
                Problem(fault.key, **{**fault.facts, "field": f"{name}.{number}.{fault.facts.get('field', '-')}"})
            )
    return found

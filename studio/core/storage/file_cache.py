"""What was made of files is kept until one of them changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from studio.core.storage import files

Value = TypeVar("Value")


class FileCache(Generic[Value]):
    """Values by a key, each with the stamps of the files that it was made of (see `files.stamp`).

    ```
    _recipes: FileCache[dict] = FileCache()
    recipe = _recipes.get(path, [path], lambda: _read(path))
    ```

    A file that is not there has a stamp too, so that what was made without it is made again when it comes. Whoever gets
    a value gets the one that is kept, not a copy. Threads may share it; two that ask at the same time may both make the
    value.
    """

    def __init__(self, most: int = 16_384):
        """`most` is the number of values that are kept; the one that was not asked for the longest goes first."""
        self._most = most
        self._values: OrderedDict[Hashable, tuple[tuple, Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        key: Hashable,
        paths: Iterable[Path],
        make: Callable[[], Value],
        suits: Callable[[Value], bool] = lambda value: True,
    ) -> Value:
        """Return the value of `key`, by `make` where none is kept or one of `paths` changed since. Raises what `make`
        raises, and keeps nothing then.

        `suits` tells whether a value is good enough for who asks: a kept one that is not is made again, and a new one
        that is not (a time ran out, say) is returned and not kept.
        """
        # Before the files are read: one that changes meanwhile has another stamp the next time.
        # Names and not paths, whose comparison costs more than the look at the file.
        stamps = tuple((str(path), files.stamp(path)) for path in paths)
        with self._lock:
            entry = self._values.get(key)
            if entry and entry[0] == stamps and suits(entry[1]):
                self._values.move_to_end(key)
                return entry[1]
        value = make()
        if not suits(value):
            return value
        with self._lock:
            self._values[key] = (stamps, value)
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value

    def drop(self, key: Hashable) -> None:
        """Forget the value of a key, for a file that was written in the same tick of its clock."""
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()

"""Who is logged in, and how often somebody may guess the password. All of it in memory, and bounded: a restart ends
every session.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

IDLE_SECONDS = 7 * 24 * 3600
LONGEST_SECONDS = 30 * 24 * 3600
MOST_SESSIONS = 1000
FREE_GUESSES = 4  # typing errors of a person
LONGEST_DELAY = 60.0
FORGET_SECONDS = 15 * 60
MOST_ADDRESSES = 4096
BUSY_GUESSES = 40  # wrong ones from all addresses together, a minute; after that they are looked at one by one
PACE_SECONDS = 0.5
LONGEST_LINE = 40


class Sessions:
    """The sessions by the digest of their token, so that a look into memory or a dump of it opens none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._open: OrderedDict[bytes, tuple[float, float]] = (
            OrderedDict()
        )  # begun, last seen; the longest unseen first

    def begin(self) -> str:
        """Return the token of a new session."""
        token, now = secrets.token_urlsafe(32), self._clock()
        self._open[_digest(token)] = (now, now)
        while len(self._open) > MOST_SESSIONS:
            self._open.popitem(last=False)
        return token

    def is_open(self, token: str | None) -> bool:
        """Tell whether `token` is that of a session; it is then seen now. It ends 7 days after it was last seen, and
        after 30 days.
        """
        key, now = _digest(token or ""), self._clock()
        begun, last_seen = self._open.get(key, (None, None))
        if begun is None:
            return False
        if now - last_seen > IDLE_SECONDS or now - begun > LONGEST_SECONDS:
            del self._open[key]
            return False
        self._open[key] = (begun, now)
        self._open.move_to_end(key)
        return True

    def end(self, token: str | None) -> None:
        """End the session of `token`, where there is one."""
        self._open.pop(_digest(token or ""), None)


class Guesses:
    """Wrong passwords, by address and altogether.

    After a few free ones each further guess from an address waits twice as long as the one before, up to a minute. It
    is told to come back, not looked at, and nothing is locked for good. When many addresses guess at once, guesses
    stand in one line; who has given the right password from an address before passes the line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, pace: float = PACE_SECONDS):
        self._clock, self._pace = clock, pace
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last
        self._right: OrderedDict[str, None] = OrderedDict()
        self._lately: list[float] = []
        self._line: asyncio.Lock | None = None
        self._waiting = 0

    def wait_for(self, address: str) -> float:
        """Return the seconds until a guess from `address` is looked at, 0 for now."""
        number, last = self._wrong.get(_neighbourhood(address), (0, 0.0))
        now = self._clock()
        if number < FREE_GUESSES or now - last > FORGET_SECONDS:
            return 0.0
        return max(0.0, last + min(LONGEST_DELAY, 2.0 ** min(number - FREE_GUESSES, 16)) - now)

    async def take_turn(self, address: str) -> bool:
        """Wait in line where many guess at once. Returns False where the line is too long."""
        if not self.is_busy() or _neighbourhood(address) in self._right:
            return True
        if self._waiting >= LONGEST_LINE:
            return False
        self._line = self._line or asyncio.Lock()
        self._waiting += 1
        try:
            async with self._line:
                await asyncio.sleep(self._pace)
        finally:
            self._waiting -= 1
        return True

    def is_busy(self) -> bool:
        """Tell whether so many wrong passwords came in the last minute, from wherever, that guesses stand in line."""
        now = self._clock()
        self._lately = [when for when in self._lately if now - when < 60]
        return len(self._lately) >= BUSY_GUESSES

    def was_wrong(self, address: str) -> None:
        """Count a wrong password."""
        place, now = _neighbourhood(address), self._clock()
        number, last = self._wrong.pop(place, (0, now))
        self._wrong[place] = (1 if now - last > FORGET_SECONDS else number + 1, now)
        self._lately = [*self._lately[-BUSY_GUESSES:], now]
        while len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def was_right(self, address: str) -> None:
        """Forget the wrong ones of an address."""
        place = _neighbourhood(address)
        self._wrong.pop(place, None)
        self._right[place] = None
        self._right.move_to_end(place)
        while len(self._right) > MOST_ADDRESSES:
            self._right.popitem(last=False)


def is_right(entered: tuple[str, str], expected: tuple[str, str]) -> bool:
    """Tell whether name and password are the right ones, in a time that does not depend on how much is right."""
    name, password = (
        hmac.compare_digest(_digest(mine), _digest(theirs)) for mine, theirs in zip(entered, expected, strict=True)
    )
    return name & password


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _neighbourhood(address: str) -> str:
    """Return the address, or the network of an IPv6 one, since one machine has 2^64 of those."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))

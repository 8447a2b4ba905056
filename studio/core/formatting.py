"""Figures that came from a file, a model or a server, as text: whatever they are, what is returned is a figure or an en
dash.

A record says "step" and may hold anything there; what is drawn of it is safe in HTML and never raises.
"""

import math
import time

NONE = "–"
GIB = 2**30


def finite(value: object) -> float | None:
    """Return a number as it is, None for what is none: text, a list, true, infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond any that Python turns into a float
        return None


def whole(value: object) -> str:
    """Return a whole number as 12,345; an en dash for what is no number."""
    number = finite(value)
    return NONE if number is None else f"{number:,.0f}"


def plain(value: object) -> str:
    """Return a whole number as 12345; an en dash for what is no number."""
    return whole(value).replace(",", "")


def fixed(value: object, places: int) -> str:
    """Return a number with so many places behind the point; an en dash for what is no number."""
    number = finite(value)
    return NONE if number is None else f"{number:.{places}f}"


def percent(share: object) -> str:
    """Return a share of 0 to 1 as 83%; an en dash for what is no number."""
    number = finite(share)
    return NONE if number is None else f"{number:.0%}"


def measured(value: object) -> str:
    """Return a measured number as people of the field write it: 0.4213, 8.1e-04, 2,140; an en dash for none."""
    number = finite(value)
    if number is None:
        # A loss that is no number any more is what a person must see.
        return (
            str(value)
            if isinstance(value, float) or value in ("nan", "inf", "-inf", "NaN", "Infinity", "-Infinity")
            else NONE
        )
    if number and abs(number) < 1e-3:
        return f"{number:.1e}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def duration(seconds: object) -> str:
    """Return seconds as 0:48, 12:05 or 3:02:10; an en dash for what is no number."""
    number = finite(seconds)
    if number is None:
        return NONE
    minutes, rest = divmod(int(number + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(seconds: object, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return seconds since 1970 as a date and time of this place; an en dash for what is none."""
    number = finite(seconds)
    try:
        return NONE if number is None else time.strftime(form, time.localtime(number))
    except (OverflowError, ValueError, OSError):  # a year that no calendar has
        return NONE


def width(share: object) -> str:
    """Return a share of 0 to 1 as the width of a bar in percent, without the sign; 0 for what is no number."""
    number = finite(share)
    return f"{100 * min(1.0, max(0.0, number or 0)):.1f}"


def size(amount: object) -> str:
    """Return bytes as the hubs write them, in powers of 1000: 820 B, 1.2 GB; an en dash for what is no number."""
    number = finite(amount)
    if number is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit in ("B", "kB") or number >= 99.5 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.2f} TB"


def gib(amount: object) -> str:
    """Return bytes of memory as 15.2 GiB, as the strip in the sidebar counts; an en dash for what is no number."""
    number = finite(amount)
    if number is None:
        return NONE
    return f"{number / GIB:.1f} GiB" if number < 100 * GIB else f"{number / GIB:,.0f} GiB"


def in_gib(amount: object) -> str:
    """Return bytes of memory as a figure in GiB without the unit: 4.2, 61; an en dash for what is no number."""
    number = finite(amount)
    return fixed(None if number is None else number / GIB, 1 if number is not None and number < 9.95 * GIB else 0)


def params(amount: object) -> str:
    """Return a number of parameters as people of the field write it: 135M, 7.6B, 1.04T; "" where it is not known."""
    number = finite(amount)
    for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if number and number >= unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:,}" if number else ""

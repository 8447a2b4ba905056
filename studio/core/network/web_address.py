"""Addresses of web servers as people type and paste them: taken apart in one place, so that none is a fault of the
studio.
"""

from urllib.parse import SplitResult, urlsplit

import httpx

# What a Chinese keyboard writes for the signs of an address; none of them can stand in a scheme, a host or a port.
_FULL_WIDTH = str.maketrans("：／．。", ":/..")


def ordinary(typed: str) -> str:
    """Return a typed address of a server with ordinary signs for full-width ones, and without spaces around it."""
    return typed.strip().translate(_FULL_WIDTH)


def split(address: str) -> SplitResult | None:
    """Return the parts of a web address (http or https, a host that a client takes, a port from 1 to 65535 if any), or
    None where it is none. Whether it may hold a user is for the caller to say.
    """
    try:
        parts = urlsplit(address)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(f"{parts.scheme}://{parts.netloc}")  # refuses names that no client takes
    except (ValueError, httpx.InvalidURL):
        return None
    is_plain = address.isprintable() and not any(map(str.isspace, address))
    return parts if is_web and is_plain else None

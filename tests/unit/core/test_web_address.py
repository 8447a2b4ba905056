"""Addresses as people type them: read, or known to be none; never a fault."""

import pytest

from studio.core.network import web_address


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("https://mirror", "mirror", None),
        (" https://mirror:8080/a?b=1 ", "mirror", 8080),
        ("http://[::1]:8000/v1", "::1", 8000),
        ("https：／／10。0．0.1：8080", "10.0.0.1", 8080),
        ("https://镜像.example", "镜像.example", None),
    ],
)
def test_an_address_is_taken_apart(typed, host, port):
    parts = web_address.split(web_address.ordinary(typed))
    assert (parts.hostname, parts.port) == (host, port)


@pytest.mark.parametrize(
    "typed",
    [
        *("", "mirror", "ftp://mirror", "https://", "https://:80", "https://[mirror", "https://mirror]", "//mirror"),
        *(
            "https://mirror:99999",
            "https://mirror:0",
            "https://mirror:port",
            "https://mirror:-1",
            "https://a b",
            "https://a\x07",
        ),
        *("https://\u2024.example", "https://10.0.0.1：8080", "https://a\u2100b"),
    ],
)
def test_what_is_none_is_told_apart_without_a_fault(typed):
    assert web_address.split(typed) is None

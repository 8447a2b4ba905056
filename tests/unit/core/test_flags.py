"""The flags of the command line: one that says nothing possible is told at once."""

import pytest

from studio.__main__ import arguments


@pytest.mark.parametrize("port", ["70000", "-1", "65536", "7860.5", "http"])
def test_what_is_no_port_is_told_before_anything_starts(port, capsys):
    with pytest.raises(SystemExit) as ended:
        arguments([f"--port={port}"])
    assert ended.value.code == 2
    assert f"{port!r} is no port: give a number from 1 to 65535" in capsys.readouterr().err


def test_any_port_is_taken():
    assert [arguments(["--port", port]).port for port in ("0", "80", "65535")] == [0, 80, 65535]

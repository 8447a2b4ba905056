"""Ports that are chosen for engines: what one studio has chosen, another on this machine does not."""

import subprocess
import sys

import pytest
from conftest import ROOT, free_port

from studio.core.i18n import Problem
from studio.deploy.supervision import ports

HOST = "127.0.0.1"
CHOOSES = f"""
from studio.deploy.supervision import ports
print(ports.free_port({HOST!r}, range(%d, %d)), flush=True)
input()
"""


def test_what_another_studio_has_chosen_is_not_chosen_before_or_after_it_listens():
    first = free_port()
    tried = range(first, first + 20)
    command = [sys.executable, "-c", CHOOSES % (tried.start, tried.stop)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        theirs = int(other.stdout.readline())
        assert ports.fault(HOST, theirs) is None  # its engine does not listen yet
        assert ports.free_port(HOST, range(theirs, theirs + 1)) is None
        assert theirs != ports.free_port(HOST, tried) in tried
        other.stdin.write("\n")
    assert (
        ports.free_port(HOST, range(theirs, theirs + 1)) == theirs == ports.free_port(HOST, range(theirs, theirs + 1))
    )
    assert ports.free_port(HOST, range(theirs, theirs + 1), taken=[theirs]) is None


@pytest.mark.parametrize("host", ["203.0.113.7", "192.168..10", ".", "a" * 64, f"a.{'b' * 64}.c", "1:2", "-", "_"])
def test_what_is_no_address_of_this_machine_is_told(host):
    with pytest.raises(Problem) as told:
        ports.free_port(host)
    assert told.value.key == "deploy.bad_host" and ports.fault(host, free_port()).key == "deploy.bad_host"


def test_a_machine_without_a_place_for_files_has_ports_all_the_same(monkeypatch):
    def none() -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(ports.tempfile, "gettempdir", none)
    monkeypatch.setattr(ports, "_RESERVED", {})
    first = free_port()
    assert ports.free_port(HOST, range(first, first + 20)) is not None

"""Programs that the studio starts: what they print arrives, and nothing of them is left when they are ended."""

import sys
import time

import psutil
import pytest

from studio.core.processes.child import Child, Output


def python(program: str, **options) -> Child:
    """Start a program of Python."""
    return Child([sys.executable, "-u", "-c", program], **options)


def is_gone(pid: int, seconds: float = 240) -> bool:
    """Tell whether a process ends within some seconds; one that only waits to be buried has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_lines_arrive_and_the_last_answer_stays():
    with python("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)") as child:
        assert [child.next_line(), child.next_line()] == [b"one\n", b"two\n"]
        assert child.next_line() is None and child.next_line(0.01) is None
        assert child.wait() == 3 == child.code


def test_silence_is_no_end():
    with python("import time; time.sleep(60)") as child:
        assert child.next_line(0.05) == b"" and child.code is None
    assert child.code == -9


def test_it_is_given_lines():
    with python("print(input().upper())") as child:
        child.send(b"word")
        assert child.next_line() == b"WORD\n"


def test_a_line_without_end_comes_in_parts():
    with python("print('x' * 25)", output=Output(longest_line=10)) as child:
        assert [child.next_line() for _ in range(3)] == [b"x" * 10, b"x" * 10, b"x" * 5 + b"\n"]


def test_what_it_prints_is_added_to_the_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    with python("import sys; print('out'); print('fault', file=sys.stderr)", output=Output(log)) as child:
        assert child.wait() == 0
    assert log.read_text() == "before\nout\nfault\n"


SPAWNS = "import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', {inner!r}]).pid); time.sleep(60)"


@pytest.mark.parametrize("patience", [0.0, 0.5])
def test_what_it_started_ends_with_it(patience):
    inner = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    with python(SPAWNS.format(inner=inner), patience_s=patience) as child:
        pid = int(child.next_line())
        assert psutil.pid_exists(pid)
    assert is_gone(pid) and is_gone(child.pid)


def test_it_may_put_its_things_in_order(tmp_path):
    program = (
        "import pathlib, signal, sys, time\n"
        f"def end(*_): pathlib.Path({str(tmp_path / 'tidy')!r}).touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready'); time.sleep(60)"
    )
    with python(program, patience_s=10) as child:
        assert child.next_line() == b"ready\n"
    assert child.code == 0 and (tmp_path / "tidy").exists()
    child.end()  # twice is no fault


def test_a_program_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Child([str(tmp_path / "none")])

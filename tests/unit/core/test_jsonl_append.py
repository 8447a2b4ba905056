"""Lines that are added to a file: whole or not at all, whatever happened to the line before."""

import errno
import json
import os
import subprocess
import sys

import pytest

from studio.core.storage import files, jsonl


def objects(path) -> list:
    """Return what a file holds, a torn line as None."""
    lines, _ = jsonl.read(path, last_too=True)
    return [None if jsonl.is_torn(line) else json.loads(line) for line in lines if line]


@pytest.mark.parametrize("durable", [False, True])
def test_a_torn_line_is_closed_first(tmp_path, durable):
    path = tmp_path / "a.jsonl"
    jsonl.append(path, '{"n": 1}', durable)
    with open(path, "ab") as file:
        file.write(b'{"n": 2, "tex')
    jsonl.append(path, '{"n": 3}', durable)
    assert objects(path) == [{"n": 1}, None, {"n": 3}]


def test_a_half_of_a_character_is_written_as_it_can_be_shown(tmp_path):
    path = tmp_path / "a.jsonl"
    jsonl.append(path, '{"name": "\udce9"}')
    assert len(objects(path)) == 1


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.jsonl"
    jsonl.append(path, '{"n": 1}')
    before = path.read_bytes()
    # A limit on the size of files is the one full disk that needs no mount: the write is cut off in the same way.
    program = (
        "import resource, signal, sys, pathlib\n"
        "from studio.core.storage import jsonl\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "try: jsonl.append(pathlib.Path(sys.argv[1]), '{\"n\": \"' + 'x' * 100 + '\"}')\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], cwd=os.getcwd(), check=False)
    assert ended.returncode == errno.ENOSPC and path.read_bytes() == before


@pytest.mark.parametrize(
    ("most", "since", "end"), [(3, 0, b"789"), (100, 0, b"0123456789"), (100, 8, b"89"), (3, 99, b"")]
)
def test_the_end_of_a_file(tmp_path, most, since, end):
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    assert files.end_of(path, most, since) == end


def test_the_end_of_no_file_is_told(tmp_path):
    with pytest.raises(OSError):
        files.end_of(tmp_path, 3)

"""Any file of a workspace may be broken in any way: the studio starts, and every part of its page is drawn, with a
reason where one belongs.

Without more, it takes some seconds and tries the same each time. STUDIO_SLOW_TESTS=1 tries every kind of file with
every content; so does STUDIO_FUZZ_MINUTES, which makes the search at random as long as it says.
"""

import json
import os
import shutil
import socket
import time
import traceback
from pathlib import Path

import pytest
import workspace_files
from conftest import SLOW
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from workspace_files import FILES, REGIONS, good, path_of

from studio import app
from studio.core import llamafactory
from studio.core.i18n import LANGUAGES, Words
from studio.core.workspace import Workspace
from studio.train.execution import dispatch
from studio.web.live import RegionOptions

MINUTES = float(os.environ.get("STUDIO_FUZZ_MINUTES") or 0)
SECONDS = 60 * MINUTES or 2
DEEP = b"[" * 100_000
CONTENTS = {
    "empty": b"",
    "deep list": DEEP,
    "deep object": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "as deep as it may be": b"[" * 900 + b"]" * 900,
    "null": b"null",
    "true": b"true",
    "number": b"5",
    "text": b'"text"',
    "list": b"[]",
    "list of numbers": b"[1]",
    "object": b"{}",
    "list of nothing": b"[null]",
    "not a number": b'{"a": NaN}',
    "huge number": b"[" + b"9" * 4000 + b"]",
    "too many digits": b"9" * 5000,
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "half a character": b'{"\\ud800": "\\udce9"}',
    "NUL": b"\0" * 100,
    "UTF-16": "{}".encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "cut": b'{"a": [1, 2',
    "many lines": b"\n" * 5000,
}
ODD = [
    "",
    "\0",
    "a\0b",
    "\u202e",
    "../../x",
    "/etc/passwd",
    "\ud800",
    "<script>alert(1)</script>",
    "{}",
    "{0}",
    "9" * 30,
    "a" * 5000,
    "\n",
    "é",
    "1e999",
]


@pytest.fixture(autouse=True)
def libraries_are_on_their_way(monkeypatch):
    """The heavy libraries are never there: what takes them says so on the page. And nothing that waits in the queue is
    started.
    """
    monkeypatch.setattr(llamafactory, "begin", lambda: None)
    monkeypatch.setattr(dispatch.Dispatcher, "_work", lambda dispatcher: None)


def failures(root: Path, languages: tuple[str, ...] = LANGUAGES) -> list[str]:
    """Start a studio on a workspace, draw every region in these languages, and return what went wrong."""
    try:
        studio = app.make(Workspace(root))
    except Exception:
        return [f"does not start: {traceback.format_exc()}"]
    wrong = []
    for language in languages:
        words = Words(language)
        for name in studio.live._draws:
            for arg in REGIONS.get(name, ("",)):
                try:
                    (answer,) = studio.live.answer(words, [RegionOptions(name=name, arg=arg)])
                    answer.model_dump_json().encode()
                except Exception:
                    wrong.append(f"{name} of {arg!r} takes the page with it: {traceback.format_exc()}")
                    continue
                if words("app.region_failed") in answer.html:
                    wrong.append(f"{name} of {arg!r} cannot be drawn")
    return wrong


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "workspace"
    workspace_files.build(folder)
    return folder


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def restore(kind: str, root: Path) -> None:
    remove(path_of(kind, root))
    path_of(kind, root).write_bytes(good(kind, root))


def test_a_good_workspace_has_no_fault(root, capfd):
    assert failures(root) == [], capfd.readouterr().err


def some(pairs: list, every: int) -> list:
    """Return some of many cases, all of them in a long search: other kinds of files meet other contents."""
    return pairs if MINUTES or SLOW else pairs[::every]


def tried(root: Path, cases: list, put) -> list[str]:
    """Return what goes wrong when each case (kind, name, what) has been put in the place of the good file."""
    wrong = []
    for number, (kind, name, what) in enumerate(cases):
        remove(path_of(kind, root))
        put(path_of(kind, root), what)
        wrong += [f"{kind}, {name}: {one}" for one in failures(root, LANGUAGES[number % 2 :][:1])]
        restore(kind, root)
    return wrong


def test_a_file_that_holds_something_else(root, capfd):
    cases = some([(kind, name, content) for kind in FILES for name, content in CONTENTS.items()], 263)
    wrong = tried(root, cases, Path.write_bytes)
    assert not wrong, "\n".join(wrong[:40]) + capfd.readouterr().err[-8000:]


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        at = os.getcwd()
        os.chdir(path.parent)  # the whole path may be longer than an address can be
        one.bind(path.name[:90])
        os.chdir(at)
        if path.name[90:]:
            os.rename(path.parent / path.name[:90], path)


THINGS = {
    "folder": _folder,
    "pipe": _pipe,
    "socket": _socket,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "nothing": lambda path: None,
}


def test_something_else_in_the_place_of_a_file(root, capfd):
    cases = some([(kind, name, make) for kind in FILES for name, make in THINGS.items()], 113)
    wrong = tried(root, cases, lambda path, make: make(path))
    assert not wrong, "\n".join(wrong[:40]) + capfd.readouterr().err[-8000:]


# Changes of a document
# ----------------------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from(ODD) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "facts", "name", "id", "content", *ODD[:4]]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places_in(value: object, at: tuple = ()) -> list[tuple]:
    """Return the paths of all values inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places_in(one, (*at, key)))]


def with_value(document: object, at: tuple, value: object) -> object:
    """Return a document with another value at a path; a text for the name of a field changes the name."""
    if not at:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[at[0]] = with_value(copy[at[0]], at[1:], value)
    return copy


def with_line(content: bytes, way: str, what: tuple) -> bytes | None:
    """Return a file of JSON lines with a value, or the name of one, changed in one of them; None where it is no such
    file.
    """
    lines = content.splitlines()
    if len(lines) < 2 or not all(line.startswith(b"{") for line in lines):
        return None
    number = what[0] % len(lines)
    lines[number] = changed(lines[number], way, (what[0] // len(lines), what[1]))
    return b"\n".join(lines) + b"\n"


def as_document(content: bytes) -> tuple[bytes, object] | None:
    """Return the JSON in a file with what stands before it (the length of a safetensors header), None where it holds
    none.
    """
    for before in (0, 8):
        end = 8 + int.from_bytes(content[:8], "little") if before else len(content)
        try:
            return content[:before], json.loads(content[before:end])
        except ValueError:
            continue
    return None


@st.composite
def changes(draw) -> tuple[str, str, object]:
    """Return a kind of file, what is done to it, and with what."""
    kind = draw(st.sampled_from(list(FILES)))
    way = draw(st.sampled_from(["value", "value", "value", "value", "name", "bytes", "cut"]))
    return (
        kind,
        way,
        draw(
            {
                "value": st.tuples(st.integers(0, 200), values),
                "name": st.tuples(st.integers(0, 200), st.sampled_from(ODD)),
                "bytes": st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6),
                "cut": st.integers(0, 4000),
            }[way]
        ),
    )


def changed(content: bytes, way: str, what) -> bytes:
    """Return the content of a file after a change."""
    if way == "cut":
        return content[: what % (len(content) + 1)]
    if way in ("value", "name") and (lines := with_line(content, way, what)):
        return lines
    found = as_document(content) if way != "bytes" else None
    if found is None:
        text = bytearray(content or b" ")
        for at, byte in what if way == "bytes" else [(what[0], 0)]:
            text[at % len(text)] = byte
        return bytes(text)
    before, document = found
    places = places_in(document)
    at = places[what[0] % len(places)]
    if way == "name" and at and isinstance(at[-1], str):
        parent = document
        for key in at[:-1]:
            parent = parent[key]
        document = with_value(
            document, at[:-1], {what[1] if key == at[-1] else key: one for key, one in parent.items()}
        )
    else:
        document = with_value(document, at, what[1])
    text = json.dumps(document).encode()
    return len(text).to_bytes(8, "little") + text + content[-1000:] if before else text


def search(root: Path, seconds: float, told, start: int | None = None) -> None:
    """Change files at random for some seconds, each time drawing everything; `told` gets what went wrong with each.

    It tries the same each time where no number to `start` from is given.
    """
    end = time.monotonic() + seconds

    @settings(
        max_examples=max(100, int(20 * seconds)),
        deadline=None,
        derandomize=start is None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(changes())
    def one(change):
        if time.monotonic() > end:
            return
        kind, way, what = change
        try:
            path_of(kind, root).write_bytes(changed(good(kind, root), way, what))
            wrong = failures(root)
        finally:
            restore(kind, root)
        told([f"{kind}: {fault}" for fault in wrong])

    (one if start is None else seed(start)(one))()


def test_a_file_that_was_changed(root, capfd):
    def told(wrong: list[str]) -> None:
        assert not wrong, "\n".join(wrong[:5]) + capfd.readouterr().err[-4000:]

    search(root, SECONDS, told, time.time_ns() if MINUTES else None)

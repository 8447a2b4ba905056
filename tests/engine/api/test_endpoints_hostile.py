"""Every endpoint with bad values for every argument: one sentence or a sane answer, and nothing outside the workspace
is touched.
"""

import inspect
import json
import os
import time
from pathlib import Path

import gradio as gr
import pytest
from conftest import PATIENCE_S, is_sentence

from studio import api, app
from studio.core import locations
from studio.core.i18n import LANGUAGES, Words
from studio.core.workspace import Workspace
from studio.web.endpoint import checked_endpoint

DEEP: list = []
for _ in range(3000):
    DEEP = [DEEP]
BAD = {
    "half of a pair": "\ud83d",
    "a name that is no UTF-8": "caf\udce9.jsonl",
    "zero": "a\0b",
    "up": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "empty": "",
    "blank": " \n\t",
    "newlines": "a\nb\r\nc",
    "huge": 10**30,
    "gigantic": 10**5000,
    "negative": -1,
    "nan": float("nan"),
    "infinite": float("inf"),
    "fraction": 0.5,
    "nothing": None,
    "yes": True,
    "list": [1, [2, {"a": None}]],
    "deep": DEEP,
    "object": {"a": {"b": []}},
    "odd inside": {"name": "\udcff", "messages": ["\ud800"]},
    "zero inside": [{"name": "a\0"}],
    "many": ["x"] * 3000,
    "long": "x" * 1_000_000,
    "number as text": "10",
    "minus": "-",
    "html": "<script>alert(1)</script>",
    "format": "{0.__class__}{x}",
    "dots": "..",
    "tilde": "~root",
    "device": "/dev/zero",
    "address": "http://127.0.0.1:1/x",
    "odd keys": {"": "", "\n": 1, "a" * 5000: None},
    "percent": "%s%n%00",
    "names": ["/etc", "..", ""],
    "recipe": {"model_name_or_path": "/etc", "dataset": "../x", "output_dir": "/tmp/never"},
    "turns": [{"role": "user", "content": 5}],
    "options": {"name": 7, "token": [], "columns": 3, "limit": "x"},
    "region": [{"name": "model", "arg": 5}],
}
SLOW = PATIENCE_S


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio that installs nothing: what is asked to make an environment finds no registry, and its own folder."""
    folder, engines = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("engines")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PIP_NO_INDEX", "UV_OFFLINE", "UV_NO_INDEX"):
            patch.setenv(name, "1")
        patch.setattr(locations, "environments", lambda: engines)
        yield app.make(Workspace(folder / "workspace"))


def outside(folder: Path) -> dict:
    """Return what stands beside the workspace, with sizes and times."""
    return {path: os.lstat(path).st_mtime_ns for path in sorted(folder.parent.iterdir()) if path != folder}


def cases(endpoint) -> list[tuple[str, dict]]:
    """Return (what is bad, arguments): each bad value for each argument alone and beside plain ones, and for all at
    once.
    """
    names = list(inspect.signature(endpoint).parameters)
    plain = {
        name: "x"
        for name, one in inspect.signature(endpoint).parameters.items()
        if one.default is inspect.Parameter.empty
    }
    found = [(f"{name}: {what}", plain | {name: value}) for name in names for what, value in BAD.items()]
    return found + [(f"all: {what}", dict.fromkeys(names, value)) for what, value in BAD.items() if len(names) > 1]


def test_no_bad_value_gets_more_than_a_sentence(studio, capsys):
    root, tried, faults, ours = studio.workspace.root, 0, [], []
    before = outside(root)
    for number, endpoint in enumerate(api.all_endpoints(studio, Words("en"))):
        words = Words(LANGUAGES[number % 2])
        called = checked_endpoint(endpoint, words)
        for what, arguments in cases(endpoint):
            tried += 1
            began = time.monotonic()
            try:
                json.dumps(called(**arguments), allow_nan=True).encode()
            except gr.Error as error:
                message = str(error.message)
                message.encode()
                if not is_sentence(message) or len(message) > 2500 or "\0" in message:
                    faults.append((endpoint.__name__, what, message[:200]))
                if (
                    words("app.endpoint_failed", endpoint=endpoint.__name__, kind="")
                    .partition("(")[0]
                    .partition("（")[0]
                    in message
                ):
                    ours.append((endpoint.__name__, what, message[:200]))
            except Exception as error:
                faults.append((endpoint.__name__, what, f"{type(error).__name__}: {error}"[:200]))
            if (took := time.monotonic() - began) > SLOW:
                faults.append((endpoint.__name__, what, f"took {took:.0f} s"))
    assert tried > 3000, tried
    assert faults == []
    assert ours == [], (len(ours), ours)
    assert outside(root) == before

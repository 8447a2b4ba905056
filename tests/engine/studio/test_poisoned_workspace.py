"""Nothing that stands in a file, that a server answers or that a process is called becomes a part of the page.

Every value and every name of a field in every kind of file is made hostile, one place after the other; every live
region is drawn in both languages. No element and no attribute may come of it, no region may fail, and nothing may be
missing: each thing is listed, or its fault.
"""

import json
import os
import threading
import time
import typing
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer

import poisoned_files as files
import pytest
from conftest import SLOW
from poisoned_files import MARKER, NAMES, PAYLOAD
from pydantic import BaseModel, RootModel, TypeAdapter

from studio import app
from studio.chat.evaluation import prompt_parity
from studio.chat.evaluation.smoke_test import SmokeTest
from studio.chat.page.talk.columns import Columns
from studio.core import llamafactory
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.storage.records import Record
from studio.core.workspace import Workspace
from studio.inference.remote.model_list_cache import ModelListCache
from studio.models.library import model_folders
from studio.monitor import readings
from studio.monitor.page import strip as strip_page
from studio.train.execution import dispatch
from studio.web import schema
from studio.web.html import render
from studio.web.live import RegionOptions

# Every twenty-ninth place; all of them in a long search.
STEP = 1 if os.environ.get("STUDIO_FUZZ_MINUTES") or SLOW else 29
LISTS = ("models", "datasets", "runs", "talks", "sheets", "servers", "coming", "board", "now", "deployments")
# A place of a thing, or of what is said of one that cannot be shown.
PLACES = ("item", "problem", "warning", "warned", "badge", "item-why")
PLACES_IN = {"coming": ("coming", "warned"), "servers": ("server", "warning")}


class Drawn(HTMLParser):
    """What stands in drawn HTML: what came of a payload, and how many things and faults are listed."""

    def __init__(self, html: str, places: tuple[str, ...] = PLACES):
        super().__init__()
        self.evil, self.count, self.places = [], 0, set(places)
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if (
            tag in ("script", "iframe", "object", "embed", "base", "meta", "link")
            or tag == "img"
            and not (named.get("src") or "").startswith("data:image/")
        ):
            self.evil.append(self.get_starttag_text())
        if any(
            name.startswith("on")
            or name in ("autofocus", "srcdoc", "x", "formaction")
            and tag != "text"
            and tag != "rect"
            for name in named
        ):
            self.evil.append(self.get_starttag_text())
        if any(MARKER in name for name in named) or str(named.get("href", "")).lower().startswith(
            ("javascript:", "data:")
        ):
            self.evil.append(self.get_starttag_text())
        self.count += bool(set((named.get("class") or "").split()) & self.places)


@pytest.fixture(autouse=True)
def libraries_are_on_their_way(monkeypatch):
    """The heavy libraries are never there: what takes them says so on the page."""

    def no_tokenizer(*_):
        raise Problem("chat.no_memory")

    monkeypatch.setattr(llamafactory, "begin", lambda: None)
    monkeypatch.setattr(dispatch.Dispatcher, "_work", lambda dispatcher: None)
    monkeypatch.setattr(prompt_parity, "_encoder_of", no_tokenizer)


@pytest.fixture
def root(tmp_path):
    files.build(tmp_path / "workspace")
    return tmp_path / "workspace"


def draw(studio: app.Studio, language: str, name: str, arg: str) -> str:
    """Return the HTML of a region, as the page gets it."""
    (answer,) = studio.live.answer(Words(language), [RegionOptions(name=name, arg=arg)])
    return json.loads(json.dumps(schema.dumped(answer), ensure_ascii=False).encode())["html"]


def wrong_in(studio: app.Studio, languages=LANGUAGES, arguments=NAMES) -> list[str]:
    """Draw all regions and return what a payload became, or could not be drawn."""
    found = []
    for language in languages:
        failed = Words(language)("app.region_failed")
        for name in studio.live._draws:
            for arg in arguments.get(name, ("", PAYLOAD)):
                html = draw(studio, language, name, arg)
                found += [f"{name} of {arg[:40]!r}: {evil}" for evil in Drawn(html).evil]
                found += [f"{name} of {arg[:40]!r} cannot be drawn"] if failed in html else []
    return found


def counted(studio: app.Studio) -> dict[str, int]:
    """Return how many things and faults the lists have."""
    found = {
        name: Drawn(draw(studio, "en", name, "\n" if name == "talks" else ""), PLACES_IN.get(name, PLACES)).count
        for name in LISTS
    }
    # The fault of the list of folders stands for both models in the folder that it named.
    found["models"] += bool(model_folders.fault(studio.workspace))
    # A job of a kind that this release does not know has no place of its own.
    return found | {"coming": found["coming"] + sum(job.kind == PAYLOAD for job in studio.jobs.all())}


def test_every_region_is_drawn_with_something_in_hand(root):
    assert set(app.make(Workspace(root)).live._draws) == set(files.ARGUMENTS), (
        "say in poisoned_files.ARGUMENTS with what a new region is drawn"
    )


def test_every_record_is_read_from_the_workspace(root, monkeypatch):
    """A new kind of record must have its file in the workspace, or its values are never tried."""
    read, validate, adapt = set(), BaseModel.model_validate.__func__, TypeAdapter.validate_python

    def seen(cls, *args, **options):
        read.update(records_in(cls))
        return validate(cls, *args, **options)

    def seen_in_many(adapter, *args, **options):
        read.update(records_in(adapter._type))
        return adapt(adapter, *args, **options)

    monkeypatch.setattr(BaseModel, "model_validate", classmethod(seen))
    monkeypatch.setattr(TypeAdapter, "validate_python", seen_in_many)
    studio = app.make(Workspace(root))
    assert wrong_in(studio) == []
    for chat in files.CHATS:
        Columns(studio.chat.turns).snapshot(Words("en"), chat, {})
    missing = {kind.__name__ for kind in kinds() if not any(issubclass(one, kind) for one in read)}
    assert missing <= NOT_DRAWN, missing - NOT_DRAWN


# No files of a workspace: what a child process says while it works, and the consents, which lie in the person's own
# folder. Read only when an adapter is loaded, or before there is a page: who owns the workspace (see test_ownership).
# Of deployments: the rank of an adapter and what was joined are read when an engine starts, options come by an
# endpoint, the rest are answers of Ollama.
# Open WebUI's process is looked for only where Open WebUI is installed.
# The scores of an answer and what it adds to sums are read as columns of numbers; their files are in the workspace all
# the same.
# Of benchmarks: examples are read when questions are asked, subjects come with the studio, replies from servers.
# What the doctor finds comes from the studio's own process; the first visit is kept with the person's settings.
NOT_DRAWN = {
    "MachineFinding",
    "VisitRecord",
    "MeasuredStep",
    "InstallerSentence",
    "Consents",
    "AdapterConfig",
    "AdapterLayers",
    "AdapterRank",
    "DeployOptions",
    "JoinedParts",
    "ShownModel",
    "Step",
    "_Debug",
    "_Listed",
    "Owner",
    "Examples",
    "Subject",
    "ChatReply",
    "OpenWebuiRecord",
    "RowScores",
    "RowSums",
}


def records_in(kind: object) -> list[type[Record]]:
    """Return the records that a type names: itself, or those inside a list or an object of them."""
    if isinstance(kind, type) and issubclass(kind, RootModel):
        kind = kind.model_fields["root"].annotation
    if isinstance(kind, type) and issubclass(kind, Record):
        return [kind]
    return [one for part in typing.get_args(kind) for one in records_in(part)]


def kinds() -> list[type[Record]]:
    """Return the records that are files or lines of their own: those that stand in no field of another."""
    every, waiting = [], [Record]
    while waiting:
        waiting += (found := waiting.pop().__subclasses__())
        every += [kind for kind in found if kind.__module__.startswith("studio.")]
    inner = " ".join(str(field.annotation) for kind in every for field in kind.model_fields.values())
    return [kind for kind in every if f"{kind.__module__}.{kind.__qualname__}" not in inner and kind.model_fields]


@pytest.mark.parametrize("part", range(4))
def test_every_value_of_every_file_is_hostile(root, part, monkeypatch, capfd):
    """One place of every file at a time, in all files at once: their faults do not hide each other."""
    monkeypatch.setattr(ModelListCache, "_ask", lambda *_: None)  # what a server answers comes when it comes
    every = {kind: files.variants(files.path_of(kind, root), files.good(kind, root)) for kind in files.all_files()}
    before, wrong = counted(app.make(Workspace(root))), []
    for number in range(part, max(map(len, every.values())), 4 * STEP):
        for kind, found in every.items():
            files.write(files.path_of(kind, root), found[number] if number < len(found) else files.good(kind, root))
        studio = app.make(Workspace(root))
        wrong += [
            f"place {number}: {one}" for one in wrong_in(studio, LANGUAGES[number // 4 % 2 :][:1], files.ARGUMENTS)
        ]
        after = counted(studio)
        wrong += [
            f"place {number}: {name} lists {after[name]} of {before[name]}"
            for name in LISTS
            if after[name] < before[name]
        ]
        for chat in files.CHATS:
            wrong += [f"place {number}: {evil}" for evil in columns(studio, chat)]
    assert not wrong, "\n".join(dict.fromkeys(wrong))[:6000] + capfd.readouterr().err[-6000:]


def columns(studio: app.Studio, chat: str) -> list[str]:
    """Return what a payload became in the columns of a conversation."""
    try:
        snapshot = Columns(studio.chat.turns).snapshot(Words("en"), chat, {})
    except Problem:
        return []  # it is listed with its fault
    return [
        evil
        for column in snapshot.columns
        for html in (column.head, *(piece.html for piece in column.said))
        for evil in Drawn(html).evil
    ]


def test_every_text_and_every_name_is_hostile_at_once(root, capfd):
    before = counted(app.make(Workspace(root)))
    files.texts_poisoned(root)
    files.named_badly(root)
    studio = app.make(Workspace(root))
    more = {
        name: (*args, "odd", f"{PAYLOAD}\nname=odd&edit=1", f"path={PAYLOAD}.jsonl") for name, args in NAMES.items()
    }
    wrong = wrong_in(studio, arguments=more) + [evil for chat in files.CHATS for evil in columns(studio, chat)]
    after = counted(studio)
    wrong += [f"{name} lists {after[name]} of {before[name]}" for name in LISTS if after[name] < before[name]]
    assert not wrong, "\n".join(dict.fromkeys(wrong)) + capfd.readouterr().err[-6000:]
    assert all(
        "&lt;img src=x" in draw(studio, "en", name, "\n" if name == "talks" else "")
        for name in ("models", "datasets", "runs", "talks", "sheets")
    )


class Hostile(BaseHTTPRequestHandler):
    """A server whose every answer is hostile."""

    def do_GET(self):
        self.answer(
            {
                "object": "list",
                "data": [{"id": PAYLOAD, "object": PAYLOAD, "owned_by": PAYLOAD, "max_model_len": PAYLOAD}],
            }
        )

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(
            {
                "count": PAYLOAD,
                "max_model_len": PAYLOAD,
                "tokens": [PAYLOAD, 1],
                "token_strs": [PAYLOAD, PAYLOAD],
                "prompt": PAYLOAD,
                "error": {"message": PAYLOAD},
            }
        )

    def answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_server_answers_is_hostile(root, language):
    with HTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files.write(
            root / "saves/.chats/endpoints.json",
            files.as_json({"local": {"url": f"http://127.0.0.1:{server.server_port}/v1"}}),
        )
        studio = app.make(Workspace(root))
        end = time.monotonic() + 240
        while "&lt;img" not in (html := draw(studio, language, "servers", "")) and time.monotonic() < end:
            time.sleep(0.1)
        drawn = [
            html,
            *(
                draw(studio, language, name, chat)
                for chat in files.CHATS
                for name in ("prompts", "talk-head", "memory")
            ),
        ]
        server.shutdown()
    assert "&lt;img" in html, "the model that the server names is not listed"
    assert not [evil for one in drawn for evil in Drawn(one).evil] and not any(
        Words(language)("app.region_failed") in one for one in drawn
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_machine_says_of_itself_is_hostile(root, language):
    snapshot = readings.snapshot_now(root)
    process = readings.GpuProcess(pid=1, command=PAYLOAD, user=PAYLOAD, memory=1, kind=PAYLOAD, own=False)
    gpus = [readings.Gpu(number, None, PAYLOAD, 1, 1, 2, 3, 4.0, 5.0, 6, (process,)) for number in range(6)]
    for seen in (gpus[:1], gpus):
        shown = strip_page.strip(replace(snapshot, gpus=tuple(seen), no_gpu=None), ())
        html = render(strip_page.TEMPLATE, Words(language), shown)
        assert "&lt;img" in html and not Drawn(html).evil
    shown = strip_page.strip(replace(snapshot, gpus=(), no_gpu=Problem("jobs.fault", reason=PAYLOAD)), ())
    html = render(strip_page.TEMPLATE, Words(language), shown)
    assert "&lt;img" in html and not Drawn(html).evil


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_model_answers_to_a_hello_is_hostile(root, language):
    studio = app.make(Workspace(root))
    for stage in ("loading", "answering", "unloading", "done", "failed"):
        studio.smoke_tests._tests["tiny"] = SmokeTest(
            "tiny", PAYLOAD, stage, PAYLOAD, 1, load_s=1.0, error=Problem("jobs.fault", reason=PAYLOAD)
        )
        html = draw(studio, language, "hello", "tiny")
        assert "&lt;img" in html and not Drawn(html).evil

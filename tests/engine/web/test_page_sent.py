"""What is sent for a page: packed, no more than the page needs, and nothing twice."""

import gzip
import json
from pathlib import Path

import gradio as gr
import httpx
import pytest
from apart import run_apart
from conftest import new_workspace

from studio import app
from studio.core.i18n import Words
from studio.web.guard import Guard, Rules

ASSETS = Path(gr.__file__).parent / "templates" / "frontend" / "assets"


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Ask a whole studio for a path."""
    workspace = new_workspace(tmp_path_factory.mktemp("sent") / "workspace")
    application = app.application(app.make(workspace), Rules(), "en")

    def ask(path: str, **headers: str) -> httpx.Response:
        async def asking():
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as client:
                return await client.get(
                    path, headers={name.replace("_", "-"): value for name, value in headers.items()}
                )

        return run_apart(asking())

    return ask


def told(page: str, name: str) -> dict:
    """Return what a page sets a name to."""
    return json.JSONDecoder().raw_decode(page.partition(f"window.{name} = ")[2])[0]


def test_the_page_is_told_of_itself_and_scripts_of_every_endpoint(asked):
    page = asked("/").text
    config, whole = told(page, "gradio_config"), asked("/config").json()
    assert {event["api_name"] for event in config["dependencies"]} == {False}
    assert not [part for part in config["components"] if part["type"] == "api"]
    known = {part["id"] for part in config["components"]}
    assert {id for event in config["dependencies"] for id in (*event["inputs"], *event["outputs"])} <= known
    endpoints = {event["api_name"] for event in whole["dependencies"]} - {False}
    assert len(endpoints) > 100
    assert set(asked("/gradio_api/info").json()["named_endpoints"]) == {f"/{name}" for name in endpoints}


def test_the_page_knows_the_defaults_of_every_endpoint(asked):
    defaults, info = told(asked("/").text, "endpointDefaults"), asked("/gradio_api/info").json()["named_endpoints"]
    assert defaults == {
        name[1:]: [one.get("parameter_default") for one in endpoint["parameters"]] for name, endpoint in info.items()
    }
    assert defaults["train_start"][1:] and "gradio_api_info = {{" not in asked("/").text


def test_the_page_is_packed_for_who_can_unpack_it(asked):
    packed, plain = asked("/", accept_encoding="gzip"), asked("/", accept_encoding="identity")
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < len(plain.content) / 4 < 250_000
    assert packed.headers["cache-control"] == plain.headers["cache-control"] == "no-store"
    assert "content-security-policy" in packed.headers


@pytest.mark.parametrize("encoding", ["gzip, br", "identity"])
def test_a_program_file_is_sent_whole_and_kept_by_the_browser(asked, encoding):
    for file in (next(ASSETS.glob("index-*.js")), next(ASSETS.glob("Index-*.css"))):
        answer = asked(f"/assets/{file.name}", accept_encoding=encoding)
        assert answer.content == file.read_bytes() and answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/javascript" if file.suffix == ".js" else "text/css")
        assert "immutable" in answer.headers["cache-control"] and answer.headers["vary"] == "accept-encoding"
        assert answer.headers.get("content-encoding") == ("gzip" if "gzip" in encoding else None)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_file_whose_name_is_not_of_its_content_is_not_kept(asked):
    answer = asked("/assets/svelte/svelte.js")
    assert answer.status_code == 200 and "immutable" not in answer.headers.get("cache-control", "")


def test_it_is_read_and_packed_once(tmp_path, monkeypatch):
    (tmp_path / "index-abcd1234.js").write_text("let a = 1;")
    packed, pack = [], gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda *each: packed.append(each) or pack(*each))

    async def inner(scope, receive, send):
        raise AssertionError("gradio is asked")

    guard = Guard(inner, Rules(), tmp_path, lambda request: Words("en"), tmp_path)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost:7860") as client:
            return [(await client.get("/assets/index-abcd1234.js")).text for _ in range(3)]

    assert run_apart(ask()) == ["let a = 1;"] * 3 and len(packed) == 1


@pytest.mark.parametrize("path", ["/assets/index-none1234.js", "/assets/index.js", "/assets/index-abcd1234.js.map"])
def test_what_is_none_of_them_is_gradios_to_answer(tmp_path, path):
    (tmp_path / "index.js").write_text("")
    reached = []

    async def inner(scope, receive, send):
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = Guard(inner, Rules(), tmp_path, lambda request: Words("en"), tmp_path)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost:7860") as client:
            return await client.get(path)

    assert run_apart(ask()).status_code == 404 and reached == [path]

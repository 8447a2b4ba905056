"""The guard on the studio that really runs: other pages, every route of gradio, the login, and what a plain client of
gradio makes of results.
"""

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import uuid
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from api_client import Client
from conftest import ROOT, STARTER, Server, is_sentence, new_workspace, rest_slow, wait_for
from gradio_client.exceptions import AppError, AuthenticationError

from studio.core.i18n import Problem
from studio.web.guard.credentials import certificate

RUN = "/gradio_api/run/models_list"
NOTHING = {"data": []}


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A studio with a password that came from a file."""
    root = new_workspace(tmp_path_factory.mktemp("locked") / "w").root
    (root / "word").write_text("me:secret-word\n")
    (root / "word").chmod(0o600)
    running = Server(root, "--auth-file", str(root / "word"))
    yield running
    running.stop()


def ask(server, method="POST", path=RUN, body=NOTHING, **headers):
    """Ask as a script does that says every header itself; a path is sent as it is, even one no browser would send."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)
    told = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body).encode(), told)
    answer = connection.getresponse()
    text = b"" if answer.headers.get_content_type() == "text/event-stream" else answer.read()
    connection.close()
    return answer, text.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "rebound.evil.example:7860"},
        {"Origin": "http://127.0.0.1:8888"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"X_Forwarded_Host": "evil.example"},
    ],
)
def test_other_pages_reach_nothing(server, headers, tmp_path):
    upload = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
    for method, path, body in (
        ("POST", RUN, NOTHING),
        ("GET", "/config", b""),
        ("POST", "/logout", b""),
        ("OPTIONS", RUN, b""),
        ("POST", "/gradio_api/queue/join", {"data": [], "fn_index": 0, "session_hash": "x"}),
    ):
        answer, text = ask(server, method, path, body, **headers)
        assert (
            answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers and "Traceback" not in text
        ), (method, path, text)
    answer, text = ask(
        server, path="/gradio_api/upload", body=upload, Content_Type="multipart/form-data; boundary=x", **headers
    )
    assert answer.status == 403 and "a.txt" not in text
    assert (
        ask(server, path="/gradio_api/upload", body=upload, Content_Type="multipart/form-data; boundary=x")[0].status
        == 200
    )


def test_the_page_may_not_be_framed_and_shows_no_page_of_another(server):
    answer, text = ask(server, "GET", "/", b"")
    assert (
        answer.status == 200
        and answer.headers["X-Frame-Options"] == "DENY"
        and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    )
    assert (
        answer.headers["X-Content-Type-Options"] == "nosniff"
        and answer.headers["Referrer-Policy"] == "same-origin"
        and not answer.headers.get("Server")
    )
    for path in (
        "/docs",
        "/redoc",
        "/openapi.json",
        "/gradio_api/openapi.json",
        "/monitoring/summary",
        "/gradio_api/stream/x/close",
    ):
        for method in ("GET", "POST"):
            answer, text = ask(server, method, path, b"")
            assert answer.status in (404, 405) and "Traceback" not in text and "cdn" not in text


def every_route():
    """Return (method, path) of all that this release of gradio serves, and the pages that fastapi would add, odd values
    where a path has a part.
    """
    with gr.Blocks() as blocks:
        gr.api(lambda: 1, api_name="x")
    app = gr.routes.App.create_app(blocks)
    odd = ["x", "0", "-1", "..%2f..%2fetc%2fpasswd", "%00", "a" * 300]
    found = [
        ("GET", path)
        for path in (
            "/docs",
            "/redoc",
            "/openapi.json",
            "/",
            "/?page=x",
            "/?deep_link=../../x",
            "/config?deep_link=%00",
        )
    ]
    routes = [
        inner for route in app.routes for inner in getattr(getattr(route, "original_router", None), "routes", [route])
    ]
    for route in routes:
        for value in odd if "{" in route.path else [""]:
            path = re.sub(r"\{[^}]*\}", value, route.path)
            found += [(method, path) for method in getattr(route, "methods", None) or ("GET",)]
    return sorted(set(found))


BODIES = [
    b"",
    b"{}",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"data": null}',
    b'{"data": [1, 2, 3, 4, 5, 6, 7, 8, 9]}',
    b'{"data": {"a": 1}, "fn_index": 99999}',
    b'{"data": [], "fn_index": -1, "session_hash": ""}',
    b'{"data": ["\\ud800"], "fn_index": 0}',
    b"[" * 5000,
]


def test_no_route_shows_a_traceback_whatever_it_is_asked(server):
    routes = every_route()
    assert len(routes) > 60
    for method, path in routes:
        if "heartbeat" in path or "upload_progress" in path:
            continue
        for body in BODIES if method == "POST" and "x" in path else BODIES[:1]:
            answer, text = ask(server, method, path, body)
            assert "Traceback" not in text and '.py"' not in text and "site-packages" not in text, (
                method,
                path,
                body,
                text[:500],
            )
    for name in ("datasets_tokens", "train_status", "job_status", "live", "chat_open", "predict"):
        for body in BODIES:
            answer, text = ask(server, path=f"/gradio_api/run/{name}", body=body)
            assert "Traceback" not in text and "site-packages" not in text, (name, body, text[:500])
            if answer.status >= 500:
                assert "\n" not in json.loads(text)["error"], (name, body, text)


def test_without_login_every_route_refuses(locked):
    calls, names = (
        0,
        [
            f"/gradio_api/{way}/{name}"
            for way in ("run", "api", "call")
            for name in ("models_list", "train_start", "job_status", "live", "predict")
        ],
    )
    for method, path in [*every_route(), *(("POST", name) for name in names)]:
        if path.startswith("/login"):
            continue
        for headers in (
            {},
            {"Cookie": f"studio_session_{locked.port}=x; access-token=x"},
            {"Authorization": "Basic bWU6c2VjcmV0LXdvcmQ="},
        ):
            answer, text = ask(locked, method, path, {"data": []}, **headers)
            assert answer.status in ((401, 405) if path == "/logout" else (401,)), (method, path, text[:300])
            calls += 1
    assert calls >= 300
    for method in ("GET", "POST"):
        assert ask(
            locked, method, "/login", b"username=me&password=no", Content_Type="application/x-www-form-urlencoded"
        )[0].status in (303, 401)


def test_a_script_logs_in_as_with_gradio_and_the_password_stands_nowhere(locked):
    with pytest.raises(AuthenticationError):
        Client(locked.url)
    with pytest.raises(AuthenticationError):
        Client(locked.url, auth=("me", "wrong"))
    assert Client(locked.url, auth=("me", "secret-word")).predict(api_name="/train_runs") == []
    assert "secret-word" not in locked.log.read_text()
    if os.path.exists(f"/proc/{locked.process.pid}/cmdline"):
        assert "secret-word" not in open(f"/proc/{locked.process.pid}/cmdline").read()


@pytest.mark.parametrize("locale", rest_slow("zh-CN", "en-US"))
def test_a_person_logs_in_and_out(locked, browser, locale):
    context = browser.new_context(locale=locale)
    page, elsewhere = context.new_page(), []
    page.on(
        "request",
        lambda request: (
            elsewhere.append(request.url)
            if urlsplit(request.url).port != locked.port and request.url.startswith("http")
            else None
        ),
    )
    page.goto(locked.url)
    page.fill("#username", "me")
    page.fill("#password", "wrong-word")
    page.press("#password", "Enter")
    page.locator("[role=alert]").wait_for()
    page.fill("#password", "secret-word")
    page.click(".enter")
    page.locator("#rooms").wait_for()
    page.locator(".mon").first.wait_for()
    cookie = next(one for one in context.cookies() if one["name"].startswith("studio_session"))
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.reload()
    page.locator("[data-switch=leave]").click()
    page.locator("#username").wait_for()
    assert not elsewhere
    context.close()


def test_a_link_from_another_site_finds_the_session(locked, browser):
    """The session is not sent with a click elsewhere; the page that asks for the password looks again by itself."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(locked.url)
    page.fill("#username", "me")
    page.fill("#password", "secret-word")
    page.click(".enter")
    page.locator("#rooms").wait_for()
    page.route(
        "http://elsewhere.example/",
        lambda route: route.fulfill(body=f'<a href="{locked.url}/">studio</a>', content_type="text/html"),
    )
    page.goto("http://elsewhere.example/")
    page.click("a")
    page.locator("#rooms").wait_for()
    assert page.url.startswith(locked.url) and page.locator("#username").count() == 0
    context.close()


def keys(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_a_plain_client_takes_every_result(server):
    """No result has a key `path`, which gradio's client takes for a file: of every endpoint that only reads, with data
    that has it too.
    """
    client = Client(server.url)
    name = f"paths_{uuid.uuid4().hex[:6]}"
    (server.workspace / "data" / f"{name}.json").write_text(
        json.dumps([{"instruction": "a", "output": "b", "path": "c.wav", "more": {"path": "d"}}] * 3)
    )
    client.predict(f"{name}.json", name, api_name="/datasets_register")
    tool = {
        "type": "function",
        "function": {"name": "ls", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
    }
    talk = client.predict([STARTER.name], {"tools": json.dumps([tool])}, api_name="/chat_new")["conversation"]
    recipe = "model_name_or_path: x\npath: y\nadapter: {path: z}\n"
    calls = {
        "monitor": [],
        "machine_report": [],
        "models_list": [],
        "models_inspect": [STARTER.name],
        "models_catalogue": ["qwen"],
        "models_downloads": [],
        "datasets_list": [],
        "datasets_preview": [name],
        "datasets_recognise": [f"{name}.json"],
        "datasets_search": [name, "a"],
        "datasets_entry": [name],
        "datasets_intake": [name],
        "datasets_check": [name, "", "", 64, False],
        "datasets_tokens": [name, 1, STARTER.name],
        "datasets_lengths": [name, STARTER.name],
        "chat_servers": [],
        "chat_conversations": [],
        "chat_open": [talk],
        "chat_picture": [talk],
        "chat_export": [talk, "json"],
        "chat_board": [],
        "train_preview": [{}],
        "train_runs": [],
        "train_queue": [],
        "train_recipe": [recipe],
        "train_recipes": [],
        "train_notices": [],
        "trash_list": [],
        "evaluate_list": [],
        "evaluate_metrics": [],
        "evaluate_own_metrics": [],
        "evaluate_tasks": [],
        "export_list": [],
        "deploy_engines": [],
        "deploy_targets": [],
        "deploy_list": [],
        "deploy_load_tests": [],
        "deploy_recorder_list": [],
        "deploy_open_webui_status": [],
        "live": [[{"name": "strip"}, {"name": "runs"}]],
    }
    reached = 0
    for endpoint, arguments in calls.items():
        try:
            assert "path" not in keys(client.predict(*arguments, api_name=f"/{endpoint}")), endpoint
            reached += 1
        except AppError as told:
            assert endpoint == "train_recipe" and "path" in str(told), (
                endpoint,
                told,
            )  # it may refuse a setting that is none
    assert reached >= len(calls) - 1
    no_arguments = {
        one.removeprefix("/") for one, facts in client._info["named_endpoints"].items() if not facts["parameters"]
    }
    deeds = {"chat_unload", "train_webhook_test", "deploy_recorder_clear", "machine_check"}
    deeds |= {"first_visit_start", "first_visit_end"}
    assert no_arguments - deeds - {"deploy_open_webui_install", "deploy_open_webui_stop"} <= set(calls)
    row = client.predict(name, api_name="/datasets_preview")["rows"][0]
    client.predict(name, 1, row | {"output": "new"}, row, api_name="/datasets_edit_row")
    assert json.loads((server.workspace / "data" / f"{name}.json").read_text())[0] == {
        "instruction": "a",
        "output": "new",
        "path": "c.wav",
        "more": {"path": "d"},
    }
    client.predict(name, True, api_name="/datasets_remove")


def openssl(*words, folder):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_https_and_what_is_wrong_with_a_certificate(tmp_path):
    make = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    openssl(*make, "-keyout", "key.pem", "-out", "cert.pem", folder=tmp_path)
    openssl("genrsa", "-out", "other.pem", "2048", folder=tmp_path)
    openssl("rsa", "-in", "key.pem", "-aes128", "-passout", "pass:word", "-out", "locked.pem", folder=tmp_path)
    (tmp_path / "no.pem").write_text("hello")
    for cert, key, said in (
        ("cert.pem", "other.pem", "no certificate with its key"),
        ("cert.pem", "locked.pem", "passphrase"),
        ("no.pem", "key.pem", "PEM"),
        ("gone.pem", "key.pem", "--ssl-certfile could not be read"),
        ("cert.pem", None, "go together"),
        (None, "key.pem", "go together"),
    ):
        with pytest.raises(Problem) as told:
            certificate(cert and tmp_path / cert, key and tmp_path / key)
        assert said in str(told.value) and is_sentence(str(told.value))
    # Where a key has a passphrase, a studio must not wait at the terminal for it.
    flags = ["--ssl-certfile", str(tmp_path / "cert.pem"), "--ssl-keyfile", str(tmp_path / "locked.pem")]
    ended = subprocess.run(
        [sys.executable, "-m", "studio", "--workspace", str(tmp_path / "w"), *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 1 and "passphrase" in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    served = Server(
        new_workspace(tmp_path / "w").root,
        "--ssl-certfile",
        str(tmp_path / "cert.pem"),
        "--ssl-keyfile",
        str(tmp_path / "key.pem"),
        "--auth",
        "me:secret-word",
        ready=False,
    )
    try:
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        address = f"https://127.0.0.1:{served.port}"

        def entered():
            try:
                return httpx.post(
                    f"{address}/login",
                    data={"username": "me", "password": "secret-word"},
                    headers={"Origin": address},
                    verify=trust,
                )
            except httpx.TransportError:
                return None

        answer = wait_for(entered)
        assert answer.status_code == 200 and "Secure" in answer.headers["set-cookie"]
        assert f"The studio is at {address}" in served.log.read_text() and "list of processes" in served.log.read_text()
    finally:
        served.stop()

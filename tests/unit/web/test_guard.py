"""The guard before the studio, on a small application of its own: who may ask, what is served, what every answer
carries.
"""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from apart import run_apart
from conftest import examples
from hypothesis import example, given
from hypothesis import strategies as any_

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.web.guard import Guard, Rules, rules
from studio.web.guard.hosts import Authority, KnownHosts
from studio.web.guard.sessions import (
    FREE_GUESSES,
    LONGEST_DELAY,
    MOST_ADDRESSES,
    MOST_SESSIONS,
    Guesses,
    Sessions,
    is_right,
)

HOME = "http://localhost:7860"
PROGRAM = Path("/nowhere")
RUN = "/gradio_api/run/models_list"


class Inner:
    """Stands where gradio stands: says what reached it, or fails as told."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        self.asked.append(scope)
        kind = dict(scope["headers"]).get(b"fail", b"")
        if kind == b"raise":
            raise RuntimeError("Traceback (most recent call last): secret")
        if kind == b"html":
            await send(
                {
                    "type": "http.response.start",
                    "status": 500,
                    "headers": [(b"content-type", b"text/html"), (b"content-length", b"9")],
                }
            )
            await send({"type": "http.response.body", "body": b"Traceback"})
            raise RuntimeError("as starlette does after it answered")
        body = {"data": ["ours"]}
        if kind == b"json":
            body = {"error": "The set has no rows.\nWanted inputs:\n  [<gradio>]"}
        await send(
            {
                "type": "http.response.start",
                "status": 500 if kind == b"json" else 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"access-control-allow-origin", b"http://evil.example"),
                ],
            }
        )
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


class Asker:
    """Asks a guard, as a browser or a script does."""

    def __init__(
        self,
        guarding: Rules | None = None,
        uploads: Path = Path("/nowhere"),
        address: str = "10.1.2.3",
        language: str = "en",
    ):
        self.inner = Inner()
        self.guard = Guard(self.inner, guarding or Rules(), uploads, lambda request: Words(language), PROGRAM)
        self.address, self.cookies = address, {}

    def __call__(self, method="GET", path="/", host="localhost:7860", address=None, **headers):
        data, scheme = headers.pop("data", None), headers.pop("scheme", "http")
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def ask():
            transport = httpx.ASGITransport(
                self.guard, raise_app_exceptions=True, client=(address or self.address, 5000)
            )
            async with httpx.AsyncClient(transport=transport, cookies=self.cookies) as client:
                return await client.request(
                    method, f"{scheme}://localhost:7860{path}", headers={"Host": host, **named}, data=data
                )

        answer = run_apart(ask())
        self.cookies.update(answer.cookies)
        return answer


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:7860", "LOCALHOST:9", "localhost.", "127.0.0.1:50123", "[::1]:7860", "[::1]", "127.8.8.8"],
)
def test_names_of_this_machine_are_known_whatever_the_port(host):
    assert Asker()("POST", RUN, host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5:7860",
        "8.8.8.8",
        "[2001:db8::1]",
        "",
        "localhost:7860@evil.example",
        "evil@localhost",
        "localhost:",
        "localhost:99999",
        "localhost:0",
        "localhost/x",
        "lo calhost",
        "[localhost]",
        "127.0.0.1, evil.example",
        "0x7f000001",
        "2130706433",
        "localhost\\.evil",
        "\xe9vil.example",
        "::1",
    ],
)
def test_a_foreign_name_is_refused_before_anything_is_asked(host):
    asker = Asker()
    for method, path in (
        ("GET", "/"),
        ("POST", RUN),
        ("POST", "/gradio_api/upload"),
        ("GET", "/assets/x.js"),
        ("GET", "/nothing"),
    ):
        answer = asker(method, path, host=host.encode("latin-1"))
        assert answer.status_code == 403 and "error" in answer.json() and "--allowed-host" in answer.json()["error"]
    assert not asker.inner.asked


def test_two_hosts_or_a_foreign_one_before_a_proxy_are_refused():
    asker = Asker()
    assert asker("GET", "/", x_forwarded_host="evil.example").status_code == 403
    assert asker("GET", "/", x_forwarded_host="localhost:1, evil.example").status_code == 200
    assert dict(asker.inner.asked[-1]["headers"])[b"x-forwarded-host"] == b"localhost:1"

    async def twice():
        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [(b"host", b"localhost"), (b"host", b"evil")],
            "query_string": b"",
        }
        await asker.guard(scope, None, send)
        return sent

    assert run_apart(twice())[0]["status"] == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8888",
        "http://127.0.0.1:7860",
        "http://evil.example",
        "null",
        "",
        "http://localhost",
        "file://",
        "http://localhost:7860.evil.example",
        "chrome-extension://abc",
        "http://localhost:7860/",
        "http://user@localhost:7860",
        "ftp://localhost:7860",
        "http://[::1]:7860",
        "localhost:7860",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", RUN),
        ("GET", "/"),
        ("POST", "/gradio_api/upload"),
        ("OPTIONS", RUN),
        ("POST", "/logout"),
        ("POST", "/login"),
    ],
)
def test_another_page_is_refused_whatever_it_asks(origin, method, path):
    asker = Asker()
    answer = asker(method, path, Origin=origin)
    assert answer.status_code == 403 and not asker.inner.asked and "access-control-allow-origin" not in answer.headers


def test_the_page_itself_and_a_script_without_a_page_are_served():
    asker = Asker()
    assert asker("POST", RUN, Origin=HOME, sec_fetch_site="same-origin").status_code == 200
    assert asker("POST", RUN).status_code == 200
    assert (
        asker("GET", "/", sec_fetch_site="none", sec_fetch_mode="navigate", sec_fetch_dest="document").status_code
        == 200
    )
    assert asker("POST", RUN, host="[::1]:7860", Origin="http://[::1]:7860").status_code == 200
    assert "access-control-allow-origin" not in asker("POST", RUN, Origin=HOME).headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_may_lead_to_the_page_and_nothing_else_comes_from_another_site(site):
    asker = Asker()
    follow = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert asker("GET", "/?__theme=dark", **follow).status_code == 200
    assert asker("POST", "/", **follow).status_code == 403
    for path in ("/config", "/gradio_api/info", RUN, "/assets/index.js", "/gradio_api/file=/x", "/logout"):
        assert asker("GET", path, **follow).status_code == 403
    assert asker("GET", "/", **follow | {"sec_fetch_dest": "iframe"}).status_code == 403
    assert asker("GET", "/", **follow | {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}).status_code == 403


def test_a_proxy_is_known_by_the_flag_with_its_scheme_and_port():
    bare = Asker(rules("127.0.0.1", ["gpu.example.com"], None, "", []))
    assert bare("POST", RUN, host="gpu.example.com", Origin="https://gpu.example.com").status_code == 200
    assert bare("POST", RUN, host="gpu.example.com:8443", Origin="https://gpu.example.com:8443").status_code == 200
    assert bare("POST", RUN, host="127.0.0.1:7860", Origin="https://gpu.example.com").status_code == 200
    assert (
        bare(
            "POST", RUN, host="127.0.0.1:7860", x_forwarded_host="gpu.example.com:9", Origin="http://gpu.example.com:9"
        ).status_code
        == 200
    )
    assert bare("POST", RUN, host="127.0.0.1:7860", Origin="https://gpu.example.com:8443").status_code == 403
    assert bare("POST", RUN, host="other.example.com").status_code == 403
    assert bare("POST", RUN, host="gpu.example.com", Origin="http://gpu.example.com", scheme="https").status_code == 403
    whole = Asker(rules("127.0.0.1", ["https://gpu.example.com:8443", "*.lab.example", "例子.example"], None, "", []))
    assert whole("POST", RUN, host="127.0.0.1:7860", Origin="https://gpu.example.com:8443").status_code == 200
    assert whole("POST", RUN, host="127.0.0.1:7860", Origin="http://gpu.example.com:8443").status_code == 403
    assert whole("POST", RUN, host="a.b.lab.example", Origin="https://a.b.lab.example").status_code == 200
    assert whole("POST", RUN, host="a.lab.example", Origin="https://b.lab.example").status_code == 403
    assert whole("POST", RUN, host="lab.example").status_code == 403
    assert whole("POST", RUN, host="xn--fsqu00a.example").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["*", "", "*.", "*.com", "a b", "http://", "ftp://a", "a/b", "a:0", "https://a/x", "user@a", "a..b/", "\x00"],
)
def test_a_name_that_is_none_is_told(name):
    with pytest.raises(Problem) as told:
        rules("127.0.0.1", [name], None, "", [])
    assert "--allowed-host" in str(told.value)


def test_where_others_reach_the_server_its_names_and_bare_addresses_are_known():
    import socket

    hosts = KnownHosts("0.0.0.0")
    assert all(
        hosts.knows(name)
        for name in (socket.gethostname(), "192.168.1.5:7860", "[2001:db8::1]:7860", "0.0.0.0:7860", "localhost")
    )
    assert not hosts.knows("evil.example")
    assert KnownHosts("gpu-box.lab").knows("gpu-box.lab:7860") and not KnownHosts("gpu-box.lab").knows("gpu-box.evil")
    assert not KnownHosts("localhost").is_open and not KnownHosts("::1").is_open and KnownHosts("::").is_open


def test_only_what_the_page_needs_is_served(tmp_path):
    asker = Asker(uploads=tmp_path)
    (tmp_path / "inside.png").write_bytes(b"x")
    (tmp_path / "way-out").symlink_to("/etc")
    served = [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/config"),
        ("GET", "/gradio_api/info?all_endpoints=True"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/queue/data?session_hash=a"),
        ("GET", "/gradio_api/stream/train_metrics?name=a&since=1"),
        ("POST", RUN),
        ("POST", "/gradio_api/call/x"),
        ("GET", "/gradio_api/call/x/abc-1"),
        ("GET", "/static/fonts/Source Sans Pro/a.woff2"),
        ("GET", "/assets/index-DputZZxm.js"),
        ("GET", "/theme.css"),
        ("GET", "/favicon.ico"),
        ("POST", "/gradio_api/upload?upload_id=a"),
        ("GET", "/gradio_api/heartbeat/ab-1"),
        ("GET", f"/gradio_api/file={tmp_path}/inside.png"),
    ]
    assert [asker(*one).status_code for one in served] == [200] * len(served)
    reached = len(asker.inner.asked)
    refused = [
        "/docs",
        "/redoc",
        "/openapi.json",
        "/gradio_api/openapi.json",
        "/docs/oauth2-redirect",
        "/monitoring",
        "/monitoring/summary",
        "/monitoring/key",
        "/gradio_api/proxy=http://169.254.169.254/",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=https://evil.example",
        "/gradio_api/file//etc/passwd",
        f"/gradio_api/file={tmp_path}/way-out/passwd",
        f"/gradio_api/file={tmp_path}/../../etc/passwd",
        f"/gradio_api/file={tmp_path}%00",
        "/gradio_api/dev/reload",
        "/gradio_api/deep_link?session_hash=a",
        "/gradio_api/stream/x/close",
        "/gradio_api/stream/x",
        "/gradio_api/stream/a/1/2/playlist.m3u8",
        "/gradio_api/token",
        "/gradio_api/user",
        "/gradio_api/custom_component/a/client/b/c",
        "/gradio_api/component_server",
        "/gradio_api/process_recording",
        "/gradio_api/vibe-edit",
        "/gradio_api/mcp/sse",
        "/gradio_api/queue/status",
        "/robots.txt",
        "/manifest.json",
        "/pwa_icon/99999",
        "/static/../x",
        "/assets/%2e%2e/x",
        "/assets//etc/passwd",
        "/assets/..%2f..%2fx",
        "//",
        "/%00",
        "/gradio_api/run/a%0ab",
        "/svelte/",
        "/GRADIO_API/run/x",
        "/config/x",
        "/gradio_api/heartbeat/a/b",
    ]
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        assert {path: code for path in refused if (code := asker(method, path).status_code) not in (404, 405)} == {}
    assert asker("GET", "/logout").status_code == 405 and asker("PUT", RUN).status_code == 405
    assert len(asker.inner.asked) == reached


def test_a_link_brings_no_state_along():
    asker = Asker()
    for path in ("/?page=x&deep_link=../../secret", "/config?deep_link=../../secret"):
        asker("GET", path)
        assert asker.inner.asked[-1]["query_string"] == b""
    asker("GET", "/gradio_api/queue/data?session_hash=abc")
    assert asker.inner.asked[-1]["query_string"] == b"session_hash=abc"


def test_every_answer_forbids_frames_guesses_of_its_type_and_copies():
    asker = Asker(Rules(auth=("me", "secret")))
    answers = [
        asker("GET", "/"),
        asker("POST", RUN),
        asker("GET", "/", host="evil.example"),
        asker("POST", RUN, Origin="null"),
        asker("GET", "/docs"),
        asker("POST", "/login", data={"username": "me", "password": "secret"}),
        asker("GET", "/"),
        asker("POST", RUN),
        asker("POST", RUN, fail="raise"),
        asker("POST", RUN, fail="html"),
        asker("GET", "/nothing"),
    ]
    assert [one.status_code for one in answers] == [401, 401, 403, 403, 401, 200, 200, 200, 500, 500, 404]
    for answer in answers:
        assert (
            answer.headers["x-frame-options"] == "DENY"
            and "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        )
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        assert (
            answer.headers["cross-origin-opener-policy"]
            == answer.headers["cross-origin-resource-policy"]
            == "same-origin"
        )
        assert answer.headers["referrer-policy"] == "same-origin"
    assert "no-store" not in asker("GET", "/assets/x.js").headers.get("cache-control", "")


def test_a_page_may_frame_it_by_the_flag():
    asker = Asker(rules("127.0.0.1", [], None, "", ["http://localhost:8888", "https://notebook.example"]))
    shown = asker("GET", "/", sec_fetch_site="same-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe")
    assert shown.status_code == 200 and "x-frame-options" not in shown.headers
    assert "frame-ancestors http://localhost:8888 https://notebook.example" in shown.headers["content-security-policy"]
    assert asker("POST", RUN, Origin="http://localhost:8888").status_code == 403
    for wrong in ("localhost:8888", "*", "https://a b", "https://a; script-src *", "javascript:alert(1)"):
        with pytest.raises(Problem):
            rules("127.0.0.1", [], None, "", [wrong])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fault_inside_is_one_sentence(language, capsys):
    asker = Asker(language=language)
    for kind in ("raise", "html"):
        answer = asker("POST", RUN, fail=kind)
        assert answer.status_code == 500 and answer.json() == {"error": Words(language)("guard.failed")}
    assert "secret" in capsys.readouterr().err
    assert asker("POST", RUN, fail="json").json() == {"error": "The set has no rows."}


def test_a_websocket_is_never_opened():
    async def ask():
        sent, asker = [], Asker()

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        await asker.guard(
            {
                "type": "websocket",
                "path": "/gradio_api/stream/x",
                "headers": [(b"host", b"localhost")],
                "query_string": b"",
            },
            receive,
            send,
        )
        return sent, asker.inner.asked

    assert run_apart(ask()) == ([{"type": "websocket.close", "code": 1008}], [])


@pytest.mark.parametrize("root", ["/tools/studio", "tools/studio/", "https://gpu.example.com/tools/studio"])
def test_under_a_sub_path_with_and_without_a_proxy_that_takes_it_away(root):
    asker = Asker(rules("127.0.0.1", [], ("me", "word"), root, []))
    asker("POST", "/tools/studio/login", data={"username": "me", "password": "word"})
    for path in ("/", "/tools/studio/"):
        assert asker("GET", path).status_code == 200 and asker.inner.asked[-1]["path"] == "/"
    for path in (RUN, f"/tools/studio{RUN}"):
        assert (
            asker("POST", path).status_code == 200
            and asker.inner.asked[-1]["path"] == RUN
            and asker.inner.asked[-1]["raw_path"] == RUN.encode()
        )
    turned = asker("GET", "/tools/studio")
    assert turned.status_code == 307 and turned.headers["location"] == "/tools/studio/"
    assert asker("GET", "/tools/studiox/").status_code == 404 and asker("GET", "/tools/studio/docs").status_code == 404
    assert asker("GET", "/", host="gpu.example.com").status_code == (401 if "://" in root else 403)


def test_without_login_nothing_answers():
    asker = Asker(Rules(auth=("me", "secret-word")))
    paths = [
        "/config",
        "/gradio_api/info",
        "/gradio_api/startup-events",
        "/gradio_api/app_id",
        "/theme.css",
        "/static/a",
        "/assets/a.js",
        "/favicon.ico",
        "/gradio_api/heartbeat/a",
        "/gradio_api/queue/data",
        "/gradio_api/upload_progress",
        "/gradio_api/stream/train_metrics",
        "/gradio_api/queue/join",
        "/gradio_api/upload",
        RUN,
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/cancel",
        "/gradio_api/reset",
        "/nothing",
        "/docs",
        "/gradio_api/stream/x/close",
        "/tools",
        "/login/x",
    ]
    for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert {asker(method, path).status_code for path in paths} == {401}
    assert not asker.inner.asked
    page = asker("GET", "/", accept="text/html")
    assert (
        page.status_code == 401
        and 'action="/login"' in page.text
        and "http" not in page.text.replace("http://www.w3.org/2000/svg", "")
    )


def enter(asker, name="me", password="secret-word", **more):
    return asker("POST", "/login", data={"username": name, "password": password}, **more)


def test_a_session_begins_lives_and_ends():
    asker = Asker(Rules(auth=("me", "secret-word")))
    assert enter(asker, password="wrong").status_code == 401 and enter(asker, name="you").status_code == 401
    answer = enter(asker)
    assert answer.json() == {"success": True}
    cookie = answer.headers["set-cookie"]
    assert (
        "HttpOnly" in cookie
        and "SameSite=Strict" in cookie
        and "Max-Age=604800" in cookie
        and "Path=/;" in cookie
        and "Secure" not in cookie
    )
    assert cookie.startswith("studio_session_7860=")
    assert asker("POST", RUN).status_code == 200
    assert "studio_session_7860=" in asker("GET", "/").headers["set-cookie"]
    assert asker("GET", "/logout").status_code == 405 and asker("POST", RUN).status_code == 200
    kept = dict(asker.cookies)
    assert "Max-Age=0" in asker("POST", "/logout").headers["set-cookie"]
    asker.cookies = kept
    assert asker("POST", RUN).status_code == 401
    assert "Secure" in enter(asker, scheme="https").headers["set-cookie"]


def test_a_browser_is_led_on_and_back():
    asker = Asker(Rules(auth=("me", "secret-word")), language="zh")
    wrong = enter(asker, name='"><script>alert(1)</script>', password="x", accept="text/html", Origin=HOME)
    assert wrong.status_code == 401 and "<script>alert" not in wrong.text and Words("zh")("guard.wrong") in wrong.text
    right = enter(asker, accept="text/html", Origin=HOME)
    assert right.status_code == 303 and right.headers["location"] == "/"
    assert asker("GET", "/login").headers["location"] == "/"
    assert asker("POST", "/logout", accept="text/html", Origin=HOME).status_code == 303


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"username=me",
        b"\xff\xfe",
        b"a=1&" * 100,
        b"username=me&password=" + b"x" * 10_000,
        b"{}",
        b"username=%ED%A0%80&password=x",
    ],
)
def test_a_form_that_is_none_opens_nothing(body):
    asker = Asker(Rules(auth=("me", "secret-word")))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asker.guard)) as client:
            return await client.post(f"{HOME}/login", content=body)

    answer = run_apart(ask())
    assert answer.status_code in (400, 401) and "set-cookie" not in answer.headers


def test_without_a_password_a_login_is_no_fault():
    assert enter(Asker()).json() == {"success": True}


def test_guesses_wait_longer_and_nobody_is_locked_out_for_good():
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(FREE_GUESSES):
        assert guesses.wait_for("1.2.3.4") == 0
        guesses.was_wrong("1.2.3.4")
    waits = []
    for _ in range(10):
        waits.append(guesses.wait_for("1.2.3.4"))
        now[0] += waits[-1]
        assert guesses.wait_for("1.2.3.4") == 0
        guesses.was_wrong("1.2.3.4")
    assert waits[:4] == [1, 2, 4, 8] and max(waits) == LONGEST_DELAY
    assert guesses.wait_for("1.2.3.5") == 0
    guesses.was_right("1.2.3.4")
    assert guesses.wait_for("1.2.3.4") == 0


def test_one_machine_has_one_count_and_the_memory_is_bounded():
    guesses = Guesses(lambda: 0.0)
    for host in range(FREE_GUESSES):
        guesses.was_wrong(f"2001:db8:1:2::{host + 1}")
    assert guesses.wait_for("2001:db8:1:2:ffff::9") > 0 and guesses.wait_for("2001:db8:1:3::1") == 0
    for one in range(MOST_ADDRESSES + 50):
        guesses.was_wrong(f"10.{one // 65536}.{one // 256 % 256}.{one % 256}")
    assert len(guesses._wrong) == MOST_ADDRESSES and len(guesses._lately) < 100


def test_many_who_guess_at_once_stand_in_line_and_who_was_right_before_passes():
    guesses = Guesses(lambda: 0.0, pace=0.01)
    guesses.was_right("10.0.0.1")
    for one in range(60):
        guesses.was_wrong(f"10.1.0.{one}")

    async def crowd():
        turns = await asyncio.gather(*(guesses.take_turn(f"10.2.0.{one}") for one in range(60)))
        return turns, await guesses.take_turn("10.0.0.1")

    turns, known = run_apart(crowd())
    assert known and 0 < turns.count(True) < 60


def test_a_guess_that_comes_too_early_is_not_looked_at():
    asker = Asker(Rules(auth=("me", "secret-word")))
    for _ in range(FREE_GUESSES):
        enter(asker, password="wrong")
    early = enter(asker)
    assert early.status_code == 429 and int(early.headers["retry-after"]) >= 1 and "set-cookie" not in early.headers
    assert enter(asker, address="10.9.9.9").status_code == 200


def test_sessions_end_by_themselves_and_are_few():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.begin()
    for _ in range(5):
        now[0] += 6 * 24 * 3600
        assert sessions.is_open(first) or now[0] > 30 * 24 * 3600
    idle = sessions.begin()
    now[0] += 7 * 24 * 3600 + 1
    assert (
        not sessions.is_open(first)
        and not sessions.is_open(idle)
        and not sessions.is_open(None)
        and not sessions.is_open("")
    )
    tokens = [sessions.begin() for _ in range(MOST_SESSIONS + 5)]
    assert not sessions.is_open(tokens[0]) and sessions.is_open(tokens[-1])


def test_name_and_password_must_both_be_right():
    assert is_right(("mé", "密码"), ("mé", "密码"))
    assert not any(
        is_right(wrong, ("me", "word"))
        for wrong in (("me", "Word"), ("Me", "word"), ("word", "me"), ("me", ""), ("", ""))
    )


def test_what_names_no_host_is_none():
    assert Authority.of("[::1]:80") == Authority("::1", 80) and Authority.of("[0:0::1]") == Authority("::1")
    assert all(
        Authority.of(text) is None
        for text in ("", ":80", "a:b", "[::1", "::1", "a/b", "-a", "a b", "[zz]", "é", "a:70000")
    )


NAMES = any_.sampled_from(
    [
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"sec-fetch-mode",
        b"sec-fetch-dest",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"cookie",
        b"accept",
        b"accept-language",
        b"content-type",
    ]
)
SAID = any_.binary(max_size=12) | any_.sampled_from(
    [
        b"localhost:7860",
        b"http://localhost:7860",
        b"evil.example",
        b"same-origin",
        b"cross-site",
        b"null",
        b"text/html",
        b"studio_session=x",
        b"[::1]",
        b"zh",
    ]
)
PATHS = any_.text(max_size=20).map(lambda text: f"/{text}") | any_.sampled_from(
    ["/", RUN, "/login", "/logout", "/config", "/gradio_api/file=/etc/passwd", "/tools", "/tools/"]
)


@given(
    any_.lists(any_.tuples(NAMES, SAID), max_size=6),
    PATHS,
    any_.binary(max_size=20),
    any_.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "BREW"]),
    any_.booleans(),
    any_.binary(max_size=40),
)
@example([(b"host", b"localhost:7860")], "/tools/logout", b"\x80", "POST", True, b"")
@examples(400)
def test_whatever_is_asked_is_answered_and_only_the_known_gets_in(headers, path, query, method, has_login, body):
    inner, sent = Inner(), []
    guard = Guard(
        inner,
        rules("127.0.0.1", [], ("me", "word") if has_login else None, "/tools", []),
        Path("/nowhere"),
        lambda request: Words("en"),
        PROGRAM,
    )

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query,
        "headers": headers,
        "scheme": "http",
    }
    run_apart(guard(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    hosts = [value for name, value in headers if name == b"host"]
    if inner.asked:
        assert not has_login and hosts in ([b"localhost:7860"], [b"[::1]"])
        assert not [value for name, value in headers if name == b"origin" and value != b"http://localhost:7860"]
    else:
        assert sent[0]["status"] in (200, 303, 307, 400, 401, 403, 404, 405)

"""A workspace in which all is hostile, looked at in a real browser: nothing of it runs, and the policy would stop it if
it could.
"""

import poisoned_files as files
import pytest
from conftest import Server, rest_slow
from playwright.sync_api import expect
from poisoned_files import PAYLOAD

# What a person takes in hand, one after the other, in each room: (room, kind, value).
WAYS = [
    *[("train", "run", run) for run in (*files.RUNS, f"tiny/lora/{PAYLOAD}")],
    *[("train", "part", part) for part in ("samples", "checkpoints", "log", "recipe", "curves")],
    ("train", "compare", "|".join(files.RUNS)),
    ("train", "view", "compare"),
    *[("models", "model", name) for name in ("tiny", "parts", "named", PAYLOAD)],
    *[("models", "models", view) for view in ("catalogue", "get", "disk")],
    *[("datasets", "dataset", name) for name in ("alpaca", "lines", "odd", PAYLOAD)],
    *[("evaluate", "evaluation", one) for one in (files.EVALUATION, files.BENCHMARK, "")],
    ("evaluate", "evaluation", files.EVALUATION),
    ("evaluate", "report", "rows"),
    ("evaluate", "answers", "open=0&offset=0"),
    ("evaluate", "report", "beside"),
    ("evaluate", "beside", f"other={files.BENCHMARK}"),
    ("evaluate", "report", "summary"),
    *[("chat", "chat", chat) for chat in files.CHATS],
    *[("chat", "talk", part) for part in ("prompts", "board", "sheet", "servers", "talk")],
    ("chat", "sheet", files.CHAT),
]
# What a script asks for that is not there. That the policy had to stop a handler is an error: nothing hostile is read
# as HTML anywhere.
NO_ERROR = ("status of 404", "ERR_ABORTED", "status of 500")


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory):
    root = tmp_path_factory.mktemp("poisoned") / "workspace"
    files.build(root)
    files.texts_poisoned(root)
    files.named_badly(root)
    running = Server(root)
    yield running
    running.kill()


def drawn(page) -> None:
    """Wait until every region in sight was asked for twice: the second time, all that the first began has come too."""
    page.evaluate("""async () => {
        const asks = () => performance.getEntriesByName(`${location.origin}/gradio_api/run/live`).length;
        performance.clearResourceTimings();
        while (asks() < 2) { await window.studio.refresh(); await new Promise((done) => setTimeout(done, 30)); }
    }""")


@pytest.mark.parametrize("locale", rest_slow("zh-CN", "en-US"))
def test_nothing_of_a_poisoned_workspace_runs(browser, poisoned, locale):
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale=locale).new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: errors.append(dialog.message) or dialog.dismiss())
    page.on("request", lambda request: asked.append(request.url))
    page.goto(poisoned.url)
    expect(page.locator("#room-train-button")).to_be_visible()
    entered = ""
    for room, kind, value in WAYS:
        if room != entered:
            page.locator(f"#room-{room}-button").click()
        entered = room
        page.evaluate("([kind, value]) => window.studio.pick(kind, value)", [kind, value])
        drawn(page)
        page.evaluate("() => { for (const fold of document.querySelectorAll('.live details')) fold.open = true; }")
        if value in ("alpaca", PAYLOAD) and kind == "dataset":
            for section in page.locator('[data-pick^="section:"]').all():
                if section.is_visible():
                    section.click()
                    drawn(page)
        assert page.evaluate("window.pwned") is None, (room, kind, value)
        assert page.locator("img[onerror], [onmouseover], [onfocus], img[src=x]").count() == 0, (room, kind, value)
    assert "<img src=x" in page.locator("#room-chat").inner_text(), (
        "the hostile texts are shown as the texts that they are"
    )
    assert not [url for url in asked if not url.startswith((poisoned.url, "data:", "blob:"))]
    assert not [error for error in errors if not any(known in error for known in NO_ERROR)]


def test_what_would_be_put_into_the_page_could_not_run(browser, poisoned):
    page = browser.new_context().new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(poisoned.url)
    expect(page.locator("#room-train-button")).to_be_visible()
    page.evaluate("""() => {
        const place = document.body.appendChild(document.createElement("div"));
        place.innerHTML = `<img src=x onerror="window.pwned=1"><svg onload="window.pwned=2"></svg>
            <button onclick="window.pwned=3">x</button><a href="javascript:window.pwned=4">x</a>
            <iframe srcdoc="<script>parent.pwned=5</script>"></iframe><form action="https://example.org"></form>`;
        for (const one of place.querySelectorAll("button, a")) one.click();
        const script = document.createElement("div");
        script.innerHTML = "<script>window.pwned=7</script>";
        document.body.append(script);
    }""")
    page.wait_for_timeout(500)
    assert page.evaluate("window.pwned") is None
    assert errors == []

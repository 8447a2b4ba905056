"""The whole loop as a person does it: in a real browser, with a studio in a process of its own and a model that really
learns.
"""

import re

from api_client import Client
from asking import agree
from conftest import LONG, SLOW, Server, new_workspace, wait_for
from playwright.sync_api import expect

from studio.train import runs

# A quarter of the identity set, seen once: enough for the name to come.
LEARN = {"num_train_epochs": "0.25", "per_device_train_batch_size": "4", "learning_rate": "0.004"}


def open_page(browser, server, **context):
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US", **context).new_page()
    page.outside, page.errors = [], []
    page.on(
        "request",
        lambda request: (
            page.outside.append(request.url) if not request.url.startswith((server.url, "data:", "blob:")) else None
        ),
    )
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(server.url)
    expect(page.get_by_role("tab", name="Train")).to_be_visible()
    return page


def points(page) -> int:
    return int(page.locator(".charts[data-arg]").first.get_attribute("data-points") or 0)


def test_train_watch_reload_compare(browser, server):
    page = open_page(browser, server)
    client = Client(server.url, httpx_kwargs={"timeout": 60})  # the libraries load beside it
    others = {run["run"] for run in client.predict(api_name="/train_runs")}
    page.locator('[data-pick="run:"]').first.click()
    for field, value in LEARN.items():
        page.locator(f"#train-{field} input").fill(value)
    page.locator("#train-start").click()
    run = wait_for(
        lambda: next((run["run"] for run in client.predict(api_name="/train_runs") if run["run"] not in others), None),
        seconds=180,
    )
    name = run.split("/")[-1]
    expect(page.locator(".live-run h2")).to_have_text(name)
    wait_for(lambda: points(page) >= 2, seconds=200)
    before = points(page)
    page.reload()
    expect(page.locator(".live-run h2")).to_have_text(name)
    wait_for(lambda: points(page) >= before)
    other = open_page(browser, server)
    wait_for(lambda: points(other) >= before)
    other.context.close()
    compare = page.get_by_role("button", name="Compare with the base")
    expect(compare).to_be_visible(timeout=280_000)
    losses = [point[1] for point in client.predict(run, 0, api_name="/train_metrics")["series"]["loss"]]
    assert len(losses) == 6 and sum(losses[-3:]) / 3 < losses[0] * 2 / 3
    wait_for(lambda: points(page) == len(losses))
    compare.click()
    page.locator("#chat-temperature input").fill("0")
    page.locator("#chat-max-tokens input").fill("16")
    page.locator("#chat-say textarea").fill("What is your name?")
    page.locator("#chat-send").click()
    expect(page.locator("#chat-1")).to_contain_text("Xiaoju")
    expect(page.locator(".speed").nth(1)).to_contain_text(re.compile("done|cut"))
    assert "Xiaoju" not in page.locator("#chat-0").inner_text()
    expect(page.locator(".speed").first).to_contain_text("tokens/s")
    assert page.outside == [] and page.errors == []
    page.context.close()


def test_a_refused_start_is_one_sentence_and_keeps_what_was_typed(browser, server):
    page = open_page(browser, server)
    page.locator('[data-pick="run:"]').first.click()
    page.locator("#train-learning_rate input").fill("0.5")
    page.locator("#train-cutoff_len input").fill("-5")
    page.locator("#train-cutoff_len input").blur()
    expect(page.locator("#train-start")).to_be_disabled(timeout=120_000)  # the libraries may still be loading
    page.locator("#train-cutoff_len input").fill("64")
    page.locator("#train-cutoff_len input").blur()
    expect(page.locator("#train-start")).to_be_enabled()
    page.get_by_label("The model's name").fill("")
    page.locator("#train-start").click()
    expect(page.locator("#train-problem .problem")).to_contain_text("The identity has no name")
    expect(page.locator("#train-learning_rate input")).to_have_value("0.5")
    page.context.close()


def test_the_page_speaks_chinese_and_switches(browser, server):
    context = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(server.url)
    expect(page.get_by_role("tab", name="训练")).to_be_visible()
    page.locator('[data-switch="language"]').click()
    expect(page.get_by_role("tab", name="Train")).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="Train")).to_be_visible()
    context.close()


def test_nothing_sticks_out_at_any_width_and_light_and_dark_are_remembered(browser, server):
    page = browser.new_context(viewport={"width": 390, "height": 800}, locale="en-US", color_scheme="light").new_page()
    page.goto(server.url)
    expect(page.get_by_role("tab", name="Train")).to_be_visible()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(1000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
        page.locator('[data-pick="run:"]').first.click()
        expect(page.locator("#train-start")).to_be_visible()
    page.locator('[data-switch="theme"]').click()
    page.reload()
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    page.context.close()


def gone_on(status: dict, steps: int) -> dict | None:
    """The status of a run that is past so many steps, or that is over."""
    return status if status["step"] > steps or status["state"] not in runs.ACTIVE else None


def test_killed_in_the_middle_nothing_is_lost(browser, tmp_path):
    workspace = new_workspace(tmp_path / "workspace").root
    server = Server(workspace)
    try:
        run = Client(server.url).predict(LONG | {"save_steps": 2, "save_total_limit": 2}, api_name="/train_start")[
            "run"
        ]
        folder = workspace / "saves" / run
        wait_for(lambda: list(folder.glob("checkpoint-*/trainer_state.json")), seconds=180)
        server.kill()
        server = Server(workspace)
        client = Client(server.url)
        status = client.predict(run, api_name="/train_status")
        assert status["state"] == "interrupted"
        before = client.predict(run, 0, api_name="/train_metrics")["series"]["loss"]
        assert [point[0] for point in before] == list(range(1, len(before) + 1)) and len(before) >= 2
        page = open_page(browser, server)
        expect(page.locator(".live-run .run-head")).to_contain_text(run.split("/")[-1])
        page.get_by_role("button", name="Resume").click()
        # A press that was lost, and a run that does not go on, are two faults.
        wait_for(lambda: client.predict(run, api_name="/train_status")["state"] != "interrupted")
        assert '"resumed_from": "checkpoint-' in (folder / "events.jsonl").read_text()
        if SLOW:  # that it goes on where it was, the tests of the engine say, which load no libraries once more
            resumed = wait_for(lambda: gone_on(client.predict(run, api_name="/train_status"), len(before) + 1))
            assert resumed["state"] == "running", resumed
        page.get_by_role("button", name="Abort").click()
        agree(page)
        wait_for(lambda: client.predict(run, api_name="/train_status")["state"] == "stopped")
        page.context.close()
    finally:
        server.kill()

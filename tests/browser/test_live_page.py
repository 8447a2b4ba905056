"""What a person is doing on the page outlives its ticks: focus, a selection, an open fold, what was typed."""

import json
import time

import pytest
from api_client import Client
from conftest import LONG, NAMED, wait_for
from playwright.sync_api import expect

from studio.core.workspace import Workspace
from studio.train import runs

# A step or two in a second, as a real model has them: of more the page would draw nothing but them.
SHOWN = LONG | {"gradient_accumulation_steps": 8, "dataset": "identity_en", "logging_steps": 1}


@pytest.fixture(scope="module")
def trained(server):
    """The name of a run that trains for as long as the tests last."""
    client = Client(server.url, httpx_kwargs={"timeout": 240})
    run = client.predict(SHOWN, "in-process", NAMED, api_name="/train_start")["run"]
    yield run
    client.predict(run, False, api_name="/train_stop")
    wait_for(lambda: client.predict(run, api_name="/train_status")["state"] == "stopped")


@pytest.fixture
def page(new_page, server):
    new_page.goto(server.url)
    expect(new_page.locator(".live-runs [data-pick]").first).to_be_visible()
    return new_page


@pytest.fixture
def run(page, trained):
    """The name of the run that trains, which the page looks at."""
    page.locator(f'.live-runs [data-pick="run:{trained}"]').click()
    expect(page.locator(".live-run .progress.running")).to_be_visible(timeout=240_000)
    return trained


def ticks(page, region: str, count: int = 3):
    """Wait until a region was drawn anew so many times with something else in it."""
    place = page.locator(f"[data-live={region}]")
    for _ in range(count):
        before = place.inner_text()
        page.wait_for_function(
            "([region, before]) => document.querySelector(`[data-live=${region}]`).innerText !== before",
            arg=[region, before],
        )


def finished(server, name: str) -> None:
    """Make a run that is over."""
    made = runs.make(Workspace(server.workspace), "SmolLM2-135M-Instruct", "lora", name)
    made.info_file.write_text(json.dumps({"created": time.time()}))
    made.recipe_file.write_text(json.dumps({"model_name_or_path": "SmolLM2-135M-Instruct"}))
    made.say("state", state="finished")


def test_a_press_is_for_what_stood_under_the_pointer_as_it_began(page, run, server):
    """A list that is drawn anew between press and release, with one more above, takes no press for another one's."""
    finished(server, "pressed")
    row = page.locator('.live-runs [data-pick$="/pressed-1"]')
    at = row.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    with page.expect_response(lambda answer: "/live" in answer.url and "put-above" in answer.text()):
        finished(server, "put-above")
    page.wait_for_timeout(300)
    page.mouse.up()
    expect(page.locator(".live-run h2")).to_have_text("pressed-1")
    expect(page.locator('.live-runs [data-pick$="/put-above-1"]')).to_be_visible()
    assert row.bounding_box()["y"] > at["y"]


def test_no_answer_moves_what_is_pressed(page, run):
    """What is told of a recipe comes above what follows: a press there would be lost, or be for another."""
    page.locator('[data-pick="run:"]').first.click()
    page.get_by_role("button", name="Load, save and import recipes").click()
    box, button = page.locator("#train-import textarea"), page.locator("#train-import-button")
    notices = page.get_by_role("button", name="Notices ▼")
    box.fill("no_such_thing: 1")
    held, is_held = [], [True]
    page.route("**/gradio_api/run/predict*", lambda route: held.append(route) if is_held else route.continue_())
    button.press("Enter")
    wait_for(lambda: page.wait_for_timeout(50) or held)
    notices.scroll_into_view_if_needed()
    at = notices.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    is_held.clear()
    for route in held:
        with page.expect_response(lambda answer, route=route: answer.request == route.request):
            route.continue_()
    page.wait_for_timeout(500)
    assert notices.bounding_box() == at
    page.mouse.up()
    expect(page.locator("#train-import-report .problem")).to_contain_text("no_such_thing")
    expect(page.locator("#webhook")).to_be_visible()
    assert notices.bounding_box()["y"] > at["y"]


def test_a_release_that_is_not_told_holds_nothing_up(page):
    """A browser tells of a press on a scrollbar, and of its end only that the pointer moves with no button pressed."""
    page.evaluate(
        "() => { document.dispatchEvent(new PointerEvent('pointerdown', { button: 0, buttons: 1 }));"
        " const at = performance.now(); studio.released().then(() => { window.held = performance.now() - at; }); }"
    )
    page.mouse.move(300, 300)
    page.wait_for_function("window.held !== undefined")
    assert page.evaluate("held") < 9000


def test_answers_of_one_event_are_taken_in_the_order_in_which_they_were_asked_for(page):
    held = {}

    def answer(route):
        number = route.request.url[-1]
        held[number] = route
        if number != "1":
            route.fulfill(body="{}")

    page.route("**/gradio_api/run/predict?number=*", answer)
    page.evaluate("""() => {
        window.came = [];
        for (const [number, event] of [[1, 7], [2, 7], [3, 8]]) {
            const said = { method: 'POST', body: JSON.stringify({ fn_index: event, data: [] }) };
            fetch(`${location.origin}/gradio_api/run/predict?number=${number}`, said).then(() => came.push(number));
        }
    }""")
    wait_for(lambda: page.wait_for_timeout(50) or len(held) == 3 and page.evaluate("came.length"))
    page.wait_for_timeout(300)
    assert page.evaluate("came") == [3]
    held["1"].fulfill(body="{}")
    page.wait_for_function("came.length === 3")
    assert page.evaluate("came") == [3, 1, 2]


def test_a_part_that_still_shows_another_run_takes_no_press(page, run, server):
    """On a slow line the head of the run before stands there for a while: its buttons would be pressed for this one."""
    finished(server, "another")
    head = page.locator("[data-live=run]")
    expect(page.get_by_role("button", name="Abort")).to_be_visible()
    expect(page.locator('.live-runs [data-pick$="/another-1"]')).to_be_visible()
    held, is_held = [], [True]
    page.route("**/gradio_api/run/live", lambda route: held.append(route) if is_held else route.continue_())
    page.locator('.live-runs [data-pick$="/another-1"]').click()
    expect(head).to_have_attribute("aria-busy", "true")
    at = page.get_by_role("button", name="Abort").bounding_box()
    page.mouse.click(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.get_by_role("button", name="Abort").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert page.locator("dialog[open]").count() == 0
    wait_for(lambda: page.wait_for_timeout(50) or held)
    is_held.clear()
    for route in held:
        route.continue_()
    expect(page.locator(".live-run h2")).to_have_text("another-1")
    expect(head).not_to_have_attribute("aria-busy", "true")


def test_the_focus_on_a_button_stays_while_a_run_trains(page, run):
    page.get_by_role("button", name="Abort").focus()
    ticks(page, "run")
    assert page.evaluate("document.activeElement.textContent") == "Abort"
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Abort", "the keyboard goes on from where it was"


def test_a_selection_in_the_log_stays_and_the_log_stays_at_its_end(page, run):
    page.get_by_role("button", name="Log", exact=True).click()
    log = page.locator(".live-log")
    page.wait_for_function("document.querySelectorAll('.live-log pre span').length > 40", timeout=240_000)
    log.evaluate("(log) => log.scrollTop = log.scrollHeight")
    chosen = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll('.live-log pre span')];
            const lines = all.filter((line) => line.textContent.trim());
            const [from, to] = lines.slice(-12, -10);
            getSelection().setBaseAndExtent(from.firstChild, 0, to.firstChild, to.textContent.trimEnd().length);
            return getSelection().toString();
        }"""
    )
    assert chosen.strip()
    ticks(page, "log")
    assert page.evaluate("getSelection().toString()") == chosen
    assert log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight") < 8
    ids = page.evaluate("[...document.querySelectorAll('.live-log pre span')].map((line) => line.id)")
    assert len(ids) == len(set(ids)) > 40

    log.evaluate("(log) => log.scrollTop = 0")
    ticks(page, "log")
    assert log.evaluate("(log) => log.scrollTop") == 0, "who reads further up is left there"


def test_an_answer_of_the_studio_draws_no_plots_anew(page, server):
    """A class that is taken away though it is not there counts as changed, and the plots follow the page's classes."""
    finished(server, "drawn")
    page.locator('.live-runs [data-pick="run:SmolLM2-135M-Instruct/lora/drawn-1"]').click()
    expect(page.locator('.charts[data-arg$="drawn-1"] .chart-notice')).not_to_be_empty()
    page.wait_for_timeout(1000)
    page.evaluate("(window.drawings = 0, addEventListener('studio:drawn', () => { drawings += 1; }))")
    for _ in range(3):
        with page.expect_response(lambda answer: answer.url.endswith("/run/live")):
            pass
    page.wait_for_timeout(500)
    assert page.evaluate("drawings") == 0
    page.locator('[data-switch="theme"]').click()
    page.wait_for_function("drawings > 0")
    page.locator('[data-switch="theme"]').click()


def test_an_open_fold_stays_open(page, server):
    gone = server.workspace / "saves" / "SmolLM2-135M-Instruct" / "lora" / "gone-1"
    gone.mkdir(parents=True, exist_ok=True)
    (gone / "events.jsonl").write_text('{"time": 1, "event": "state", "state": "finished"}\n')
    page.evaluate("studio.call('train_delete', 'SmolLM2-135M-Instruct/lora/gone-1')")
    page.locator("#trash summary").click()
    gone.mkdir()
    (gone / "events.jsonl").write_text('{"time": 1, "event": "state", "state": "finished"}\n')
    page.evaluate("studio.call('train_delete', 'SmolLM2-135M-Instruct/lora/gone-1')")
    expect(page.locator("#trash li")).to_have_count(2)
    assert page.locator("#trash").evaluate("(fold) => fold.open")


def test_what_was_typed_stays_where_the_focus_has_left_the_field(page):
    page.locator('.live-runs [data-pick="run:"]').click()
    page.locator(".label-wrap").filter(has_text="Notices").click()
    address = page.locator("form.webhook input")
    address.fill("https://example.com/not-sent-yet")
    page.locator("#train-devices input, #train-cutoff_len input").first.focus()
    page.evaluate("studio.call('train_webhook', 'http://127.0.0.1:9/other')")
    expect(page.locator(".live-notices")).to_contain_text("Notices go to 127.0.0.1.")
    expect(address).to_have_value("https://example.com/not-sent-yet")
    page.evaluate("studio.call('train_webhook', '')")
    expect(page.locator(".live-notices")).not_to_contain_text("Notices go to")
    expect(address).to_have_value("https://example.com/not-sent-yet")

"""What gradio would tell in a notice of its own is told in the page's, in the page's words."""

import pytest
from conftest import rest_slow
from gradio_client import Client
from playwright.sync_api import expect

from studio.core.i18n import Words

EVENTS = "**/gradio_api/run/predict*"


@pytest.fixture(params=rest_slow("zh", "en"))
def page(new_page, server, request):
    page = new_page
    page.context.add_cookies([{"name": "studio_language", "value": request.param, "url": server.url}])
    page.words = Words(request.param)
    page.goto(f"{server.url}/#/train?view=new")
    page.locator('[data-pick="run:"]').first.click()
    expect(page.locator("#train-start")).to_be_enabled()
    return page


def test_a_choice_that_is_gone_is_told_by_the_page(page):
    spoiled = []

    def spoil_one(route):  # one entry is several events
        data = route.request.post_data
        if not spoiled and '"cosine"' in data:
            spoiled.append(data)
            data = data.replace('"cosine"', '"gone"')
        route.continue_(post_data=data)

    page.route(EVENTS, spoil_one)
    page.locator("#train-num_train_epochs input").fill("2")
    note = page.locator(".toast-bad")
    expect(note).to_contain_text(page.words("app.event_refused"))
    expect(page.locator(".toast-wrap")).to_be_hidden()
    note.get_by_role("button", name=page.words("app.close")).click()
    expect(note).to_have_count(0)


def test_one_sentence_is_told_once_and_others_beside_it(page):
    for text, kind in (("Gone.", "bad"), ("Full.", "bad"), ("Gone.", "bad"), ("Gone.", "good"), ("Gone.", "good")):
        page.evaluate("([text, kind]) => window.studio.toast(text, kind)", [text, kind])
    expect(page.locator(".toast-bad span")).to_have_text(["Full.", "Gone."])
    expect(page.locator(".toast-good span")).to_have_text(["Gone."])


def test_what_gradio_says_in_its_own_words_is_told_in_the_pages(page):
    page.route(EVENTS, lambda route: route.fulfill(status=502, body="<html>Bad Gateway</html>"))  # as a proxy answers
    page.locator("#train-num_train_epochs input").fill("2")
    expect(page.locator(".toast-bad").first).to_contain_text(page.words("app.page_failed"))
    expect(page.locator(".toast-wrap")).to_be_hidden()


def test_a_form_that_cannot_be_filled_is_shown_all_the_same(browser, server):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.clock.install()
    page.route(EVENTS, lambda route: route.fulfill(status=502, body="<html>Bad Gateway</html>"))
    page.goto(f"{server.url}/#/train?view=new")
    page.locator('[data-pick="run:"]').first.click()
    expect(page.locator(".toast-bad").first).to_be_visible()
    epochs = page.locator("#train-num_train_epochs input")
    expect(epochs).to_be_hidden()
    page.clock.fast_forward(31_000)
    epochs.fill("2")
    page.context.close()


BUTTONS = """
<button id="one" data-copy="the text" data-done="Copied">C</button>
<div class="code"><button id="two" data-copy-code data-done="Copied">C</button><pre>the text</pre></div>
<button id="three" data-call="trash_list">T</button>
<form data-submit="trash_list"><p role="alert" hidden></p><button id="four" type="submit">F</button></form>
"""


@pytest.fixture
def buttons(page):
    page.evaluate(
        """(html) => {
          const own = Object.assign(document.createElement("div"), { id: "own", innerHTML: html });
          document.body.append(own);
          Object.assign(own.style, { position: "fixed", inset: "0 auto auto 0", width: "400px", zIndex: 9999 });
        }""",
        BUTTONS,
    )
    yield page.locator("#own")


NO_ANSWER = [lambda route: route.fulfill(status=502, body="<html>"), lambda route: route.abort()]


@pytest.mark.parametrize("button", ["#one", "#two"])
def test_a_page_that_is_lent_no_clipboard_copies_and_says_where_it_cannot(page, buttons, button):
    page.evaluate("""() => {
      Object.defineProperty(navigator, "clipboard", { value: undefined });  // as on a page by http from another machine
      document.addEventListener("copy", () => { window.copied = document.activeElement.value; });
    }""")
    buttons.locator(button).click()
    expect(page.locator(".toast-good")).to_contain_text("Copied")
    assert page.evaluate("window.copied") == "the text"
    page.evaluate("document.execCommand = () => false")
    buttons.locator(button).click()
    expect(page.locator(".toast-bad")).to_contain_text(page.words("app.not_copied"))


@pytest.mark.parametrize(
    "answer", [lambda route: route.fulfill(status=502, body="<html>"), lambda route: route.abort()]
)
def test_where_the_studio_gives_no_answer_the_page_says_so_in_its_words(page, buttons, answer):
    page.route("**/gradio_api/run/trash_list", answer)
    buttons.locator("#three").click()
    expect(page.locator(".toast-bad")).to_contain_text(page.words("app.page_failed"))
    buttons.locator("#four").click()
    expect(buttons.get_by_role("alert")).to_have_text(page.words("app.page_failed"))


def test_a_conversation_stays_open_where_a_proxy_answers_and_goes_where_the_studio_refuses_it(page, server):
    made = Client(server.url).predict(["nobody"], {}, "", api_name="/chat_new")["conversation"]
    asked, answers = "**/gradio_api/run/chat_picture", [{"status": 502, "body": "<html>Bad Gateway</html>"}]
    page.route(asked, lambda route: route.fulfill(**answers[-1]))
    page.evaluate("(id) => { window.studio.pick('chat', id); window.studio.goTo('room-chat'); }", made)
    for _ in range(3):
        with page.expect_response(asked):
            pass
    expect(page.locator(".toast-bad")).to_have_count(0)
    assert page.evaluate("localStorage.getItem('studio-chat')") == made
    answers.append({"status": 500, "json": {"error": "Gone."}})
    expect(page.locator(".toast-bad")).to_contain_text("Gone.")
    assert page.evaluate("window.studio.hand.chat") != made


def test_a_comparison_outlives_a_moment_without_the_studio_and_tells_what_is_no_number(page, buttons):
    asked = "**/gradio_api/run/train_metrics"
    series = {"loss": [[1, 2.0, 0.5], [2, "nan", 1.0]]}
    answer = {"json": {"data": [{"series": series, "state": "running", "label": None, "epochs_per_step": None}]}}
    broken = {"status": 502, "body": "<html>Bad Gateway</html>"}
    now = [broken]
    page.route(asked, lambda route: route.fulfill(**now[-1]))
    page.evaluate("""() => {
      const chart = Object.assign(document.createElement("div"), { className: "compare-chart" });
      Object.assign(chart.dataset, { arg: "a|b", words: "{}" });
      document.getElementById("own").append(chart);
      window.studio.pick("view", "compare");
    }""")
    chart = buttons.locator(".compare-chart")
    for lines, answered in (("0", broken), ("2", answer), ("2", broken)):
        now.append(answered)
        for _ in range(3):
            with page.expect_response(asked):
                pass
        expect(chart).to_have_attribute("data-lines", lines)
    expect(chart.locator(".compare-entry b").first).to_have_text("NaN")

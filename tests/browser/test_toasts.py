"""What gradio would tell in a notice of its own is told in the page's, in the page's words."""

import pytest
from playwright.sync_api import expect

from studio.core.i18n import Words

EVENTS = "**/gradio_api/run/predict*"


@pytest.fixture(params=["en", "zh"])
def page(browser, server, request):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "studio_language", "value": request.param, "url": server.url}])
    page = context.new_page()
    page.words = Words(request.param)
    page.goto(f"{server.url}/#/train?view=new")
    page.locator('[data-pick="run:"]').first.click()
    expect(page.locator("#train-start")).to_be_enabled()
    yield page
    context.close()


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

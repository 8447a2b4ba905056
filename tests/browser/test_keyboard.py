"""A first fine-tune with the keyboard alone: model, data, start, the loss, and a question to what came of it."""

import re

import pytest
from conftest import SMALL, slow, wait_for
from playwright.sync_api import expect


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    page.goto(server.url)
    expect(page.locator("#train-start")).to_be_enabled()
    yield page
    context.close()


def tab_to(page, selector: str, most: int = 150) -> None:
    """Go on by Tab until what is wanted has the focus, which must be seen there; fail where it never comes."""
    page.locator(selector).first.wait_for()
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            box = page.evaluate("() => document.activeElement.getBoundingClientRect().toJSON()")
            assert box["width"] and 0 <= box["top"] < 900, f"{selector} has the focus out of sight"
            return
    raise AssertionError(f"{most} times Tab, and {selector} never had the focus")


def typed(page, text: str) -> None:
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


@slow
def test_a_first_fine_tune_by_keyboard(page):
    page.mouse.move(0, 0)
    tab_to(page, "#train-model_name_or_path input")
    typed(page, "Two-Layer")
    page.keyboard.press("Enter")
    expect(page.locator("#train-model_name_or_path input")).to_have_value(SMALL)
    tab_to(page, "#train-dataset input")
    page.keyboard.press("Backspace")  # takes away what the form begins with
    page.keyboard.type("multi_turn")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#train-dataset .token")).to_have_text([re.compile("multi_turn")])
    tab_to(page, "#train-num_train_epochs input")
    typed(page, "0.5")
    expect(page.locator("#train-start")).to_be_enabled()
    page.keyboard.press("Control+Enter")
    head = page.locator(".live-run")
    expect(head.locator("h2")).to_contain_text("multi-turn")
    wait_for(lambda: int(page.locator(".charts[data-arg]").first.get_attribute("data-points") or 0) > 2)
    expect(head.locator(".progress")).to_contain_text("finished")
    tab_to(page, ".live-run [data-give^='chat-wish:']")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-say textarea")).to_be_focused()
    expect(page.locator("#chat-1")).to_be_visible()  # both columns stand
    page.keyboard.type("Who are you?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-1 .written")).not_to_be_empty()
    page.keyboard.press("Escape")  # a model of two layers goes on without end
    expect(page.locator("#chat-1 .reply .speed")).to_be_visible()


def test_a_question_is_answered_by_keyboard_and_gives_the_focus_back(page):
    page.keyboard.press("Alt+1")
    expect(page).to_have_url(re.compile("#/models"))
    tab_to(page, ".live-models [data-pick^='model:']")
    page.keyboard.press("Enter")
    tab_to(page, ".live-model button[data-ask]")
    for leave in ("Escape", "Enter"):  # the button that leaves all as it is has the focus first
        page.keyboard.press("Enter")
        expect(page.locator("#ask [value=cancel]")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press(leave)
        expect(page.locator("#ask")).to_be_hidden()
        assert page.evaluate("() => document.activeElement.matches('.live-model button[data-ask]')")
    expect(page.locator(".live-models .item")).to_have_count(2)

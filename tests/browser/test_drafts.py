"""What is entered in a form outlives a reload and a change of language, and goes once the form has made something."""

import pytest
from conftest import SMALL, rest_slow
from playwright.sync_api import expect


def typed(page, field: str, text: str) -> None:
    box = page.locator(f"{field} input, {field} textarea").first
    box.fill(text)
    box.blur()


def has(page, field: str, text: str) -> None:
    expect(page.locator(f"{field} input, {field} textarea").first).to_have_value(text, timeout=30_000)


def chosen(page, field: str, option: str) -> None:
    page.locator(f"{field} input").first.click()
    page.get_by_role("option", name=option, exact=True).click()


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    page.goto(server.url)
    yield page
    context.close()


def opened(page, room: str) -> None:
    page.locator(f"#room-{room}-button").click(timeout=60_000)


def test_an_evaluation(page, server):
    opened(page, "evaluate")
    page.locator("#evaluate-kind label").nth(2).click()
    typed(page, "#evaluate-title", "猫 <b>&\"'")
    typed(page, "#evaluate-shots", "3")
    page.wait_for_function("""(localStorage.getItem('draft-of-evaluation') ?? '').includes('"shots": 3')""")
    for change in (page.reload, page.locator("[data-switch=language]").click):
        change()
        expect(page.locator("#evaluate-tasks")).to_be_visible(timeout=60_000)
        has(page, "#evaluate-title", "猫 <b>&\"'")
        has(page, "#evaluate-shots", "3")
    page.locator("#evaluate-kind label").first.click()
    chosen(page, "#evaluate-data", "identity_en")
    page.keyboard.press("Escape")
    typed(page, "#evaluate-rows", "1")
    page.locator("#evaluate-loss").get_by_role("checkbox").set_checked(False)
    page.wait_for_function("""localStorage.getItem('draft-of-evaluation').includes('"loss": false')""")
    page.locator("#evaluate-start").click()
    page.wait_for_function("localStorage.getItem('draft-of-evaluation') === null", timeout=60_000)


def test_a_deployment_without_its_key(page):
    opened(page, "deploy")
    chosen(page, "#deploy-target", SMALL)
    page.locator("#deploy-engine label").nth(1).click()
    typed(page, "#deploy-key", "sk-of-nobody-else")
    typed(page, "#deploy-name", "kept")
    page.wait_for_function("(localStorage.getItem('draft-of-deployment') ?? '').includes('kept')")
    assert "sk-of" not in page.evaluate("JSON.stringify(localStorage)")
    page.reload()
    has(page, "#deploy-target", SMALL)
    has(page, "#deploy-name", "kept")
    has(page, "#deploy-key", "")
    expect(page.locator("#deploy-engine label").nth(1).locator("input")).to_be_checked()


@pytest.mark.parametrize(
    ("part", "field"), rest_slow(("merge", "#export-name"), ("gguf", "#gguf-name"), ("quantize", "#quantize-name"))
)
def test_an_export(page, part, field):
    opened(page, "export")
    page.locator(f"[data-pick='making:{part}']").click()
    typed(page, field, "my-own")
    page.wait_for_function("name => (localStorage.getItem(name) ?? '').includes('my-own')", arg=f"draft-of-{part}")
    page.reload()
    expect(page.locator(f"{field} input, {field} textarea").first).to_have_value("my-own", timeout=30_000)

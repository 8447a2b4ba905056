"""The first visit of a person: told once, in four steps that lead to a model that has learnt something."""

import json
import os

import pytest
from asking import agree
from conftest import SLOW, STARTER, Server, new_workspace, rest_slow, slow, wait_for
from playwright.sync_api import expect

from studio.core.i18n import Words


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A studio of a person who was never here, and the folder of their settings."""
    monkeypatch.setenv("FINETUNE_STUDIO_CONFIG", str(settings := tmp_path / "settings"))
    running = Server(new_workspace(tmp_path / "workspace").root)
    yield running, settings
    running.kill()  # it may be loading libraries, for which an end that was asked for waits


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("language", rest_slow("zh", "en"))
def test_it_says_what_the_machine_can_do_and_is_never_shown_again(fresh, page, language):
    studio, settings = fresh
    words = Words(language)
    page.context.add_cookies([{"name": "studio_language", "value": language, "url": studio.url}])
    page.goto(studio.url)
    visit = page.locator(".visit")
    expect(visit).to_contain_text(STARTER.name)
    expect(visit).to_contain_text("Qwen2.5-")
    assert str(os.cpu_count()) in visit.locator("li").first.inner_text()
    expect(visit.get_by_role("button", name=words("train.compare"))).to_be_disabled()
    visit.get_by_role("button", name=words("monitor.about_title")).click()
    expect(page).to_have_url(f"{studio.url}/#/models?models=machine")
    expect(page.locator("#finding-torch")).to_contain_text(words("launch.doctor_good"))
    assert not page.locator("[id='finding-huggingface.co']").count(), "a hub was asked, and nobody had said so"
    page.go_back()
    visit.get_by_role("button", name=words("first_visit.dismiss")).click()
    expect(visit).to_have_count(0)
    assert json.loads((settings / "first_visit.json").read_text())["is_over"]
    page.reload()
    expect(page.locator("#train-start")).to_be_visible()
    expect(visit).to_have_count(0)


@slow
def test_the_first_run_is_begun_with_one_press(fresh, page):
    studio, _ = fresh
    page.goto(studio.url)
    page.get_by_role("button", name="Start the first run").click()
    expect(page.locator(".live-run h2")).to_contain_text("identity")
    expect(page.get_by_role("button", name="Start the first run")).to_have_count(0)
    if SLOW:
        ask = page.locator(".visit").get_by_role("button", name="Compare with the base")
        expect(ask).to_be_enabled(timeout=400_000)
        ask.click()
        expect(page.locator("#chat-say textarea")).to_be_focused()
        return expect(page.locator(".visit")).to_have_count(0)
    page.get_by_role("button", name="Abort").click()
    agree(page)
    run = studio.workspace / "saves"
    return wait_for(lambda: '"state": "stopped"' in next(run.glob("*/*/*/events.jsonl")).read_text())

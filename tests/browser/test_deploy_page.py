"""The Deploy tab in a browser: a command is shown, an engine started, followed, stopped and deleted."""

import re

from asking import always_agree
from conftest import SMALL
from playwright.sync_api import expect


def test_an_engine_is_started_followed_stopped_and_deleted(server, browser):
    page = browser.new_context().new_page()
    try:
        always_agree(page)
        page.goto(f"{server.url}/#/deploy")
        page.locator("#room-deploy-button").click()
        page.locator("#deploy-target input").click()
        page.get_by_role("option", name=SMALL, exact=True).click()
        expect(page.locator("#deploy-choices")).to_contain_text("GGUF")  # why llama.cpp cannot
        page.locator("#deploy-show").click()
        expect(page.locator("#deploy-command pre").first).to_contain_text("llamafactory.cli api")
        page.locator("#deploy-name input, #deploy-name textarea").first.fill("seen")
        page.locator("#deploy-start").click()
        expect(page.locator(".live-deployment h2")).to_have_text(re.compile("seen"))
        expect(page).to_have_url(re.compile("deployment=seen"))
        expect(page.locator(".deploy-state")).to_contain_text("Starting")
        page.locator(".live-deployment .actions button", has_text="Stop").click()
        expect(page.locator(".deploy-state")).to_have_text("Stopped")
        expect(page.locator(".live-deployment .actions button", has_text="Start again")).to_be_visible()
        page.locator(".live-deployment button", has_text="Delete").click()
        expect(page.locator("#deploy-start")).to_be_visible()
        expect(page.locator(".live-deployments .item")).to_have_count(1)
    finally:
        page.close()

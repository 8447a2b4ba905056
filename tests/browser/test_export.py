"""The Export tab in a real browser: a run becomes a model, and its template is compared with training."""

import re

import pytest
from conftest import SMALL
from playwright.sync_api import expect
from random_runs import random_run

from studio.core.workspace import Workspace


@pytest.fixture(scope="module")
def studio(server):
    """The shared studio, with two runs."""
    workspace = Workspace(server.workspace)
    random_run(workspace, "tuned", model=SMALL, dtype="bfloat16", quantization_bit=4)
    random_run(workspace, "newest", model=SMALL, dtype="bfloat16")
    return server


def test_a_run_is_merged_and_its_template_compared(browser, studio):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(studio.url)
    page.locator("#room-train-button").wait_for()
    page.locator(".live-runs .item", has_text="tuned").first.click()
    page.locator("[data-pick='part:checkpoints']").click()
    page.locator(".live-run-exports button", has_text="Export").click()
    look = page.locator("#export-look")
    expect(look).to_contain_text("4 or 8 bit")
    expect(look).to_contain_text("are free")
    name = page.locator("#export-name input, #export-name textarea")
    expect(name).to_have_attribute("placeholder", f"{SMALL}-tuned-1")
    name.fill(SMALL)
    name.blur()
    expect(look.locator(".problem")).to_contain_text(SMALL)
    name.fill("mine")
    page.locator("#export-start").click()
    page.locator(".live-export .progress").wait_for()
    page.locator(".live-export h2", has_text="mine").wait_for()
    expect(page.locator(".live-export-record .headline")).to_contain_text("Verified", timeout=180_000)
    expect(page).to_have_url(re.compile("export=mine$"))  # no longer the job that made it
    expect(page.locator("#exported-mine")).to_have_attribute("aria-current", "true")
    page.locator("[data-pick='exported:card']").click()
    expect(page.locator("#card-zh")).to_contain_text("license")
    page.locator("[data-pick='exported:forms']").click()
    expect(page.locator("#form-ollama")).to_contain_text("PARAMETER stop")
    page.locator("[data-call='export_parity_start']").first.click()
    expect(page.locator(".live-export-same")).to_contain_text("as in training in all", timeout=180_000)
    assert faults == []
    context.close()


GIVEN = {"merge": ("export", "#export-sources"), "evaluate": ("evaluate", "#evaluate-models")}


@pytest.mark.parametrize("form", GIVEN)
def test_what_fills_a_form_late_takes_no_place(browser, studio, form):
    """Open the page on a slow line, hand a run to a form, and type a name into it."""
    room, field = GIVEN[form]
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page, held, is_slow = context.new_page(), [], [True]
    # gradio's own events, by which a form is filled; the page's calls go elsewhere.
    page.route("**/gradio_api/run/predict*", lambda route: held.append(route) if is_slow else route.continue_())
    page.goto(studio.url)
    page.locator(f"#room-{room}-button").click()
    page.evaluate("([id, run]) => window.studio.handOver(id, run)", [f"{room}-given", f"{SMALL}/lora/tuned-1"])
    page.locator(field).wait_for(state="attached")
    expect(page.locator(field)).not_to_be_visible()
    is_slow.clear()
    for route in held:
        route.continue_()
    expect(page.locator(field)).to_be_visible()
    expect(page.locator(field)).to_contain_text("tuned")
    expect(page.locator(field)).not_to_contain_text("newest")
    if form == "merge":
        name = page.locator("#export-name input, #export-name textarea")
        name.fill("my-own")
        page.locator(f"{field} input").click()
        page.locator("ul.options li", has_text="newest").first.click()
        expect(page.locator("#export-look")).to_contain_text("2 × adapter")
        expect(name).to_have_value("my-own")
    context.close()


def test_a_file_size_that_is_none_is_told_once_and_outlives_a_reload(browser, studio):
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US").new_page()
    page.goto(f"{studio.url}/#/export")
    size, told = page.locator("#export-shard input"), page.locator("#export-look .problem, #export-problem .problem")
    expect(page.locator("#export-look")).to_contain_text("are free")
    size.fill("5000")
    size.blur()
    expect(page.locator("#export-look .problem")).to_contain_text("from 1 to 1000")
    page.locator("#export-start").click()
    expect(page.locator("#export-problem .problem")).to_contain_text("from 1 to 1000")
    expect(told).to_have_count(1)
    page.reload()
    expect(size).to_have_value("5000")
    size.fill("4")
    size.blur()
    expect(page.locator("#export-look")).to_contain_text("are free")
    page.context.close()

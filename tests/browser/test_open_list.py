"""Lists of choices in a browser: one that is open stays whole when the studio tells what there is now."""

import shutil
import time

import pytest
from conftest import SMALL
from playwright.sync_api import expect

FIELDS = {"deploy": "#deploy-target", "export": "#parity-model"}


@pytest.mark.parametrize("room", FIELDS)
def test_an_open_list_stays_whole_when_the_studio_tells_what_there_is(browser, server, room):
    """Open a list on a slow line, which the answer to the opening finds open."""
    page, held, is_slow = browser.new_context().new_page(), [], [True]
    page.goto(f"{server.url}/#/{room}")
    page.locator(f"#room-{room}-button").click()
    if room == "export":
        page.locator("[data-pick='making:template']").click()
    box = page.locator(f"{FIELDS[room]} input")
    expect(box).not_to_have_value("")
    page.route("**/gradio_api/run/predict*", lambda route: held.append(route) if is_slow else route.continue_())
    box.click()
    options = page.get_by_role("option")
    expect(options.filter(has_text=SMALL)).to_have_count(1)
    new = server.workspace / "models" / f"new-{room}"
    shutil.copytree(server.workspace / "models" / SMALL, new, symlinks=True)
    try:
        end = time.monotonic() + 240
        while not held and time.monotonic() < end:  # an earlier question may still be under way
            page.wait_for_timeout(100)
        assert held
        is_slow.clear()
        for route in held:
            route.continue_()
        expect(options.filter(has_text=new.name)).to_be_visible()
        expect(options.filter(has_text=SMALL)).to_be_visible()
        box.press_sequentially("new-")
        expect(options.filter(has_text=SMALL)).to_have_count(0)
    finally:
        shutil.rmtree(new)


def test_a_list_of_one_grows_when_it_is_opened(browser, server):
    """There is nothing else in sight that changes: the chosen one is the one that fits."""
    page = browser.new_context().new_page()
    page.goto(f"{server.url}/#/export?making=template")
    box = page.locator("#parity-template input")
    box.click()
    expect(page.get_by_role("option", name="qwen3", exact=True)).to_be_visible()
    box.press_sequentially("llama2")
    expect(page.get_by_role("option", name="qwen3", exact=True)).to_have_count(0)

"""Where a person is has an address: a link leads there, a reload stays, Back and Forward go from step to step."""

import re

import pytest
from conftest import rest_slow
from playwright.sync_api import expect

NAMES = [f"Two-Layer-Llama/lora/made-{number}" for number in (1, 2)]


@pytest.fixture(scope="module")
def studio(server):
    """The shared studio, with two runs that are over."""
    for name in NAMES:
        folder = server.workspace / "saves" / name
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_text('{"time": 1, "event": "state", "state": "finished"}\n')
    return server


@pytest.fixture(params=rest_slow(390, 1440))
def page(new_page, studio, request):
    new_page.set_viewport_size({"width": request.param, "height": 800})
    return new_page


def is_at(page, address: str) -> None:
    expect(page).to_have_url(re.compile(re.escape(address) + "$"))
    tab = address.split("#/")[1].split("?")[0]
    expect(page.locator(f"#room-{tab}-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator(f"#room-{tab}-button")).to_be_in_viewport()
    expect(page.locator(f"#room-{tab}")).to_be_visible()


def test_a_link_leads_to_each_place_and_a_reload_stays(page, studio):
    places = {
        f"#/train?run={NAMES[0]}&part=log": "made-1",
        "#/datasets?dataset=kto&section=entry": "kto",
        "#/models?model=Two-Layer-Llama": "Two-Layer-Llama",
        "#/chat?talk=servers": "Address",
        "#/export?making=gguf": "GGUF",
        "#/train": "New run",
    }
    page.goto(studio.url)
    for place, shown in places.items():
        page.evaluate("(place) => { location.hash = place; }", place)
        is_at(page, place)
        expect(page.locator(".split-main").filter(has_text=shown).locator("visible=true").first).to_be_visible()
    page.goto(f"{studio.url}/#/datasets?dataset=kto&section=entry")
    page.reload()
    is_at(page, "#/datasets?dataset=kto&section=entry")
    expect(page.locator("textarea[name=entry]")).to_be_visible()


def test_every_tab_has_an_address(page, studio):
    page.goto(studio.url)
    page.locator("#room-train").wait_for()
    tabs = page.locator("#rooms > .tab-wrapper button[role=tab]").evaluate_all(
        "all => all.map(one => one.id.split('-')[1])"
    )
    assert {"train", "export"} <= set(tabs)
    for tab in [*dict.fromkeys(tabs), "models"]:
        page.evaluate("tab => { location.hash = `#/${tab}`; }", tab)
        expect(page).to_have_url(re.compile(rf"#/{tab}(\?|$)"))
        expect(page.locator(f"#room-{tab}-button")).to_have_attribute("aria-selected", "true")
        expect(page.locator(f"#room-{tab}")).to_be_visible()


def test_back_and_forward_go_from_step_to_step(page, studio):
    page.goto(studio.url)
    first = f"#/train?run={NAMES[1]}"
    page.locator(f'[data-pick="run:{NAMES[1]}"]').click()
    is_at(page, first)
    page.locator('[data-pick="part:log"]').click()
    is_at(page, first + "&part=log")
    page.locator("#room-datasets-button").click()
    page.locator('[data-pick="dataset:multi_turn"]').click()
    is_at(page, "#/datasets?dataset=multi_turn")
    # What the page chose by itself when the tab was opened is no step of its own.
    steps = [r"#/datasets\?dataset=[^&]+", first + "&part=log", first]
    page.go_back()
    expect(page).to_have_url(re.compile(steps[0]))
    for step in steps[1:]:
        page.go_back()
        is_at(page, step)
    expect(page.locator('[data-pick="part:curves"]')).to_have_attribute("aria-current", "true")
    page.go_forward()
    is_at(page, first + "&part=log")


def test_a_link_to_what_is_not_there_says_so(page, studio):
    place = "#/train?run=Two-Layer-Llama/lora/gone-9"
    page.goto(f"{studio.url}/{place}")
    expect(page.locator(".live-run .problem")).to_contain_text("gone-9")
    is_at(page, place)
    page.locator(f'[data-pick="run:{NAMES[0]}"]').click()
    is_at(page, f"#/train?run={NAMES[0]}")


@pytest.mark.parametrize("room", ["models", "datasets", "train", "evaluate", "export", "deploy", "chat"])
def test_a_tab_is_drawn_and_asked_for_when_it_is_opened(browser, server, room):
    """All tabs at once would keep every connection of a browser, and what is looked at would wait for the others."""
    page, asked = browser.new_context(locale="en-US").new_page(), []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/run/predict") else None)
    page.goto(f"{server.url}/#/{room}")
    expect(page.locator(f"#room-{room} [data-live]").first).to_be_attached()
    page.wait_for_timeout(1500)
    assert page.locator(f"#rooms .tabitem:not(#room-{room}) :is(input, textarea, [data-live])").count() == 0
    assert len(asked) <= 5
    other = "deploy" if room == "chat" else "chat"
    page.locator(f"#room-{other}-button").click()
    expect(page.locator(f"#room-{other} :is(input, textarea)").locator("visible=true").first).to_be_visible()

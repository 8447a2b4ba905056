"""WCAG 2.2 AA, as far as axe-core (tests/axe, MPL-2.0) can see it: every tab, in both languages, light and dark."""

from pathlib import Path

import pytest
from conftest import rest_slow
from test_poisoned import drawn

AXE = (Path(__file__).parents[1] / "axe" / "axe.min.js").read_text(encoding="utf-8")
TABS = ("models", "datasets", "train", "evaluate", "export", "deploy", "chat")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
FIND = """(rules) => axe.run(document, {runOnly: rules}).then((found) => found.violations.map((one) =>
  `${one.id}: ` + one.nodes.map(({target, html, failureSummary}) =>
    `${target} ${html.slice(0, 160)} ${failureSummary}`).join("; ")))"""


@pytest.mark.parametrize(("language", "scheme"), rest_slow(("zh-CN", "dark"), ("en-US", "light")))
def test_no_tab_breaks_a_rule_of_accessibility(browser, server, language, scheme):
    # Scripts of the test are not the page's: its policy would refuse them.
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale=language, color_scheme=scheme, bypass_csp=True
    )
    page, found = context.new_page(), {}
    page.goto(server.url + ("?__theme=dark" if scheme == "dark" else ""))
    page.locator("#rooms").wait_for()
    page.evaluate(AXE)
    for tab in TABS:
        page.locator(f"#room-{tab}-button").click()
        page.locator(f"#room-{tab}").wait_for()
        for _ in range(10):  # a page that is still being drawn has parts without their names
            drawn(page)
            found[tab] = page.evaluate(FIND, RULES)
            if not found[tab]:
                break
            page.wait_for_timeout(700)
    context.close()
    assert not any(found.values()), "\n".join(f"{tab}: {one}" for tab, every in found.items() for one in every)

"""The page's own dialog (assets/ask.js) as a person answers it."""


def agree(page, value: str | None = None) -> str:
    """Answer the question that is asked with yes, or with a value; return the question."""
    asked = page.locator("#ask[open]")
    asked.wait_for()
    question = asked.locator("#ask-question").inner_text()
    if value is not None:
        asked.locator("input").fill(value)
    asked.locator("[value=yes]").click()
    return question


def refuse(page) -> str:
    """Think better of what is asked, and return the question."""
    asked = page.locator("#ask[open]")
    asked.wait_for()
    question = asked.locator("#ask-question").inner_text()
    page.keyboard.press("Escape")
    asked.wait_for(state="hidden")
    return question


def always_agree(page) -> None:
    """Answer each question with yes, as soon as the test looks at the page or does something in it."""
    page.add_locator_handler(page.locator("#ask[open]"), lambda _: page.locator("#ask[open] [value=yes]").click())

"""A headless Chromium that looks at the pages as a person does."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# What playwright turns off, which one list of ours replaces, and the list below the address bar: for each new context
# Chromium draws it twice, a quarter of what a page of the studio costs, and nobody ever sees it.
TURNED_OFF = [
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxPopup",
]
# Names of other machines fail at once: a closed network must not count against a page that asks for something out
# there.
FLAGS = [
    "--disable-features=" + ",".join(TURNED_OFF),
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """The machine's own Chromium where it has one, else the one that playwright fetched."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def new_page(browser: "Browser") -> Iterator["Page"]:
    """A page of a browser that has never been here: no cache, no memory."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


@contextlib.contextmanager
def train_page(browser: "Browser", url: str) -> Iterator["Page"]:
    """The studio's page, open at the Train tab."""
    with new_page(browser) as page:
        page.goto(url)
        page.locator("#room-train-button").click()
        page.locator("#room-train").wait_for()
        yield page

"""Take the pictures of the guide from a demo: `.venv/bin/python docs/pictures.py` (needs what the tests need).

Each is a tab of the demo's own workspace, in both languages, so that a picture shows what the studio shows today.
"""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent / "images"
TABS = ("models", "datasets", "train", "evaluate", "export", "deploy", "chat")
WIDTH, HEIGHT, SHOWN = 1280, 800, 880  # pixels of the window, and of the width of a picture
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}


def main() -> int:
    """Start a demo, take a picture of each tab in each language, and end it."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with subprocess.Popen([sys.executable, "-m", "studio", "--demo"], stdout=subprocess.PIPE, text=True) as demo:
            try:
                url = address(demo)
                for language, locale in LANGUAGES.items():
                    take(browser, url, language, locale)
            finally:
                demo.terminate()
    return 0


def address(demo: subprocess.Popen) -> str:
    """Return where a demo is, once it says so. Raises RuntimeError where it ends before."""
    for line in demo.stdout:
        print(line, end="", flush=True)
        if found := re.search(r"https?://\S+", line):
            return found[0]
    raise RuntimeError("the demo ended before it had an address")


def take(browser, url: str, language: str, locale: str) -> None:
    """Take a picture of each tab, as a small WebP."""
    page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale=locale).new_page()
    page.goto(url)
    page.locator(".live-runs .item").first.wait_for()
    page.wait_for_timeout(3000)
    for tab in TABS:
        page.locator(f"#room-{tab}-button").click()
        page.locator(f"#room-{tab}").wait_for()
        page.wait_for_timeout(2500)  # lists and charts are drawn after the tab
        page.evaluate("scrollTo(0, 0)")
        if tab == "chat":
            page.locator("[data-pick^='chat:']").first.click()
            page.wait_for_timeout(1500)
        picture = Image.open(io.BytesIO(page.screenshot()))
        small = picture.resize((SHOWN, SHOWN * HEIGHT // WIDTH), Image.Resampling.LANCZOS)
        small.save(FOLDER / f"{tab}-{language}.webp", quality=70, method=6)


if __name__ == "__main__":
    sys.exit(main())

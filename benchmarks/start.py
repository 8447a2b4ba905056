"""From the command to a usable page: `python -m studio` against `llamafactory-cli webui`.

Usable is, for both, a page in Chromium on which a tab can be seen, and inside that tab a field or a button.
"""

import time

from benchmarks.browser import chromium, new_page
from benchmarks.commands import Board, Command, Studio, new_workspace
from benchmarks.report import Row, compared

RUNS = 7
REACH = 0.26
USABLE = """() => {
  const visible = { visibilityProperty: true, opacityProperty: true };
  const seen = (element) => element.checkVisibility(visible) && element.getClientRects().length > 0;
  return [...document.querySelectorAll("[role=tab]")].some(seen)
    && [...document.querySelectorAll("[role=tabpanel]")].filter(seen).some((panel) =>
      [...panel.querySelectorAll("input:not([type=hidden]), textarea, select, button:not([role=tab])")].some(seen));
}"""


def measure(runs: int, quick: bool) -> list[Row]:
    """Start both in turn, each from nothing, and return one row."""
    ours, theirs = [], []
    with chromium() as browser, new_workspace() as workspace:
        for _ in range(runs):
            ours.append(_usable_after(Studio(workspace), browser))
            theirs.append(_usable_after(Board(workspace), browser))
            print(f"  studio {ours[-1]:.2f} s, LlamaBoard {theirs[-1]:.2f} s", flush=True)
    return [compared("start", "from the command to a usable page, against LlamaBoard", ours, theirs, REACH)]


def _usable_after(command: Command, browser) -> float:
    """Return the seconds from the start of the process to a usable page, and end it."""
    from playwright.sync_api import Error

    with command, new_page(browser) as page:
        while True:
            try:
                page.goto(command.url, wait_until="commit")
                break
            except Error:  # nobody listens yet
                command.check()
                time.sleep(0.02)
        page.wait_for_function(USABLE, polling=20, timeout=120_000)
        return time.time() - command.spawned

"""Browsing a dataset of 1 GB: the first page, the index, any later page, search and memory, against LlamaBoard's
preview of the same file.
"""

import json
import multiprocessing
import random
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.report import Row, compared, shown

RUNS = 3
SIZE = 2**30
REACH_FIRST_S = 1.0
REACH_LATER_S = 0.5
REACH_GROWTH_MB = 200
PAGES = 50
_WORDS = (
    'the model learns to answer a question about trains and 模型 数据 回答 with "quotes" and\nnew lines, commas'
    " {braces} [x] \\ "
).split(" ")


def measure(runs: int, quick: bool) -> list[Row]:
    """Write the rows as JSON lines and as one array, browse each in processes of their own, and return five rows for
    each.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        for ending in ("jsonl", "json"):
            path = make(Path(name) / "data", f"big.{ending}", SIZE // 16 if quick else SIZE)
            ours = [alone(_browse, path) for _ in range(runs)]
            theirs = [alone(_preview_of_board, path) for _ in range(1 if quick else min(runs, 2))]
            found += _rows(f"{path.stat().st_size / 2**30:.2g} GB .{ending}", ours, theirs)
            path.unlink()
    return found


def _rows(what: str, ours: list[dict], theirs: list[dict]) -> list[Row]:
    def of(key: str, results: list[dict]) -> list[float]:
        return [result[key] for result in results]

    def row(title: str, key: str, reach: float | None, unit: str) -> Row:
        worst = max(of(key, ours))
        return Row(
            "browse",
            f"{what}: {title}",
            shown(of(key, ours), unit),
            "",
            "",
            f"under {reach:g} {unit}" if reach else "",
            worst < reach if reach else None,
        )

    pairs = min(len(ours), len(theirs))
    return [
        row("first page, nothing known of the file", "first_s", REACH_FIRST_S, "s"),
        row("indexed, in the background", "index_s", None, "s"),
        row(f"slowest of {PAGES} later pages", "later_s", REACH_LATER_S, "s"),
        row("search for the last row", "search_s", None, "s"),
        row("most memory grown by", "growth_mb", REACH_GROWTH_MB, "MB"),
        compared(
            "browse",
            f"{what}: a later page, against LlamaBoard's preview",
            of("later_s", ours)[:pairs],
            of("page_s", theirs)[:pairs],
            0.1,
        ),
    ]


def make(folder: Path, name: str, size: int) -> Path:
    """Write rows of about 1 kB to a file of at least `size` bytes, as an array or as lines by its ending, and register
    it.
    """
    chance = random.Random(1)
    texts = [" ".join(chance.choices(_WORDS, k=160)) for _ in range(500)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    array = path.suffix == ".json"
    number = written = 0
    with path.open("w", encoding="utf-8") as file:
        written += file.write("[\n" if array else "")
        while written < size:
            row = json.dumps(
                {"instruction": f"Question {number}", "input": "", "output": texts[number % 500]}, ensure_ascii=False
            )
            file.write((",\n" if array and number else "") + row + ("" if array else "\n"))
            written += len(row.encode()) + 2
            number += 1
        file.write("\n]\n" if array else "")
    (folder / "dataset_info.json").write_text(json.dumps({"big": {"file_name": name}}))
    return path


def alone(work, path: Path) -> dict:
    """Return what `work(path)` gives in a process of its own, so that nothing of it is left for the next."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(work, (path,))
    print("  " + ", ".join(f"{key} {value:.3g}" for key, value in result.items()), flush=True)
    return result


class _Memory:
    """Watches how much this process grows."""

    def __enter__(self):
        self._process = psutil.Process()
        self._start = self._peak = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown_mb(self) -> float:
        return (self._peak - self._start) / 2**20


def _browse(path: Path) -> dict:
    """Draw pages as the studio's page does: HTML of ten rows."""
    from studio.core.i18n import Words
    from studio.core.jobs import Jobs
    from studio.core.workspace import Workspace
    from studio.datasets.page.browse import row_list
    from studio.datasets.registry.collection import Collection
    from studio.web.html import render

    def draw_rows(arg: str) -> str:
        return render(row_list.TEMPLATE, Words("en"), row_list.row_list(collection, arg))

    with tempfile.TemporaryDirectory(prefix="benchmark-") as saves, _Memory() as memory:
        workspace = Workspace(Path(saves))
        (workspace.root / "data").symlink_to(path.parent)
        collection = Collection(workspace, Jobs(workspace))
        began = time.perf_counter()
        first = draw_rows("big")
        first_s = time.perf_counter() - began
        rows = collection.rows("big")
        rows.wait(seconds=600)
        index_s = time.perf_counter() - began
        chance = random.Random(2)
        later = []
        for offset in chance.choices(range(rows.count - row_list.PER_PAGE), k=PAGES):
            began = time.perf_counter()
            drawn = draw_rows(f"big\nname=big&offset={offset}")
            later.append(time.perf_counter() - began)
            if f"Question {offset}<" not in drawn:
                raise RuntimeError(f"not the page from row {offset} on")
        began = time.perf_counter()
        if rows.find(f"Question {rows.count - 1}", seconds=600).rows[-1:] != [rows.count] or "Question 0<" not in first:
            raise RuntimeError("the last row was not found")
        search_s = time.perf_counter() - began
    return {
        "first_s": first_s,
        "index_s": index_s,
        "later_s": max(later),
        "search_s": search_s,
        "growth_mb": memory.grown_mb,
    }


def _preview_of_board(path: Path) -> dict:
    """Ask LlamaBoard's own function for a page, which reads the whole file each time."""
    from llamafactory.webui.components.data import get_preview

    with _Memory() as memory:
        began = time.perf_counter()
        get_preview(str(path.parent), ["big"], 1000)
        taken = time.perf_counter() - began
    return {"page_s": taken, "growth_mb": memory.grown_mb}

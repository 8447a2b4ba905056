"""How fast 100 000 rows are checked, and how much longer it takes with their tokens."""

import random
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import ROOT, new_workspace
from benchmarks.report import Row
from studio.datasets.derive import write
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files.reading import rows
from studio.datasets.quality.row_check import check

RUNS = 3
REACH_S = 30.0
ROWS = 100_000
ENTRY = {
    "file_name": "many.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "system": "system"},
}
SETTINGS = {"template": "chatml", "cutoff_len": 1024}


def measure(runs: int, quick: bool) -> list[Row]:
    """Check a file of conversations in English and Chinese; one row without and one with a look at the tokens."""
    number = 2_000 if quick else ROWS
    with new_workspace() as workspace:
        file = workspace / "many.jsonl"
        write(file, _conversations(number))
        size = file.stat().st_size / 2**20
        plain = [_seconds(file, None) for _ in range(runs)]
        encoder = RowEncoder(_model(workspace), ENTRY, workspace, "sft", SETTINGS)
        tokens = [_seconds(file, encoder) for _ in range(1 if quick else min(runs, 2))]
    count = f"{number:,}".replace(",", " ")
    what = f"{count} rows, {size:.0f} MB, checked"
    return [_row(what, plain, REACH_S), _row(f"{what} with their tokens and lengths", tokens, None)]


def _row(what: str, seconds: list[float], reach: float | None) -> Row:
    middle = statistics.median(seconds)
    return Row(
        "check",
        what,
        f"{middle:.1f} s ({min(seconds):.1f}–{max(seconds):.1f})",
        "",
        "",
        f"under {reach:g} s" if reach else "",
        None if reach is None else middle < reach,
    )


def _seconds(file: Path, encoder: RowEncoder | None) -> float:
    began = time.monotonic()
    report = check(rows(file), ENTRY, file.parent, encoder)
    took = time.monotonic() - began
    found = ", ".join(f"{kind} {count}" for kind, count in report.counts.items())
    print(f"  {report.rows} rows in {took:.1f} s: {found}", flush=True)
    return took


def _model(workspace: Path) -> Path:
    return next(path.parent for path in sorted((workspace / "models").glob("*/tokenizer.json")))


def _conversations(number: int) -> Iterator[dict]:
    """Yield conversations of two to six turns and some 600 letters; one in fifty repeats another, one in a hundred has
    a fault.

    They are made of the shipped data's own words: text of random letters would take a tokenizer twice the time.
    """
    chance = random.Random(1)
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "data").glob("*.json*")))
    words, signs = re.findall(r"[A-Za-z]{2,}[,.]?", text), re.findall(r"[\u3000-\u303f\u4e00-\u9fff，]", text)
    kept: list[dict] = []
    for index in range(number):
        if kept and index % 50 == 0:
            yield chance.choice(kept)
            continue
        turns = []
        for turn in range(2 * chance.randint(1, 3)):
            said = (
                "".join(chance.choices(signs, k=60))
                if index % 3 == 0
                else " ".join(chance.choices(words, k=chance.randint(8, 50)))
            )
            turns.append({"from": ("human", "gpt")[turn % 2], "value": said})
        if index % 100 == 1:
            turns[-1]["value"] = chance.choice(["", "dÃ©jÃ\xa0 vu", "lost \ufffd"])
        row = {"conversations": turns, "system": ""}
        if index % 1000 == 7:
            kept.append(row)
        yield row

"""How fast a logged step is on the screen, and what one tick of an open page costs while a run grows to 100 000 logged
points.
"""

import contextlib
import json
import math
import shutil
import statistics
import time
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.browser import chromium, train_page
from benchmarks.commands import Studio, new_workspace
from benchmarks.report import Row, percentile, ratio

RUNS = 1
REACH_S = 1.0
# Flat within noise: the ticks of one and the same run differ by more, and a cost that grew with the points would be
# 1000 times as high.
REACH_FLAT = 1.25
REACH_FIRST_S = 0.2  # the whole history at the most points
SIZES = (100, 10_000, 100_000)
RUN = "SmolLM2-135M-Instruct/lora/grown"


def measure(runs: int, quick: bool) -> list[Row]:
    """Return the row of the delay over `runs` real runs, and those of the ticks at each size."""
    delays = _delays(runs, {"max_steps": 6} if quick else {})
    worst = percentile(delays, 0.95)
    print(
        f"  {len(delays)} steps on the screen after {statistics.median(delays):.3f} s, 95 % within {worst:.3f} s",
        flush=True,
    )
    row = Row(
        "live",
        "from on_log to the point on the screen, 95th percentile",
        f"{worst:.2f} s of {len(delays)} steps (median {statistics.median(delays):.2f}, highest {max(delays):.2f})",
        "",
        "",
        f"under {REACH_S:g} s",
        worst < REACH_S,
    )
    return [row, *_ticks(30 if quick else 200, 5)]


# From on_log to the screen


def _delays(runs: int, recipe: dict) -> list[float]:
    """Return the seconds from each event of a logged step to the first drawing that holds its step."""
    delays = []
    with new_workspace() as workspace, chromium() as browser, Studio(workspace) as studio:
        studio.ready()
        for _ in range(runs):
            with train_page(browser, studio.url) as page:
                page.evaluate(
                    "() => { window.drawn = []; document.addEventListener('studio:drawn', (e) =>"
                    " window.drawn.push(e.detail)); }"
                )
                run = studio.start(recipe)
                page.evaluate("run => window.studio.pick('run', run)", run)
                logged = [
                    event for event in studio.end(run) if event["event"] == "metrics" and "loss" in event["values"]
                ]
                page.wait_for_function(
                    "step => window.drawn.some((one) => one.step >= step)", arg=logged[-1]["step"], timeout=20_000
                )
                drawn = [one for one in page.evaluate("window.drawn") if one["run"] == run and one["step"] is not None]
            delays += [
                min(one["at"] for one in drawn if one["step"] >= event["step"]) / 1000 - event["time"]
                for event in logged
            ]
    return delays


# The cost of a tick


class Grown:
    """A run that is at work and has logged so many points, and a page that looks at it (see `_question`)."""

    def __init__(self, studio: Studio, points: int, colds: int):
        self.studio, self.points, self.since, self.marks = studio, points, 0, {}
        self.folder = studio.folder(RUN)
        self.copies = [f"{RUN}-{number}" for number in range(colds)]
        _write_run(self.folder, points)
        for name in self.copies:
            shutil.copytree(self.folder, studio.folder(name))

    def cold(self) -> list[float]:
        """Return the seconds of the first reading of each copy, and remove the copies: only one run stays to be looked
        at.
        """
        taken = [_asked(self.studio, "train_metrics", {"data": [name, 0]})[0] for name in self.copies]
        for name in self.copies:
            shutil.rmtree(self.studio.folder(name))
        return taken

    def tick(self, question: dict) -> tuple[float, float]:
        """Log one more point; return the seconds that it takes to ask for new points, as the page's stream does, and
        for its live regions.
        """
        self.points += 1
        with open(self.folder / "events.jsonl", "a") as file:
            file.write(_metrics(self.points))
        metrics_s, answer = _asked(self.studio, "train_metrics", question | {"data": [RUN, self.since]})
        self.since = answer["next"]
        regions = [region | {"mark": self.marks.get(region["name"], "")} for region in question["data"][0]]
        live_s, answers = _asked(self.studio, "live", question | {"data": [regions]})
        self.marks |= {
            region["name"]: answer["mark"] for region, answer in zip(regions, answers, strict=True) if answer
        }
        return metrics_s, live_s


def _question(studio: Studio) -> dict:
    """Return the body of the request with which a real page on the Train tab asks for its regions."""
    with chromium() as browser, train_page(browser, studio.url) as page:
        page.evaluate("run => window.studio.pick('run', run)", RUN)
        page.wait_for_timeout(2000)
        with page.expect_request("**/gradio_api/run/live") as asked:
            pass
        return asked.value.post_data_json


def _ticks(ticks: int, colds: int) -> list[Row]:
    with contextlib.ExitStack() as stack:
        studios = [stack.enter_context(Studio(stack.enter_context(new_workspace()))) for _ in SIZES]
        grown = [Grown(studio, points, colds) for studio, points in zip(studios, SIZES, strict=True)]
        for studio in studios:
            studio.ready()
        cold = [one.cold() for one in grown]
        question = _question(studios[0])
        print("  the page asks for " + ", ".join(region["name"] for region in question["data"][0]), flush=True)
        for one in grown:
            one.tick(question)
        taken = [[one.tick(question) for one in grown] for _ in range(ticks)]
    metrics = [[tick[size][0] for tick in taken] for size in range(len(SIZES))]
    live = [[tick[size][1] for tick in taken] for size in range(len(SIZES))]
    return [
        _flat("tick of a page: `train_metrics` with one new point", metrics, REACH_FLAT),
        _flat("tick of a page: `live` with the regions of Train", live, REACH_FLAT),
        _first(cold),
    ]


def _first(taken: list[list[float]]) -> Row:
    """Return the row of the first reading of a whole history, which is judged at the most points."""
    row = _flat("first reading of the whole history", taken, None)
    return replace(row, reach=f"under {REACH_FIRST_S:g} s", reached=statistics.median(taken[-1]) < REACH_FIRST_S)


def _flat(what: str, taken: list[list[float]], reach: float | None) -> Row:
    """Return the row that sets the cost at the most points against that at the fewest."""
    few, some, many = (
        f"{points:,} points: {_milliseconds(values)}" for points, values in zip(SIZES, taken, strict=True)
    )
    print(f"  {what}: {few}; {some}; {many}", flush=True)
    growth = ratio(taken[-1], taken[0])
    return Row(
        "live",
        what,
        f"{some}; {many}",
        few,
        f"{growth:.2f}",
        f"at most {reach:g}" if reach else "",
        growth <= reach if reach else None,
    )


def _milliseconds(seconds: list[float]) -> str:
    low, middle, high = (1000 * percentile(seconds, share) for share in (0.05, 0.5, 0.95))
    return f"{middle:.1f} ms ({low:.1f}–{high:.1f})"


def _asked(studio: Studio, endpoint: str, body: dict) -> tuple[float, object]:
    began = time.perf_counter()
    answer = studio.post(endpoint, body)
    return time.perf_counter() - began, answer


def _write_run(folder: Path, points: int) -> None:
    """Write a run in the studio's own format that counts as at work, because its process is this one."""
    me = psutil.Process()
    facts = {
        "examples": 90,
        "epochs": 4.0,
        "batch": 8,
        "step": 0,
        "total_steps": 200_000,
        "trainable": 2_442_240,
        "parameters": 136_957_248,
        "device": "cpu",
    }
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps({"created": time.time(), "pid": me.pid, "pid_started": me.create_time()})
    )
    with open(folder / "events.jsonl", "w") as file:
        file.writelines(_line("state", state=state) for state in ("queued", "preparing"))
        file.write(_line("facts", **facts) + _line("state", state="running"))
        file.writelines(_metrics(step) for step in range(1, points + 1))


def _metrics(step: int) -> str:
    values = {
        "loss": 2.5 / step**0.3 + 0.1 * math.sin(step),
        "grad_norm": 1.3 + 0.4 * math.cos(7 * step),
        "learning_rate": 0.001 / step**0.1,
        "num_input_tokens_seen": 512 * step,
    }
    return _line("metrics", step=step, epoch=step / 11.3, values=values)


def _line(event: str, **facts: object) -> str:
    return json.dumps({"time": round(time.time(), 3), "event": event, **facts}) + "\n"

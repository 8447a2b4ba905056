"""The live plots in headless Chromium, against the real events file of a run that really grows."""

import contextlib
import itertools
import json
import math
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from conftest import ROOT, slow, wait_for
from playwright.sync_api import Page, expect

from studio.train import runs

WORDS = json.loads((ROOT / "studio/core/words/en/charts.json").read_text(encoding="utf-8"))
PAGE = """<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="assets/uplot/uPlot.min.css"><link rel="stylesheet" href="assets/charts.css">
<style>
body {{ margin: 16px; background: var(--canvas); font: 13px system-ui, sans-serif;
  --ink: #1d2126; --ink-soft: #69717c; --rule: #e3e5e9; --panel: #ffffff; --canvas: #f6f7f8;
  --accent: #2f62d9; --accent-soft: #e8eefc;
  --failed: #c8372d; --running: #2f62d9; }}
body.dark {{ --ink: #e6e8eb; --ink-soft: #949ba6; --rule: #2d3138; --panel: #181b20; --canvas: #101216;
  --accent: #7aa2f7; --accent-soft: #1f2c47; --failed: #ef7168; --running: #7aa2f7; }}
</style>
<script>window.gradio_config = {{ root: "{root}" }}</script>
<script src="assets/uplot/uPlot.iife.min.js"></script><script src="assets/chart_points.js"></script>
<script src="assets/chart_feed.js"></script><script src="assets/chart_tools.js"></script>
<script src="assets/charts.js"></script></head>
<body><div id="holder"><div class="charts" data-arg="{run}" data-words='{words}'></div></div></body></html>"""


class Studio:
    """Serves the page, the assets, and `train_metrics` of runs under a folder, alone and as a stream, at a sub-path, as
    the studio does.

    asked: what each question was for, a run and a place in its events. sent: when each event of a stream was sent.
    is_held_back: like a proxy that hands an answer on when it is whole.
    """

    def __init__(self, folder: Path):
        self.folder, self.prefix, self.asked, self.down, self.words = folder, "", [], False, WORDS
        self.sent, self.streams, self.is_held_back = [], 0, False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def run(self, name: str, state: str = "running") -> runs.Run:
        run = runs.Run(name, self.folder / name)
        run.folder.mkdir(parents=True)
        run.own()
        for reached in ("preparing", state):
            run.say("state", state=reached)
        return run

    def url(self, run: str) -> str:
        return f"{self.origin}{self.prefix}/?run={run}"

    def page(self, query: str) -> bytes:
        return PAGE.format(
            root=self.origin + self.prefix, run=query.removeprefix("run="), words=json.dumps(self.words)
        ).encode()

    def metrics(self, body: dict) -> bytes:
        self.asked.append(body["data"])
        name, *since = body["data"]
        run = runs.Run(name, self.folder / name)
        return json.dumps({"data": [vars(runs.metrics(run, *since)) | {"label": run.label}]}).encode()

    def events(self, query: str) -> Iterator[bytes]:
        """Yield what a stream says, as `add_stream` does, which tests/engine/api asks."""
        asked = dict(parse_qsl(query))
        run, since = runs.Run(asked["name"], self.folder / asked["name"]), int(asked["since"])
        self.asked.append([run.name, since])
        yield b":\n\n"
        while not self.down:
            answer = runs.metrics(run, since, 5)
            since = answer.next
            self.sent.append(time.monotonic())
            yield b"data: " + json.dumps(vars(answer) | {"label": run.label}).encode() + b"\n\n"
            if answer.reset or "lasts_s" in asked:
                return
            time.sleep(float(asked["pause_s"]))

    def _handler(studio):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.removeprefix(studio.prefix).partition("?")
                if path == "/":
                    return self.answer(studio.page(query), "text/html")
                if path.startswith("/assets/"):
                    kind = "text/css" if path.endswith("css") else "text/javascript"
                    return self.answer((ROOT / path.lstrip("/")).read_bytes(), kind)
                if path == "/gradio_api/stream/train_metrics":
                    return self.send_error(500) if studio.down else self.stream(query)
                self.answer(b"", "image/x-icon")

            def stream(self, query: str):
                events = studio.events(query)
                if studio.is_held_back:
                    return self.answer(b"".join(events), "text/event-stream")
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                studio.streams += 1
                with contextlib.suppress(OSError):  # the page looks no more
                    for event in events:
                        self.wfile.write(event)
                        self.wfile.flush()
                studio.streams -= 1

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if studio.down or self.path != f"{studio.prefix}/gradio_api/run/train_metrics":
                    return self.send_error(500)
                self.answer(studio.metrics(body), "application/json")

            def answer(self, content: bytes, kind: str):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            log_message = staticmethod(lambda *_: None)

        return Handler


def log(run: runs.Run, *steps: int, **more: float) -> None:
    """Log steps as a training run does: a loss that falls with a ripple, a cosine learning rate, a gradient norm."""
    for step in steps:
        ripple = math.sin(step * 12.9898) * 0.12
        run.say(
            "metrics",
            step=step,
            values={
                "loss": 0.4 + 2.2 * math.exp(-step / 60) + ripple,
                "learning_rate": 1e-3 * (1 + math.cos(step / 200)) / 2,
                "grad_norm": 1 + abs(ripple) * 8,
                **more,
            },
        )


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1100, "height": 600})
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.set_default_timeout(8000)
    yield page
    context.close()
    assert not [fault for fault in faults if "status of 500" not in fault]


@pytest.fixture
def studio(tmp_path):
    studio = Studio(tmp_path)
    yield studio
    studio.server.shutdown()
    studio.server.server_close()


@pytest.fixture
def run(studio):
    run = studio.run("tiny/lora/one-1")
    log(run, *range(1, 61))
    return run


def wait_step(page: Page, step: int) -> None:
    expect(page.locator(f'.charts[data-last-step="{step}"]')).to_have_count(1)


def plot(page: Page, what: str, figure: int = 0):
    """Ask the plot of one figure of the first panel, `u` in `what`."""
    return page.evaluate(
        f"(() => {{ const panel = [...studioCharts.panels][0], u = panel.figures[{figure}].plot; return {what}; }})()"
    )


def drag(page: Page, start: float, end: float) -> None:
    box = page.locator(".u-over").first.bounding_box()
    for share, act in ((start, page.mouse.down), (end, page.mouse.up)):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + 40, steps=4)
        act()


def colours(page: Page) -> set[tuple[int, ...]]:
    pixels = page.evaluate("""() => { const canvas = document.querySelector(".uplot canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, seen = new Set();
        for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] === 255) seen.add([data[i], data[i + 1], data[i + 2]].join());
        return [...seen]; }""")
    return {tuple(map(int, pixel.split(","))) for pixel in pixels}


def test_growing_run_sends_only_new_points(studio, page, run):
    page.add_init_script(
        "window.drawn = []; document.addEventListener('studio:drawn', (event) => drawn.push(event.detail))"
    )
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    assert page.locator(".chart-figure:visible .chart-title").all_inner_texts() == [
        "Loss",
        "Learning rate",
        "Gradient norm",
    ]
    log(run, 61, 62, eval_loss=0.9)
    wait_step(page, 62)
    assert page.locator(".charts").get_attribute("data-points") == "62"
    assert plot(page, "u.data[3].filter((value) => value !== undefined)") == [0.9, 0.9]
    assert page.locator(".chart-place .chart-value").inner_text() == "62"
    page.wait_for_function("drawn.some((detail) => detail.step === 62)")
    assert page.evaluate("drawn.at(-1).run") == run.name
    assert [since for _, since in studio.asked].count(0) == 1


def test_one_answer_brings_all_steps_and_the_page_rests_when_the_run_is_over(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    page.evaluate(
        "setInterval(() => document.body.append(document.createElement('p')), 20)"
    )  # a busy page must not hurry it
    page.wait_for_timeout(1500)
    before = len(studio.asked)
    for step in range(61, 91):
        log(run, step)
        page.wait_for_timeout(100)
    wait_step(page, 90)
    assert len(studio.asked) == before and studio.streams == 1, "all came in the answer that was under way"
    run.say("state", state="finished")
    page.wait_for_function("[...studioCharts.panels][0].state === 'finished'")
    before = len(studio.asked)
    page.wait_for_timeout(1500)
    assert len(studio.asked) - before <= 1


def test_a_step_is_seen_at_once(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    delays = []
    for step in range(61, 65):
        page.wait_for_timeout(1100)
        logged = time.monotonic()
        log(run, step)
        wait_step(page, step)
        delays.append(time.monotonic() - logged)
    assert min(delays) < 1


@pytest.mark.parametrize(("device", "a_second"), [("cpu", 1), ("cuda:0", 2.5), pytest.param("", 1, marks=slow)])
def test_a_run_on_the_processor_is_told_and_drawn_once_a_second_at_most(studio, page, device, a_second):
    run = studio.run("long")
    run.say("facts", step=0, total_steps=1000, device=device)
    log(run, *range(1, 61))
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    before, shown = len(studio.sent), page.evaluate("(window.drawings = 0, studioCharts.panels.size)")
    page.evaluate("document.addEventListener('studio:drawn', () => drawings++)")
    began = time.monotonic()
    for step in range(61, 101):
        log(run, step)
        page.wait_for_timeout(100)
    sent, drawn, seconds = len(studio.sent) - before, page.evaluate("drawings"), time.monotonic() - began
    assert shown == 1 and max(sent, drawn) <= a_second * seconds + 2
    assert sent > 2
    wait_step(page, 100)


def test_behind_a_proxy_that_holds_answers_back_each_brings_one_event(studio, page, run):
    studio.is_held_back = True
    page.set_default_timeout(60_000)
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    for step in (61, 62, 63):
        log(run, step)
        page.wait_for_function(f"document.querySelector('.charts').dataset.lastStep === '{step}'")
    assert page.locator(".chart-lost").get_attribute("class").endswith("chart-off")
    assert [since for _, since in studio.asked].count(0) == 1


def test_asks_nothing_while_out_of_sight_or_removed(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    page.wait_for_timeout(500)
    page.evaluate("document.querySelector('#holder').style.display = 'none'")
    page.wait_for_timeout(1000)
    asked, sent = len(studio.asked), len(studio.sent)
    log(run, 61)  # the one that waits for it finds that nobody is there
    page.wait_for_timeout(1500)
    log(run, 62)
    wait_for(lambda: not studio.streams)
    assert len(studio.asked) == asked and len(studio.sent) <= sent + 2
    assert page.locator(".charts").get_attribute("data-last-step") == "60"
    page.evaluate("document.querySelector('#holder').style.display = ''")
    wait_step(page, 62)
    page.evaluate("document.querySelector('.charts').remove()")
    page.wait_for_function("studioCharts.panels.size === 0")


def test_zoom_is_kept_while_points_arrive(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    drag(page, 0.25, 0.5)
    zoom = plot(page, "[u.scales.x.min, u.scales.x.max]")
    assert 14 < zoom[0] < 17 and 29 < zoom[1] < 32
    high = plot(page, "u.scales.y.max")
    log(run, 61, 62, loss=9.0)
    wait_step(page, 62)
    for figure in range(3):
        assert plot(page, "[u.scales.x.min, u.scales.x.max]", figure) == zoom
    assert plot(page, "u.scales.y.max") == pytest.approx(high, rel=0.02), (
        "what lies outside does not squeeze what is looked at"
    )
    page.locator(".u-over").first.dblclick()
    assert plot(page, "[u.scales.x.min, u.scales.x.max]") == [1, 62]
    assert plot(page, "u.scales.y.max") > 9


def test_log_scale_and_smoothing_are_remembered(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    assert plot(page, "u.scales.y.distr") == 1
    assert plot(page, "panel.weight()") == pytest.approx(1.8 * (1 / (1 + math.exp(-0.05 * 60)) - 0.5))
    page.get_by_role("button", name="Log scale").click()
    page.locator(".chart-slider").fill("0.3")
    page.reload()
    wait_step(page, 60)
    assert plot(page, "[u.scales.y.distr, panel.weight()]") == [3, 0.3]
    assert plot(page, "u.scales.y.distr", 1) == 1, "only the loss obeys the switch"
    page.get_by_role("button", name="Auto").click()
    assert plot(page, "panel.weight()") > 0.8


def test_time_axis(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    page.get_by_role("button", name="Time").click()
    assert plot(page, "u.data[0].length") == 60
    assert plot(page, "u.scales.x.max") < 30
    page.get_by_role("button", name="Step").click()
    assert plot(page, "u.scales.x.max") == 60


def test_dark_redraws_in_the_colours_of_the_theme(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    light, dark = (0x2F, 0x62, 0xD9), (0x7A, 0xA2, 0xF7)  # --accent in either
    assert light in colours(page) and dark not in colours(page)
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_timeout(100)
    assert dark in colours(page) and light not in colours(page)


def test_hover_tells_the_values_of_one_step(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    step = plot(page, "u.data[0][u.cursor.idx]")
    assert 29 <= step <= 32 and page.locator(".chart-place .chart-value").inner_text() == str(step)
    shown = page.locator('[data-figure="loss"] .chart-value').first.inner_text()
    assert float(shown) == pytest.approx(plot(page, "u.data[1][u.cursor.idx]"), rel=0.01)
    assert plot(page, "u.cursor.idx", 1) == step - 1, "the other figures follow"


def test_a_plot_has_a_value_box_switches_and_goes_out_as_points_and_pictures(studio, page, run):
    run.note(label="Called so later")
    run.say("metrics", step=61, epoch=1.5, values={"loss": 1.0})
    page.goto(studio.url(run.name))
    wait_step(page, 61)
    figure = page.locator('[data-figure="loss"]')
    over = figure.locator(".u-over").bounding_box()
    page.mouse.move(over["x"] + over["width"] / 2, over["y"] + 40)
    box = figure.locator(".chart-box")
    expect(box).to_contain_text(re.compile(r"Step 3\d.*raw.*smoothed", re.S))
    expect(page.locator(".chart-box:visible")).to_have_count(1)
    figure.locator("button.chart-entry", has_text="raw").click()
    expect(figure.locator("button.chart-entry", has_text="raw")).to_have_attribute("aria-pressed", "false")
    assert plot(page, "u.series.slice(1, 3).map((line) => line.show)") == [False, True]
    page.mouse.move(over["x"] + over["width"] / 2, over["y"] + 42)
    expect(box).not_to_contain_text("raw")
    page.get_by_role("button", name="Epoch").click()
    last = plot(page, "u.data[0].at(-1)")
    assert last == pytest.approx(runs.status(run).epoch)
    found = {}
    for kind in ("csv", "png", "svg"):
        figure.hover()
        with page.expect_download() as download:
            figure.locator(f".chart-{kind}").click()
        assert download.value.suggested_filename == f"Called so later Loss.{kind}"
        found[kind] = Path(download.value.path()).read_bytes()
    assert found["csv"].startswith(b"\xef\xbb\xbf")  # Excel takes it for UTF-8
    lines = found["csv"].decode("utf-8-sig").splitlines()
    assert lines[0] == "Epoch,Loss raw,Loss smoothed,Loss eval" and len(lines) == 62
    assert found["png"].startswith(b"\x89PNG") and b"<polyline" in found["svg"] and b"NaN" not in found["svg"]
    figure.locator(".chart-full_screen").click()
    page.wait_for_function("document.fullscreenElement?.dataset.figure === 'loss'")


def test_what_is_no_number_leaves_a_gap_and_a_mark(studio, page, run):
    run.say("metrics", step=61, values={"loss": float("nan"), "grad_norm": float("inf")})
    log(run, 62)
    page.goto(studio.url(run.name))
    wait_step(page, 62)
    assert plot(page, "[u.data[1][60], u.data[2][60]]") == [None, None]
    assert page.locator('[data-figure="loss"] .chart-broken').inner_text() == "1 × NaN"
    assert (0xC8, 0x37, 0x2D) in colours(page)


def test_long_history_is_drawn_at_once_and_keeps_its_spike(studio, page, run):
    line = '{{"time": {0}, "event": "metrics", "step": {0}, "values": {{"loss": {1}}}}}\n'
    with run.events_file.open("a") as file:
        file.writelines(
            line.format(step, 77.5 if step == 51_234 else 1 + math.sin(step) / 9) for step in range(61, 100_001)
        )
    runs.metrics(run)  # the reading of the file is timed elsewhere
    page.add_init_script("document.addEventListener('studio:drawn', (event) => { window.at = event.detail.at })")
    page.goto(studio.url(run.name))
    wait_step(page, 100_000)
    assert page.evaluate("at - performance.timeOrigin") < 1000
    assert plot(page, "Math.max(...u.data[1])") == 77.5
    assert int(page.locator(".charts").get_attribute("data-points")) <= 4000
    log(run, *range(100_001, 103_001))
    wait_step(page, 103_000)
    assert int(page.locator(".charts").get_attribute("data-points")) <= 4000
    assert plot(page, "Math.max(...u.data[1].filter((value) => value != null))") == 77.5


def test_decimation_of_100_000_points(studio, page):
    page.goto(studio.url(""))
    kept, milliseconds = page.evaluate("""() => {
        const points = Array.from({ length: 100000 }, (_, step) => [step, Math.sin(step / 999), step]);
        points[31415][1] = 50; points[60000][1] = -50; points[70000][1] = null;
        const began = performance.now(), kept = chartPoints.append([], points);
        return [kept, performance.now() - began]; }""")
    values, steps = [value for _, value, _ in kept], [step for step, _, _ in kept]
    assert len(kept) <= 4000 and milliseconds < 1000
    assert 50 in values and -50 in values and None in values
    assert steps == sorted(set(steps)) and steps[0] == 0 and steps[-1] == 99_999
    assert max(after - before for before, after in itertools.pairwise(steps)) < 200, "no part of the run is left out"
    resumed = page.evaluate("chartPoints.append([[1, 5], [2, 4], [3, 3]], [[2, 2, 9], [3, 'nan', 9]])")
    assert resumed == [[1, 5], [2, 2, 9], [3, None, 9]], "steps that are trained again replace the old ones"


def test_smoothing_is_tensorboards(studio, page):
    page.goto(studio.url(""))
    values, weight, last, expected = [3.0, 1.0, None, 2.0, 8.0], 0.6, 0.0, []
    for count, value in enumerate(value for value in values if value is not None):
        last = last * weight + (1 - weight) * value
        expected.append(last / (1 - weight ** (count + 1)))
    smoothed = page.evaluate("(input) => chartPoints.smooth(...input)", [values, weight])
    assert smoothed.pop(2) is None
    assert smoothed == pytest.approx(expected)


def test_numbers_are_short(studio, page):
    page.goto(studio.url(""))
    numbers = {0.000812: "8.1e-4", 0.42134: "0.421", 12.3456: "12.3", 2140: "2140", 12345: "12.3k", 0: "0", None: "NaN"}
    assert [page.evaluate("chartPoints.short", number) for number in numbers] == list(numbers.values())
    assert page.evaluate("chartPoints.tickLabels([0, 2e-4, 4e-4, 1e-3])") == ["0", "2e-4", "4e-4", "1e-3"]
    assert page.evaluate("chartPoints.tickLabels([0.5, 1, 1.5])") == ["0.5", "1.0", "1.5"]
    assert page.evaluate("chartPoints.tickLabels([0, 20000, 40000])") == ["0", "20k", "40k"]
    assert page.evaluate("chartPoints.logTicks(0.3, 4)") == [0.5, 1, 2]
    assert len(page.evaluate("chartPoints.logTicks(0.42, 0.48)")) >= 3


def test_works_under_a_sub_path(studio, page, run):
    studio.prefix = "/team/studio"
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    assert page.url.endswith(f"/team/studio/?run={run.name}") and studio.asked[0] == [run.name, 0]


def test_switching_the_run_shows_the_other_one_only(studio, page, run):
    other, empty = studio.run("tiny/lora/two-1"), studio.run("tiny/lora/empty-1", state="finished")
    log(other, 1, 2, 3)
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    page.evaluate("(name) => { document.querySelector('.charts').dataset.arg = name }", other.name)
    wait_step(page, 3)
    assert plot(page, "u.data[0]") == [1, 2, 3]
    page.evaluate("(name) => { document.querySelector('.charts').dataset.arg = name }", empty.name)
    expect(page.get_by_text(WORDS["empty"])).to_be_visible()
    assert page.locator(".chart-figure:visible").count() == 1


def test_a_replaced_element_keeps_points_and_zoom(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    drag(page, 0.25, 0.5)
    zoom = plot(page, "panel.zoom")
    page.evaluate(
        "document.querySelector('#holder').innerHTML = document.querySelector('.charts').cloneNode().outerHTML"
    )
    expect(page.locator(".chart-panel")).to_be_visible()
    log(run, 61)
    wait_step(page, 61)
    assert plot(page, "panel.zoom") == zoom
    assert [since for _, since in studio.asked].count(0) == 1


def test_a_lost_connection_is_shown_and_found_again(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    studio.down = True
    expect(page.get_by_text(WORDS["not_connected"])).to_be_visible()
    studio.down = False
    log(run, 61)
    wait_step(page, 61)
    expect(page.get_by_text(WORDS["not_connected"])).to_be_hidden()


def test_what_the_studio_refuses_is_told_and_is_no_lost_connection(studio, page, run):
    page.route("**/gradio_api/run/*", lambda route: route.fulfill(status=500, json={"error": "There is no such run."}))
    with page.expect_response("**/train_metrics"):
        page.goto(studio.url("gone"))
    expect(page.get_by_text("There is no such run.")).to_be_visible()
    with page.expect_response("**/train_metrics"):  # asked again after a rest
        pass
    expect(page.get_by_text(WORDS["not_connected"])).to_be_hidden()
    page.unroute("**/gradio_api/run/*")
    page.goto(studio.url(run.name))
    wait_step(page, 60)


def test_a_resumed_run_starts_over(studio, page, run):
    page.goto(studio.url(run.name))
    wait_step(page, 60)
    run.say("facts", step=40, total_steps=90)
    log(run, 41)
    wait_step(page, 41)
    assert plot(page, "u.data[0].length") == 41


@pytest.mark.parametrize("width", [390, 700, 1280])
def test_nothing_is_cut_off(studio, page, run, width):
    log(run, 61, eval_loss=1.0)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(studio.url(run.name))
    wait_step(page, 61)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.chart-head')].every((head) => head.scrollWidth <= head.clientWidth)"
    )
    for figure in range(3):
        assert plot(page, "Math.abs(u.width - u.root.parentNode.clientWidth)", figure) < 1


def test_every_word_is_used_and_in_both_languages():
    source = (ROOT / "assets/charts.js").read_text(encoding="utf-8")
    used = set(
        re.findall(
            r'word\("(\w+)"\)|button\([\w.]+, "(\w+)"|(?:name|series): "([\w/]+)"|look: "(raw|smoothed)"', source
        )
    )
    tools = (ROOT / "assets/chart_tools.js").read_text(encoding="utf-8")
    deeds = set(re.findall(r"^      (\w+): \(", tools, re.M))
    assert deeds == {"csv", "png", "svg", "full_screen"}
    keys = {next(filter(None, groups)) for groups in used} | deeds | {"waiting", "empty", "step", "epoch", "time"}
    for language in ("en", "zh"):
        assert (
            keys == json.loads((ROOT / f"studio/core/words/{language}/charts.json").read_text(encoding="utf-8")).keys()
        )

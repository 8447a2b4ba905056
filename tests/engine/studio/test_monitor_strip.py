"""The strip as HTML, drawn from made-up machines: two GPUs, eight, none, and one that tells nothing."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from studio.core.formatting import GIB
from studio.core.i18n import Problem, Words
from studio.monitor.history import Point
from studio.monitor.page import strip as strip_page
from studio.monitor.page.endpoints import monitor_result
from studio.monitor.page.strip import COLUMNS
from studio.monitor.readings import CpuTimes, Gpu, GpuProcess, Host, Snapshot
from studio.web.html import render

NOW = 1_800_000_000.0
HOST = Host(32, 14.2, 6.1, (4.0, 3.0, 2.0), 41 * GIB, 125 * GIB, 84 * GIB, 5 * GIB, 80 * GIB, 930 * GIB)
UNKNOWN_HOST = Host(None, None, None, None, 41 * GIB, 125 * GIB, 84 * GIB, None, None, None)
VOID = {"path"}


def gpu(index, **changes):
    own = GpuProcess(4711, "python -m studio", "someone", 60 * GIB, "C", True)
    other = GpuProcess(998, None, None, None, None, False)
    facts = dict(
        index=index,
        slice=None,
        name="NVIDIA H200",
        utilisation=82,
        memory_used=61 * GIB,
        memory_total=140 * GIB,
        temperature=58,
        power=412.3,
        power_limit=700.0,
        fan=None,
        processes=(own, other),
    )
    return Gpu(**facts | changes)


def machine(*gpus, host=HOST, no_gpu=None):
    return Snapshot(NOW, gpus, no_gpu, host, CpuTimes(0, 0, 0))


def strip(words, snapshot, history):
    return render(strip_page.TEMPLATE, words, strip_page.strip(snapshot, history))


def past(gpus, seconds=range(300)):
    return tuple(Point(NOW - second, 20.0, 33.0, ((82.0, 43.0),) * gpus) for second in reversed(seconds))


class Page(HTMLParser):
    """Checks that every element is closed in order, and collects texts and ids."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.ids, self.tags = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize(
    "language, utilisation, memory, processes",
    [("en", "util", "mem", "2 processes"), ("zh", "利用率", "显存", "2 个进程")],
)
def test_two_gpus_are_drawn_in_both_languages(language, utilisation, memory, processes):
    texts = Page(strip(Words(language), machine(gpu(0), gpu(1, fan=71)), past(2))).texts
    for text in (
        "GPU 0",
        "GPU 1",
        "H200",
        "82 %",
        "61 / 140 GiB",
        "58 °C",
        "412 / 700 W",
        "python -m studio",
        "60 GiB",
        "14 %",
    ):
        assert text in texts
    assert texts.count(utilisation) == texts.count(memory) == texts.count(processes) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_not_known_is_a_dash_and_not_a_fault(language):
    nothing = gpu(
        0,
        name=None,
        utilisation=None,
        memory_used=None,
        memory_total=None,
        temperature=None,
        power=None,
        power_limit=None,
    )
    points = (Point(NOW - 1, None, 33.0, ((None, None),)), Point(NOW, None, 33.0, ((None, None),)))
    html = strip(Words(language), machine(nothing, host=UNKNOWN_HOST), points)
    assert "None" not in html and "nan" not in html
    assert {"–", "– °C", "– W"} <= set(Page(html).texts)
    # a GPU that is idle is not one that tells nothing
    assert "0 %" in Page(strip(Words(language), machine(gpu(0, utilisation=0)), ())).texts


def test_a_machine_without_gpu_says_why_and_shows_the_rest():
    for key, fact in (("no_driver", {}), ("driver_mismatch", {}), ("nvml_failed", {"reason": "GPU <lost>"})):
        for language in ("en", "zh"):
            problem = Problem(f"monitor.{key}", **fact)
            texts = "".join(Page(strip(Words(language), machine(no_gpu=problem), past(0))).texts)
            assert Words(language).tell(problem) in texts and "14 %" in texts and "41 / 125 GiB" in texts
            told = monitor_result(machine(no_gpu=problem), (), Words(language)).no_gpu
            assert told == Words(language).tell(problem)


def test_names_from_the_machine_are_escaped():
    nasty = '"><script>alert(1)</script>'
    process = GpuProcess(1, nasty, nasty, GIB, "C", False)
    for count in (1, 5):
        gpus = [gpu(index, name=nasty, processes=(process,)) for index in range(count)]
        html = strip(Words("en"), machine(*gpus), ())
        assert "<script" not in html
        assert sum(nasty in text for text in Page(html).texts) == 3 * count  # the GPU's name, the command, the user


def test_folds_keep_their_ids_while_values_change():
    def ids(utilisation):
        return Page(
            strip(Words("en"), machine(*(gpu(index, utilisation=utilisation) for index in range(8))), past(8))
        ).ids

    assert ids(3) == ids(97)
    assert len(set(ids(3))) == len(ids(3)) == 16
    slices = machine(gpu(0, slice=0), gpu(0, slice=1))
    assert Page(strip(Words("en"), slices, ())).ids == ["mon-processes-0-0", "mon-processes-0-1"]


def test_values_change_but_the_structure_does_not():
    calm = strip(Words("en"), machine(gpu(0)), past(1))
    busy = strip(
        Words("en"),
        machine(gpu(0, utilisation=100, temperature=None), host=dataclasses.replace(HOST, cpu=99.0)),
        past(1, range(20)),
    )
    assert Page(calm).tags == Page(busy).tags


def test_a_pool_that_is_nearly_full_stands_out():
    assert "mon-full" not in strip(Words("en"), machine(gpu(0, utilisation=100)), ())
    assert strip(Words("en"), machine(gpu(0, memory_used=139 * GIB)), ()).count("mon-full") == 1
    assert strip(Words("en"), machine(host=dataclasses.replace(HOST, disk_free=1 * GIB)), ()).count("mon-full") == 1


def edges(html):
    return re.findall(r'class="mon-edge" d="([^"]*)"', html)


def test_the_curve_spans_five_minutes_and_shows_where_nobody_looked():
    (whole,) = edges(strip(Words("en"), machine(), past(0)))
    assert whole.startswith("M0,") and f"L{COLUMNS - 1}," in whole and whole.count("M") == 1
    (torn,) = edges(strip(Words("en"), machine(), past(0, [*range(60), *range(200, 300)])))
    assert torn.count("M") == 2
    (short,) = edges(strip(Words("en"), machine(), past(0, range(1))))
    assert short.startswith(f"M{COLUMNS - 1},")
    (empty,) = edges(strip(Words("en"), machine(), ()))
    assert empty == ""


def test_the_strip_stays_small_however_long_it_runs():
    assert len(strip(Words("en"), machine(*map(gpu, range(8))), past(8))) < 50_000


def test_the_api_gives_every_gpu_and_process_with_units():
    found = monitor_result(machine(gpu(0), gpu(1, power=None)), past(2, range(3)), Words("en")).model_dump()
    assert [(each["index"], each["power_w"]) for each in found["gpus"]] == [(0, 412.3), (1, None)]
    assert [(each["gpu"], each["pid"], each["own"]) for each in found["processes"]] == [
        (0, 4711, True),
        (0, 998, False),
    ] + [(1, 4711, True), (1, 998, False)]
    assert found["history"]["gpus"][1] == {
        "index": 1,
        "slice": None,
        "utilisation_percent": [82.0] * 3,
        "memory_percent": [43.0] * 3,
    }


def test_a_slice_is_called_by_what_tells_it_apart():
    assert strip_page._short_name("NVIDIA H100 80GB HBM3 MIG 3g.40gb") == "H100 MIG 3g.40gb"
    assert strip_page._short_name("NVIDIA H100 80GB HBM3") == "H100 80GB HBM3"

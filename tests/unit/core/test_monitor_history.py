"""The thread behind the strip: it reads while somebody looks, keeps five minutes, and otherwise sleeps."""

import json
import threading
import time

from conftest import wait_for

from studio.core.i18n import Words
from studio.monitor import history
from studio.monitor.history import Monitor
from studio.monitor.page.endpoints import monitor_result


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "monitor"]


def test_nothing_is_read_and_no_thread_runs_before_somebody_looks(tmp_path):
    before = len(reading_threads())
    monitor = Monitor(tmp_path)
    assert monitor.history() == () and len(reading_threads()) == before


def test_the_first_look_already_knows_the_cpu(tmp_path):
    snapshot = Monitor(tmp_path).latest()
    assert snapshot.host.cpu is not None and snapshot.host.memory_used > 0


def test_it_reads_on_while_somebody_looks_then_sleeps_and_wakes_again(tmp_path):
    monitor = Monitor(tmp_path, every_s=0.02, interest_s=0.2)
    first = monitor.latest()
    wait_for(lambda: monitor.latest() and len(monitor.history()) >= 4)
    assert monitor.latest().at > first.at
    wait_for(lambda: not monitor._follows.is_set())
    asleep = len(monitor.history())
    time.sleep(0.1)
    assert len(monitor.history()) == asleep
    again = time.time()
    assert monitor.latest().at >= again and len(monitor.history()) > asleep
    wait_for(lambda: monitor.latest() and len(monitor.history()) > asleep + 2)


def test_many_who_look_share_one_thread(tmp_path):
    before = len(reading_threads())
    monitor = Monitor(tmp_path, every_s=5)
    people = [threading.Thread(target=monitor.latest) for _ in range(8)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(reading_threads()) == before + 1 and len(monitor.history()) == 1


def test_history_is_bounded_in_number(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "POINTS", 5)
    monitor = Monitor(tmp_path, every_s=0.01)
    first = monitor.latest()
    wait_for(lambda: monitor.history()[0].at > first.at)
    assert len(monitor.history()) == 5


def test_history_is_bounded_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "SPAN_S", 0.1)
    monitor = Monitor(tmp_path, every_s=0.01)
    first = monitor.latest()
    wait_for(lambda: monitor.latest().at > first.at + 0.25)
    points = monitor.history()
    assert points[0].at > first.at and points[-1].at - points[0].at < 0.1


def test_the_history_is_json_with_one_value_for_each_time(tmp_path):
    monitor = Monitor(tmp_path, every_s=0.02)
    monitor.latest()
    wait_for(lambda: len(monitor.history()) >= 3)
    snapshot, points = monitor.latest(), monitor.history()
    found = json.loads(monitor_result(snapshot, points, Words("en")).model_dump_json())["history"]
    assert len(found["at"]) == len(found["cpu_percent"]) == len(found["memory_percent"]) == len(points)
    assert found["at"] == sorted(found["at"]) and all(0 <= value <= 100 for value in found["memory_percent"])
    assert len(found["gpus"]) == len(snapshot.gpus)

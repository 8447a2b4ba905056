"""Warnings a person would want: each told once, and none without a cause."""

import math
import random

import pytest

from studio.core.i18n import Problem
from studio.train.loop.anomalies import AnomalyDetector


def told(watch, losses, **more):
    return [key for step, loss in enumerate(losses, 1) for key, _ in watch.take(step, {"loss": loss, **more})]


@pytest.fixture
def watch(tmp_path):
    return AnomalyDetector(tmp_path)


def test_a_healthy_curve_gives_no_warning(watch):
    draw = random.Random(0)
    assert told(watch, [3 * math.exp(-step / 100) + draw.uniform(-0.1, 0.1) for step in range(200)]) == []


def test_a_loss_that_is_no_number_is_told_once(watch):
    assert told(watch, [1.0, float("nan"), float("nan"), float("inf")]) == ["train.warn_nan"]


def test_a_spike_is_told_and_ordinary_noise_is_not(watch):
    draw = random.Random(0)
    steady = [1 + draw.uniform(-0.2, 0.2) - step / 200 for step in range(60)]
    assert told(watch, [*steady, 9.0, 1.0, 0.7]) == ["train.warn_spike"]


def test_a_flat_curve_asks_whether_it_is_done(watch):
    assert told(watch, [0.5] * 100) == ["train.warn_flat"]


def test_an_eval_loss_that_grows_is_told(watch):
    found = [
        key for step, loss in enumerate([2.0, 1.0, 1.1, 1.2, 1.3]) for key, _ in watch.take(step, {"eval_loss": loss})
    ]
    assert found == ["train.warn_overfit"]


def test_every_warning_is_a_sentence(watch):
    for step, values in enumerate([{"loss": float("nan")}, {"eval_loss": 1}, {"eval_loss": 2}, {"eval_loss": 3}]):
        for key, facts in watch.take(step, values):
            assert str(Problem(key, **facts)).endswith(".")

"""The interval of a share is the one that scipy gives."""

import pytest

from studio.evaluate.scores import intervals


@pytest.mark.parametrize(("won", "count"), [(5, 10), (5, 5), (0, 20), (90, 100), (1, 1)])
def test_the_interval_is_wilsons_as_scipy_has_it(won, count):
    from scipy.stats import binomtest

    theirs = binomtest(won, count).proportion_ci(method="wilson")
    assert intervals.wilson(won / count, count) == pytest.approx((theirs.low, theirs.high), abs=1e-9)

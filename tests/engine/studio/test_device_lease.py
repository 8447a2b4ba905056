"""Who holds the accelerator, and what happens when two want it."""

import pytest

from studio.core.device_lease import DeviceLease, free_bytes
from studio.core.i18n import Problem


def test_what_fits_stays_side_by_side():
    accelerator = DeviceLease()
    accelerator.acquire("chat", 1000, evict=lambda: pytest.fail("put away for nothing"))
    assert accelerator.acquire("training", 1000) == []
    assert [holder.who for holder in accelerator.holders()] == ["chat", "training"]


def test_one_who_can_be_put_away_makes_room_and_is_named():
    accelerator, gone = DeviceLease(), []
    accelerator.acquire("chat", 1000, evict=lambda: gone.append("chat"))
    with pytest.raises(Problem) as told:
        accelerator.acquire("training", free_bytes() * 2)
        accelerator.acquire("export", free_bytes() * 2)
    assert gone == ["chat"]
    assert "training" in str(told.value)


def test_giving_back_frees_it():
    accelerator = DeviceLease()
    accelerator.acquire("training", 1)
    accelerator.release("training")
    accelerator.release("training")
    assert accelerator.holders() == []


def test_what_is_only_kept_goes_as_soon_as_somebody_asks_and_holds_nobody_up():
    accelerator, gone = DeviceLease(), []
    accelerator.keep("spare", lambda: gone.append("spare"))
    assert accelerator.holders() == []
    assert accelerator.acquire("training", 1) == [] and gone == ["spare"]
    accelerator.acquire("chat", 1)
    assert gone == ["spare"]

"""Who holds the accelerator, and what happens when two want it."""

import pytest

from studio.accelerator import Accelerator, free_bytes
from studio.interface.language import Problem


def test_what_fits_stays_side_by_side():
    accelerator = Accelerator()
    accelerator.hold("chat", 1000, put_away=lambda: pytest.fail("put away for nothing"))
    assert accelerator.hold("training", 1000) == []
    assert [holder.who for holder in accelerator.holders()] == ["chat", "training"]


def test_one_who_can_be_put_away_makes_room_and_is_named():
    accelerator, gone = Accelerator(), []
    accelerator.hold("chat", 1000, put_away=lambda: gone.append("chat"))
    with pytest.raises(Problem) as told:
        accelerator.hold("training", free_bytes() * 2)
        accelerator.hold("export", free_bytes() * 2)
    assert gone == ["chat"]
    assert "training" in str(told.value)


def test_giving_back_frees_it():
    accelerator = Accelerator()
    accelerator.hold("training", 1)
    accelerator.release("training")
    accelerator.release("training")
    assert accelerator.holders() == []

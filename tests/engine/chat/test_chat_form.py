"""The fields below the columns of the chat are those that a conversation is made of, and shown from."""

from dataclasses import fields

import pytest

from studio.chat.page import tab_talk
from studio.chat.page.schemas import SamplingOptions, SamplingResult
from studio.core.i18n import Problem
from studio.inference.sampling import Sampling

GIVEN = ("You are a fox.", "", 0, False, 0.5, 0.8, 40, 64, 3)


def test_what_stands_in_the_fields_is_what_a_conversation_gets():
    made = tab_talk._fields(GIVEN)
    assert made["system"] == "You are a fox." and made["bits"] is None
    numbers = dict(zip(tab_talk.NUMBERS, GIVEN[-len(tab_talk.NUMBERS) :], strict=True))
    assert numbers.items() <= made["settings"].items()


def test_the_numbers_are_the_last_fields_in_their_order_and_settings_of_the_sampling():
    names = [one.name for one in fields(tab_talk.Settings)]
    assert tuple(names[-len(tab_talk.NUMBERS) :]) == tab_talk.NUMBERS
    assert set(tab_talk.NUMBERS) <= {one.name for one in fields(Sampling)}


def test_what_a_conversation_is_told_to_have_can_be_given_to_another():
    assert SamplingResult.model_fields.keys() == SamplingOptions.model_fields.keys()
    assert SamplingResult.model_fields.keys() <= {one.name for one in fields(Sampling)}


@pytest.mark.parametrize("empty", range(len(GIVEN) - len(tab_talk.NUMBERS), len(GIVEN)))
def test_a_number_that_is_empty_is_told(empty):
    with pytest.raises(Problem) as told:
        tab_talk._fields(tuple(None if place == empty else value for place, value in enumerate(GIVEN)))
    assert told.value.key == "chat.bad_sampling"

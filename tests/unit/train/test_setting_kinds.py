"""A value that a setting cannot take is told in words, and not by the name of a type."""

import pytest
from conftest import is_sentence

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.train.recipe.arguments import KINDS, Argument


@pytest.mark.parametrize(("kind", "en", "zh"), [("int", "a whole number", "整数"), ("float", "a number", "数字")])
def test_what_it_takes_is_told(kind, en, zh):
    with pytest.raises(Problem) as refused:
        Argument("lora_rank", kind, (), 8, "", "lora").take("x")
    for language, told in (("en", en), ("zh", zh)):
        sentence = Words(language).tell(refused.value)
        assert told in sentence and f" {kind}" not in sentence and is_sentence(sentence)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_has_its_words(language):
    assert (
        len(
            {Words(language).tell(Problem("train.bad_value", field="a", value=1, wanted=one)) for one in KINDS.values()}
        )
        == 4
    )

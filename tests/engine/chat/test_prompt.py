"""Prompts of the chat against LLaMA-Factory's own: its chat engine, and what its training makes of a dataset's row."""

from functools import cache

import pytest
from conftest import one_in
from starter_tokenizer import new_tokenizer

from studio.core.i18n import Problem
from studio.inference.local.prompt_encoding import PromptEncoder

TALK = [
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "I am Xiaoju."},
    {"role": "user", "content": "你好 👋\n\n  再说一遍"},
]
CASES = {
    "one turn": (TALK[:1], None),
    "many turns": (TALK, None),
    "system prompt": (TALK, "Answer in one word. 请简短。"),
    "blank": ([{"role": "user", "content": ""}], None),
}


@cache
def _tokenizer(template: str = "chatml", whose: str = "the studio"):
    """Return the starter's tokenizer: one for each template, which changes it, and for each side of a comparison."""
    return new_tokenizer()


def _engine_ids(template: str, messages: list[dict], system: str | None, **arguments) -> tuple[list[int], list[int]]:
    from llamafactory.chat.hf_engine import HuggingfaceEngine
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, GeneratingArguments

    class Model:
        device, config = "cpu", None

    tokenizer = _tokenizer(template, "LLaMA-Factory")
    form = get_template_and_fix_tokenizer(tokenizer, DataArguments(template=template, **arguments))
    said = [dict(message) for message in messages]
    made, _ = HuggingfaceEngine._process_args(
        Model, tokenizer, None, form, GeneratingArguments().to_dict(), said, system
    )
    return made["inputs"][0].tolist(), made["generation_config"].eos_token_id


@pytest.mark.parametrize("template", one_in(2, ["chatml", "alpaca", "default", "qwen3", "empty", "mistral"]))
@pytest.mark.parametrize("case", CASES)
def test_prompt_is_that_of_llamafactorys_engine(template, case):
    messages, system = CASES[case]
    encoder = PromptEncoder(_tokenizer(template), template)
    ids, stops = _engine_ids(template, messages, system)
    assert encoder.encode(messages, system) == ids
    assert encoder.stop_ids == set(stops)


@pytest.mark.parametrize("thinking", [True, False])
def test_reasoning_is_encoded_as_the_recipe_says(thinking):
    encoder = PromptEncoder(_tokenizer("qwen3"), "qwen3", thinking=thinking)
    assert encoder.encode(TALK) == _engine_ids("qwen3", TALK, None, enable_thinking=thinking)[0]


@pytest.mark.parametrize("template", ["chatml", "qwen3"])
def test_prompt_is_what_training_puts_before_the_answer(template):
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from llamafactory.hparams import DataArguments

    tokenizer = _tokenizer(template, "LLaMA-Factory")
    arguments = DataArguments(template=template, enable_thinking=False)
    processor = SupervisedDatasetProcessor(
        get_template_and_fix_tokenizer(tokenizer, arguments), tokenizer, None, arguments
    )
    answer = [{"role": "assistant", "content": "I am Xiaoju."}]
    ids, labels = processor._encode_data_example(TALK[:1], answer, "Be brief.", None, [], [], [])
    trained_from = next(place for place, label in enumerate(labels) if label != -100)
    assert (
        PromptEncoder(_tokenizer(template), template, thinking=False).encode(TALK[:1], "Be brief.")
        == ids[:trained_from]
    )


def test_a_run_that_changes_a_template_does_not_change_the_chat():
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import DataArguments

    before = PromptEncoder(_tokenizer(), "chatml").encode(TALK)
    shipped = TEMPLATES["chatml"].default_system
    try:
        get_template_and_fix_tokenizer(
            _tokenizer("chatml", "a run"), DataArguments(template="chatml", default_system="You are a run.")
        )
        assert PromptEncoder(_tokenizer(), "chatml").encode(TALK) == before
    finally:
        TEMPLATES["chatml"].default_system = shipped
    as_the_run = PromptEncoder(_tokenizer(), "chatml", default_system="You are a run.")
    assert as_the_run.encode(TALK) == PromptEncoder(_tokenizer(), "chatml").encode(TALK, "You are a run.")
    assert PromptEncoder(_tokenizer(), "chatml").encode(TALK) == before
    assert TEMPLATES["chatml"].default_system == shipped


def test_a_first_system_message_is_the_system_prompt():
    encoder = PromptEncoder(_tokenizer(), "chatml")
    assert encoder.encode([{"role": "system", "content": "Be brief."}, *TALK]) == encoder.encode(TALK, "Be brief.")


@pytest.mark.parametrize(
    "messages, key",
    [
        ([], "chat.no_question"),
        (TALK[:2], "chat.no_question"),
        ([TALK[1]], "chat.bad_message"),
        ([{"role": "user", "content": None}], "chat.bad_message"),
        ([TALK[0], TALK[0], TALK[0]], "chat.bad_message"),
    ],
)
def test_what_is_no_question_is_refused(messages, key):
    with pytest.raises(Problem) as caught:
        PromptEncoder(_tokenizer(), "chatml").encode(messages)
    assert caught.value.key == key
    assert str(caught.value)


def test_an_unknown_template_is_refused():
    with pytest.raises(Problem, match="no-such-template"):
        PromptEncoder(_tokenizer(), "no-such-template")

"""Every template of LLaMA-Factory as Jinja, rendered by transformers, beside training's own encoding."""

from functools import cache

import pytest
import shipped_templates
from hypothesis import example, given
from hypothesis import strategies as st
from shipped_templates import NUMBERS, template_name

from studio.export.templates import training
from studio.export.templates.cases import CASES, Case
from studio.export.templates.jinja import jinja_template
from studio.export.templates.parity import Refused, parity, stop_texts
from studio.export.templates.renderers import JinjaForm
from studio.export.templates.slots import SpecialTokens, slots_of
from studio.models.chat_template_match.template_match import shipped


def made(name: str, **changed):
    """Return a template, a tokenizer for it, and its Jinja form."""
    template, tokenizer, tokens = (
        shipped_templates.changed(name, **changed) if changed else shipped_templates.made(name)
    )
    jinja = jinja_template(template, tokens)
    return template, tokenizer, JinjaForm(jinja.text, frozenset(jinja.cannot), stop_texts(template, tokens))


def test_all_templates_are_there():
    assert len(shipped()) == len(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_template_is_token_identical_to_training(number):
    name = template_name(number)
    template, tokenizer, form = made(name)
    compared = parity(template, tokenizer, [form])
    assert len(compared) == len(CASES)
    # The text is always the same. A seam: training encodes message by message, a prompt is encoded whole.
    assert [one for one in compared if one.same is False and one.difference.kind != "seam"] == []
    assert all(one.same is False for one in compared if one.difference)
    # What is not compared is what training cannot take either, or what only a reasoning model's template has.
    told = {name for one in compared for name in one.cannot}
    assert told <= {"thoughts", "images", "training", "several_calls", "calls_as_text", "text_beside_calls"}


CHANGED = {
    "not_thinking": ("qwen3", {"enable_thinking": False}),
    "thinking_left_open": ("qwen3", {"enable_thinking": None}),
    "thoughts_kept": ("glm4_7", {"preserve_thinking": True}),
    "own_system": ("llama2", {"default_system": "It's \\d {{ mine }}\n{% x %}"}),
}


@pytest.mark.parametrize(("name", "changed"), CHANGED.values(), ids=CHANGED)
def test_what_a_recipe_changes_of_a_template_counts(name, changed):
    template, tokenizer, form = made(name, **changed)
    compared = parity(template, tokenizer, [form])
    assert [one for one in compared if one.same is False and one.difference.kind != "seam"] == []


def test_earlier_answers_are_as_training_with_masked_history_has_them():
    """`mask_history` encodes what `encode_oneturn` does, which the page and this template ask with."""
    template, tokenizer, form = made("qwen3")
    case = next(case for case in CASES if case.name == "thoughts_answered")
    _, turns = training.training_messages(template, case.messages)
    pairs = template.encode_multiturn(tokenizer, turns, None, None, discarding_history_cot=True)
    assert tokenizer.encode(form.render(case), add_special_tokens=False) == sum((one + two for one, two in pairs), [])


PIECES = st.lists(st.sampled_from(["<think>\n", "\n</think>\n\n", "<think>", "\n", "a", "</think>", "|"]), max_size=9)


@given(PIECES)
@example(["<think>\n", "<think>", "\n</think>\n\n"])  # the end of a beginning is the beginning of an end
def test_a_thought_is_taken_away_as_training_takes_it_away(pieces):
    """Thoughts that stand in the text, whole or torn, are what LLaMA-Factory's regular expression says they are."""
    template, tokenizer, form = thinker()
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "".join(pieces)}]
    case = Case("torn", [*messages, {"role": "user", "content": "y"}])
    assert form.render(case) == training.encode(template, tokenizer, case.messages).text


@cache
def thinker():
    return made("qwen3")


@pytest.mark.parametrize("name", ["qwen3", "llama3", "default", "gemma", "glm4"])
def test_no_answer_is_opened_where_none_is_asked_for(name):
    from transformers.utils.chat_template_utils import render_jinja_template

    _, _, form = made(name)
    asked, plain = (
        render_jinja_template(
            [[{"role": "user", "content": "Hi"}]], chat_template=form.text, add_generation_prompt=asks
        )[0][0]
        for asks in (True, False)
    )
    assert asked.startswith(plain) and asked != plain and plain.find("Hi") > 0


def test_the_result_of_a_tool_is_closed_where_no_answer_is_asked_for():
    case = next(case for case in CASES if case.name == "call")
    closed = Case("closed", [*case.messages, {"role": "assistant", "content": "ok"}])
    for name, end in (
        ("qwen3", "\n</tool_response><|im_end|>\n"),
        ("llama3", "<|eot_id|>"),
        ("granite4", "<|end_of_text|>\n"),
    ):
        template, _, form = made(name)
        assert slots_of(template, SpecialTokens("<s>", "</s>")).observation.after == end
        assert end in form.render(closed)


REFUSED = {
    "sound": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}],
    "late_image": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
    "role": [{"role": "user", "content": "a"}, {"role": "critic", "content": "b"}],
    "late_system": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
}


@pytest.mark.parametrize("messages", REFUSED.values(), ids=REFUSED)
def test_what_training_has_no_place_for_is_refused_and_not_dropped(messages):
    _, _, form = made("qwen3")
    with pytest.raises(Refused, match="This chat template"):
        form.render(Case("refused", messages))


def test_calls_that_training_cannot_write_are_refused():
    cases = {case.name: case for case in CASES}
    for name, case in (("glm4", "several_calls"), ("mistral", "text_beside_call"), ("qwen3_5", "call_as_text")):
        with pytest.raises(Refused):
            made(name)[2].render(cases[case])


# By LLaMA-Factory 0.9.5's table of plugins; the others need their model's processor, which names the tokens around.
SEEING = {
    "qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "glm4v": "<|begin_of_image|><|image|><|end_of_image|>",
    "llava": "<image>",
    "llama4": "<|image|>",
    "pixtral": "[IMG]",
    "paligemma": "",
}


@pytest.mark.parametrize(("name", "text"), SEEING.items())
def test_an_image_stands_in_the_prompt_as_the_plugin_writes_it(name, text):
    template, tokenizer, form = made(name)
    assert "images" not in form.cannot
    (one,) = parity(template, tokenizer, [form], [case for case in CASES if case.name == "images"])
    assert one.same or one.difference.kind == "seam"
    shown = form.render(Case("image", [{"role": "user", "content": [{"type": "image_url"}, {"text": "What?"}]}]))
    assert text + "What?" in shown


def test_tokens_of_an_image_are_never_made_up():
    for name in ("gemma3", "gemma4", "kimi_vl", "intern_vl", "qwen2_omni", "ernie_vl"):
        assert "images" in made(name)[2].cannot

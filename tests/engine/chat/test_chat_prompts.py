"""`chat_prompts`: what went into each column, token by token, as the page's view shows it, of the real small model."""

import json

import pytest
import yaml
from conftest import STARTER
from endpoint_calls import by_name, closing_studio, refused

from studio.train import runs

BASE, GONE = STARTER.name, "served:nobody/none"
QUESTION = "Say ‘fox’ in Japanese: 狐 🦊"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("prompts"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(STARTER)


@pytest.fixture(scope="module")
def run_with(studio):
    """A function that makes a run which was trained with a template."""

    def make(template: str) -> str:
        workspace = studio.workspace
        run = runs.make(workspace, BASE, "lora", template)
        recipe = {"model_name_or_path": str(workspace.models / BASE), "finetuning_type": "lora", "template": template}
        run.recipe_file.write_text(yaml.safe_dump({"stage": "sft", "dataset": "identity_en", **recipe}))
        config = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": str(workspace.models / BASE)}
        (run.folder / "adapter_config.json").write_text(json.dumps(config))
        (run.folder / "adapter_model.safetensors").write_bytes(b"")
        run.say("state", state="finished")
        return run.name

    return make


def asked(studio, *columns: str, question: str = QUESTION, **more) -> str:
    """Return a conversation in which a question was just asked of these columns, and nobody has answered."""
    conversations = studio.chat.turns.conversations
    made = conversations.new(list(columns), **more)
    with conversations.change(made.id) as changed:
        for name in columns:
            changed.messages[name] = [{"role": "user", "content": question, "turn": 1}]
    return made.id


def test_the_tokens_are_those_of_the_template_and_each_has_its_text(studio, call, tokenizer, run_with):
    same, other = run_with("smollm2"), run_with("alpaca")
    prompts = call.chat_prompts(asked(studio, BASE, same, other, GONE, system="Be brief."))
    assert [one["name"] for one in prompts] == [BASE, same, other, GONE]
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    ids = tokenizer.apply_chat_template(own, add_generation_prompt=True, return_dict=False)
    for one in prompts[:2]:
        assert [token["id"] for token in one["tokens"]] == ids
    for one in prompts[:3]:
        assert "".join(token["text"] for token in one["tokens"]) == tokenizer.decode(
            [token["id"] for token in one["tokens"]]
        )
        assert all(token["special"] == (token["id"] in tokenizer.all_special_ids) for token in one["tokens"])
    parities = [(one["parity"], one["first_difference"]) for one in prompts]
    first, third = ([token["id"] for token in prompts[number]["tokens"]] for number in (0, 2))
    place = parities[2][1]
    assert parities == [(None, None), ("same", None), ("differs", place), (None, None)]
    assert first[:place] == third[:place] and first[place] != third[place]
    assert [bool(one["fault"]) for one in prompts] == [False, False, False, True]
    assert prompts[3]["tokens"] == [] and "nobody" in prompts[3]["fault"]


def test_a_prompt_that_is_the_beginning_of_another_is_told_as_that(studio, call, run_with):
    long, short = run_with("empty"), run_with("empty")
    talk = asked(studio, long, short)
    with studio.chat.turns.conversations.change(talk) as changed:
        changed.messages[long][0]["content"] += " and a hare"
    _, other = call.chat_prompts(talk)
    assert (other["parity"], other["first_difference"]) == ("ends_before", len(other["tokens"]))


def test_what_was_never_asked_has_no_prompt_and_hidden_names_hide_theirs(studio, call):
    conversations = studio.chat.turns.conversations
    assert call.chat_prompts(conversations.new([BASE]).id) == []
    refused(call.chat_prompts, asked(studio, BASE, "x", blind=True))
    refused(call.chat_prompts, "20000101-000000-abcdef")

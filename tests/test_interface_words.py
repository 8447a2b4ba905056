"""Every word on the page comes from the word files, and both languages have them all."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

from studio.core.i18n import FOLDER, LANGUAGES, Problem, Words, sentences

STUDIO = Path(__file__).parents[1] / "studio"
SHOWN = {"label", "info", "placeholder", "title"}


def facts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_no_language_lacks_a_sentence_and_facts_are_the_same():
    english, chinese = sentences("en"), sentences("zh")
    assert english.keys() == chinese.keys()
    assert {key for key in english if facts(english[key]) != facts(chinese[key])} == set()


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


def calls(tree: ast.AST):
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


@pytest.mark.parametrize("path", sorted(STUDIO.rglob("*.py")), ids=lambda path: str(path.relative_to(STUDIO)))
def test_every_key_in_the_code_exists_and_no_label_is_written_there(path):
    tree, english = ast.parse(path.read_text(encoding="utf-8")), sentences("en")
    for call in calls(tree):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        first = call.args[0] if call.args else None
        if name in ("words", "Problem") and isinstance(first, ast.Constant):
            assert first.value in english, f"{path.name}:{call.lineno}: {first.value}"
        if path.name in ("tab.py", "app.py"):
            for keyword in call.keywords:
                written = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
                assert not (keyword.arg in SHOWN and written), f"{path.name}:{call.lineno}: {keyword.value.value}"
            if name in ("Tab", "Button", "Accordion", "Markdown"):
                assert not isinstance(first, ast.Constant), f"{path.name}:{call.lineno}: {first.value}"


def beginnings(code: str) -> set[str]:
    """Return the beginnings of keys that the code builds: "train.state_" of `"train.state_" + state` or of an f-string."""
    return set(re.findall(r"""["'](\w+\.\w+_)(?:\{|["'] \+)""", code))


def test_every_sentence_is_used():
    code = "\n".join(path.read_text(encoding="utf-8") for path in [*STUDIO.rglob("*.py"), STUDIO.parent / "launch.py"])
    built = tuple(beginnings(code))
    built += ("arguments.",)  # named by LLaMA-Factory; tests/test_train_arguments.py holds them against its names
    unused = [
        key
        for key in sentences("en")
        if f'"{key}"' not in code
        and not key.startswith(built)
        and not re.search(rf"\b{key.split('.')[1].removesuffix('_info')}\b", code)
    ]
    assert unused == []


def test_word_files_are_flat():
    for path in FOLDER.rglob("*.json"):
        assert all(isinstance(value, str) for value in json.loads(path.read_text(encoding="utf-8")).values()), path


def test_a_problem_is_told_in_both_languages():
    problem = Problem("workspace.bad_name", name="..")
    assert "cannot be used" in str(problem)
    assert "不能用作名称" in Words("zh").tell(problem)

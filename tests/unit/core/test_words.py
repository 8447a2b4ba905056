"""Every word on the page comes from the word files, and both languages have them all."""

import ast
import json
import re
import string

import pytest
from conftest import ROOT

from studio.core.i18n import FOLDER, LANGUAGES, Problem, Words, sentences

STUDIO = ROOT / "studio"
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


def test_chinese_has_one_name_for_the_studio():
    for key, text in sentences("zh").items():
        names = re.findall(r"(?<![\w./-])[Ss]tudio(?![\w./=-])|本工具|本程序|本软件", text)
        assert not names or key == "train.identity_author_default", (key, text)  # the author of the English example


# A key that no code writes out is put together from a beginning, a part and perhaps an end: `f"settings.{name}_info"`.
# These are put together otherwise: the settings by LLaMA-Factory's own names (a test of the settings holds them against
# them), a fault of an environment by the part of the words that has it, a method by its name and its bits.
NAMED_ELSEWHERE = ("arguments.", "environments.pip_failed", "environments.check_failed", "models.method_q")


def pieces(node: ast.expr) -> list[str | None]:
    """Return the texts of an f-string or a sum of strings in their order, None for what is known when it runs."""
    if isinstance(node, ast.JoinedStr):
        return [one.value if isinstance(one, ast.Constant) else None for one in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return pieces(node.left) + pieces(node.right)
    return [node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None]


class Said:
    """What the code says: whole texts, names of fields, and the beginnings and ends of texts that it puts together."""

    def __init__(self, python: list[str], pages: list[str]):
        self.texts: set[str] = set()
        self.joined: set[tuple[str, str]] = set()
        for code in python:
            for node in ast.walk(ast.parse(code)):
                self._see(node)
        for page in pages:  # templates and scripts: `t("guard.title")`, `t("train.stage_" ~ stage)`
            self.texts.update(re.findall(r"""["']([\w./-]+)["']""", page))
            self.joined.update((start, "") for start in re.findall(r"""["']([\w./-]+)["']\s*[~+]""", page))

    def _see(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
            self.texts.add(str(node.value).replace("-", "_"))
        elif isinstance(node, ast.keyword) and node.arg:
            self.texts.add(node.arg)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self.texts.add(node.target.id)
        elif isinstance(node, ast.JoinedStr | ast.BinOp):
            found = pieces(node)
            if None in found and found[0]:
                self.joined.add((found[0], found[-1] or ""))

    def has(self, text: str, joins: int = 3) -> bool:
        """Tell whether the code says a text, whole or put together of parts that it says."""
        return text in self.texts or (
            joins > 0
            and any(
                text.startswith(start)
                and text.endswith(end)
                and len(text) > len(start + end)
                and self.has(text[len(start) : len(text) - len(end)], joins - 1)
                for start, end in self.joined
            )
        )


def unused(python: list[str], pages: list[str]) -> list[str]:
    """Return the keys of the sentences that neither the code nor a template or script of the page says."""
    said = Said(python, pages)
    return [key for key in sentences("en") if not key.startswith(NAMED_ELSEWHERE) and not said.has(key)]


def test_every_sentence_is_used():
    python = [path.read_text(encoding="utf-8") for path in [*STUDIO.rglob("*.py"), STUDIO.parent / "launch.py"]]
    pages = [path.read_text(encoding="utf-8") for end in ("html", "js") for path in STUDIO.rglob(f"*.{end}")]
    assert unused(python, pages) == []


def test_a_sentence_that_nobody_says_is_found():
    """The search finds what is unused: a word of its name elsewhere in the code does not count, a comment neither."""
    assert unused([], []) and "train.start" in unused(["start = 1  # train.start\ndef start(): pass"], [])
    assert "train.start" not in unused(["words('train.start')"], [])
    assert "train.start" not in unused([], ["{{ t('train.start') }}"])
    built = "words(f'settings.{state}_info')"
    assert "settings.template_info" in unused([built], []) and "settings.template" in unused(
        [built + "\n'template'"], []
    )
    assert "settings.template_info" not in unused([built, "'template'"], [])
    assert "train.state_queued" not in unused(["words('train.' + state)", "f'state_{of}'", "of = 'queued'"], [])


def test_word_files_are_flat():
    for path in FOLDER.rglob("*.json"):
        assert all(isinstance(value, str) for value in json.loads(path.read_text(encoding="utf-8")).values()), path


def test_a_problem_is_told_in_both_languages():
    problem = Problem("workspace.bad_name", name="..")
    assert "cannot be used" in str(problem)
    assert "不能用作名称" in Words("zh").tell(problem)

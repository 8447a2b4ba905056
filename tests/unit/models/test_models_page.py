"""What the Models tab shows, as contexts: looked at without any HTML."""

from pathlib import Path

import pytest

from studio.core.i18n import LANGUAGES, Words
from studio.models.library.library import Model
from studio.models.memory.fit import Advice, MemoryUse
from studio.models.page.disk import inside, memory_fit, model_list, own_code
from studio.models.page.disk.template_comparison import Piece, pieces
from studio.web.html import render, ui

MARKUP = "\"'><img src=x onerror=alert(1)>"


def test_what_only_one_prompt_has_is_marked_but_not_where_both_are_cut_off():
    assert pieces("<s>[INST] hello", "<s>[INST] <<SYS>> hello") == [Piece("<s>[INST] ", False), Piece("hello", False)]
    assert Piece("<<SYS>> ", True) in pieces("<s>[INST] <<SYS>> hello", "<s>[INST] hello")
    assert pieces("abcdef", "abcde")[-1] == Piece("f", False)


def test_of_prompts_that_have_little_in_common_nothing_is_marked():
    assert pieces("abc xyz", "###123") == [Piece("abc xyz", False)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_of_markup_is_text(language):
    html = render("models/page/disk/model_list.html", Words(language), _list_of(MARKUP))
    assert "<img" not in html and "&lt;img" in html


def _list_of(name: str) -> model_list.ModelListContext:
    row = model_list.model_row(Model(name, Path("/m"), None, "BF16", 10), name)
    return model_list.ModelListContext([row], True, [model_list.FolderRow(name, True)])


def test_a_row_says_what_is_known_and_leaves_out_what_is_not(tmp_path):
    assert model_list.model_row(Model("m", tmp_path, None, "BF16", 10), None).facts == "BF16"
    row = model_list.model_row(Model("m", tmp_path, 135_000_000, "BF16", 10), "llama3")
    assert (row.facts, row.state) == ("135M · BF16 · llama3", "finished")


def test_bars_are_shares_of_the_widest_and_name_the_change():
    use = MemoryUse("lora", 4, 30, False, {"weights": 20, "gradients": 0, "optimizer": 10}, Advice("k", {}, 1, True))
    row = memory_fit._row(use, 40)
    assert row.method == "qlora4" and row.advice.key == "k"
    assert [(part.name, part.share) for part in row.parts] == [("weights", 0.5), ("optimizer", 0.25)]


def test_long_values_of_a_config_are_cut():
    assert inside._value({"a": 1}) == '{"a": 1}'
    assert len(inside._value("x" * 1000)) == inside.SHOWN_CHARACTERS + len(" …")


def test_a_file_of_code_is_read_as_far_as_a_page_can_show_it(tmp_path):
    file = tmp_path / "modeling.py"
    file.write_text("x" * (own_code.SHOWN_BYTES + 5))
    assert own_code.read_text(file).is_cut and len(own_code.read_text(file).text) == own_code.SHOWN_BYTES
    file.write_bytes(b"a\0b")
    assert own_code.read_text(file).problem.key == "models.code_binary"
    assert own_code.read_text(tmp_path / "gone.py").problem.key == "trust.unreadable"


def test_line_ends_and_tabs_of_a_prompt_are_seen():
    assert str(ui("en").visible("<s>\n\tx\n")) == "&lt;s&gt;<i>↵</i><i>⇥</i>x<i>↵</i>"

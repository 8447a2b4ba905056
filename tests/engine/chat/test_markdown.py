"""What a model wrote, as safe HTML: Markdown, code, formulas, reasoning, and a text that grows."""

import re
from html.parser import HTMLParser

import pytest

from studio.chat.render import blocks, markdown
from studio.chat.render.markdown import Growing, render
from studio.core.i18n import Words

WORDS = Words("en")
TEXTS = {
    "plain": "Hello\nthere.\n\nA second paragraph, *soft* and **strong**.",
    "list": "Steps:\n\n1. one\n\n2. two\n   - inner\n\n     more of inner\n\n3. three\n\nAfter.\n- tight\n- list\n",
    "code": 'Look:\n```python\ndef f(x):\n\n    return "<b>"\n```\nand `inline`.\n\n~~~\nplain\n\n```\nstill\n~~~\nend',
    "open code": "Here:\n\n```js\nconst a = 1;\n\nlet b",
    "code in a list": "- first\n\n  ```sh\n  ls\n\n  cd ..\n  ```\n- second\n\nend",
    "table": "| a | b |\n|---|:-:|\n| 1 | `x|y` |\n\ntext\n\n> quoted\n\n> again\n",
    "chinese": (
        "**重点：**内容，见《手册》第 3 节。\n\n- 第一项：好\n- 第二项：👩‍👩‍👧‍👦 和 🏳️‍🌈\n\n公式 $x^2$，价格 $5。\n"
    ),
    "maths": (
        "So\n\\[\na\n- b\n=\nc\n\\]\nthen $$x_1$$ and \\(y\\).\n\n$$\n\\begin{aligned}a&=b\\\\c&=d\\end{aligned}\n$$\n"
    ),
    "reasoning": "<think>\nFirst I think.\n\n- a\n- b\n</think>\n\nThe answer is **4**.",
    "no opening mark": "I think so.\n</think>\n\nYes.",
    "unfinished reasoning": "<think>Hmm, wait",
    "html": "<div onclick='x'>raw</div>\n\n<!-- a -->\n\n&lt;b&gt; &amp; <script>alert(1)</script>\n",
    "heading": "# One\nTwo\n---\n\nThree\n===\n* * *\nfour\r\n\r\nfive\r\n",
    "indented": "a\n\n    code\n\n    more code\n\nb\n\n\tc\n",
    "marks": '***\n\n__a__ ~~b~~ [c](https://d.e/f?g="h") <https://i.j> [k]: l\n\n[m][1]\n\n[1]: https://n.o\n',
}


class ColumnPrompt(HTMLParser):
    """What stands in a piece of HTML: tags with attributes, and whether all that is opened is closed in order."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(str(html))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_cut_at_every_place_is_drawn_as_the_whole_is(name):
    text = TEXTS[name]
    growing = Growing(WORDS)
    for end in range(len(text) + 1):
        html = growing.html(text[:end])
        assert html == render(WORDS, text[:end])
        assert ColumnPrompt(html).open == []


@pytest.mark.parametrize("longest", (40, 100))
@pytest.mark.parametrize("name", TEXTS)
def test_it_is_so_too_where_blocks_are_cut_for_their_length(monkeypatch, longest, name):
    monkeypatch.setattr(blocks, "LONGEST", longest)
    text = TEXTS[name] * 3
    growing = Growing(WORDS)
    assert all(growing.html(text[:end]) == render(WORDS, text[:end]) for end in range(len(text) + 1))


@pytest.mark.parametrize(
    "name", [name for name in TEXTS if name not in ("reasoning", "no opening mark", "unfinished reasoning")]
)
def test_drawing_by_blocks_is_drawing_the_whole(name):
    def whole(text):
        return markdown._markdown().render(text, {"words": WORDS, "complete": True})

    html = render(WORDS, TEXTS[name]).removeprefix('<div class="written">').removesuffix("</div>")
    assert html == whole(TEXTS[name])


def test_a_text_that_is_another_is_drawn_from_its_beginning():
    growing = Growing(WORDS)
    growing.html("one\n\ntwo\n\nthree")
    assert growing.html("one\n\n2") == render(WORDS, "one\n\n2")


@pytest.mark.parametrize(
    "piece", ["word **bold** `x` ", "字，", "x", "- item\n", "| a | b |\n", "x = 1\n", "para\n\n", "1. a\n\n   b\n\n"]
)
def test_the_last_block_stays_small_however_long_the_answer(piece):
    begin = {"| a | b |\n": "|h|i|\n|-|-|\n", "x = 1\n": "```py\n"}.get(piece, "")
    text, growing, drawn = begin + piece * (400_000 // len(piece)), Growing(WORDS), []
    growing._visible._draw = lambda block, complete: drawn.append(len(block)) or ""
    growing.html(text)
    assert max(drawn) <= blocks.LONGEST
    drawn.clear()
    growing.html(text + piece)
    assert sum(drawn) <= 2 * blocks.LONGEST


def test_a_long_table_keeps_its_head_and_long_code_stays_code():
    table = render(WORDS, "|h|i|\n|-|-|\n" + "|a|b|\n" * 3000)
    assert table.count("<th>h</th>") == table.count("<table>") > 1 and table.count("<td>a</td>") == 3000
    code = ColumnPrompt(render(WORDS, "```py\n" + "# *x*\n\n" * 3000 + "```\n"))
    assert "em" not in [tag for tag, _ in code.tags] and code.text.count("# *x*") == 3000


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](data:text/html;base64,xx)",
        "[a](//b.c/d)",
        "![a](https://evil.example/pixel.png)",
        "[![a](https://b.c/d.png)](https://e.f)",
        '<https://a.b/"onclick=alert(1)>',
        '```"><script>\nx\n```',
        r"$\text{<img src=x>}^2$",
        r"\(\href{javascript:alert(1)}{x}\)",
        r"\(\style{background:url(https://a.b)}{x}\)",
        r'\(\class{"><script>}{y}\)',
        r'\(\color{red" onclick="alert(1)}{y}\)',
        r"$$\text{</mtext></math><script>alert(1)</script>}$$",
        "<think><script>alert(1)</script>",
        '[a](https://b.c "><script>")',
        "[a]: javascript:alert(1)\n\n[a]",
        "<style>@import 'https://a.b'</style>",
    ],
)
def test_nothing_runs_and_nothing_is_loaded(evil):
    seen = ColumnPrompt(render(WORDS, evil))
    for tag, attributes in seen.tags:
        assert tag not in ("script", "img", "style", "iframe", "object", "link", "svg")
        assert not {"src", "style", "srcset", "background"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        if "href" in attributes:
            assert tag == "a" and re.match("(https?://|mailto:)", attributes["href"])
            assert attributes["target"] == "_blank" and "noopener" in attributes["rel"]


def test_a_picture_is_a_link_with_its_text():
    html = render(WORDS, "![a cat](https://a.b/cat.png) ![](https://a.b/c.png)")
    assert '<a class="picture" href="https://a.b/cat.png"' in html and ">a cat</a>" in html and ">Picture</a>" in html


def test_code_is_coloured_by_classes_and_can_be_copied():
    html = render(WORDS, "```python\nreturn 1\n```")
    assert '<span class="k">return</span>' in html and "data-copy-code" in html and "color" not in html
    assert ColumnPrompt(render(WORDS, "```no-such-language\na < b\n```")).text.endswith("a < b\n\n")


@pytest.mark.parametrize(
    "maths",
    [
        "$x$",
        "$x^2$",
        r"$\alpha$",
        "$a=b$",
        "$f(x)$",
        r"\(x\)",
        r"\[x\]",
        "$$x$$",
        "$$\nx\n$$",
        "式$n+1$中",
        "$-1$",
        "a.\n\\[\nx\n\\]\nb",
    ],
)
def test_formulas_become_mathml(maths):
    tags = [tag for tag, _ in ColumnPrompt(render(WORDS, maths)).tags]
    assert "math" in tags and "code" not in tags


@pytest.mark.parametrize(
    "text",
    [
        "from $5 to $6",
        "$5-$6",
        "costs 5$ or 6$",
        "$HOME/bin:$PATH",
        "US$20, A$30",
        r"\$x^2\$",
        "`$x^2$`",
        "a $ b $ c",
        "```\n$x^2$\n```",
        "$$ is money",
        "$foo and bar$",
    ],
)
def test_what_is_no_formula_stays_text(text):
    seen = ColumnPrompt(render(WORDS, text))
    assert "math" not in [tag for tag, _ in seen.tags] and "$" in seen.text


@pytest.mark.parametrize(
    "latex", [r"\frac{", r"\nosuchcommand{x}", "x_", r"\left( x", "{" * 900, r"\newcommand{\a}{\b\b}\a", r"a & b"]
)
def test_a_formula_that_cannot_be_read_is_shown_as_it_was_written(latex):
    seen = ColumnPrompt(render(WORDS, f"$${latex}$$"))
    assert ("code", {"class": "formula"}) in seen.tags and seen.text.strip() == latex


def test_reasoning_is_folded_and_a_word_about_the_mark_is_none():
    html = render(WORDS, TEXTS["reasoning"])
    folded, said = html.split("</details>")
    assert (
        folded.startswith('<div class="written"><details class="reasoning"><summary>Reasoning</summary>')
        and "First I think" in folded
    )
    assert "<strong>4</strong>" in said and "think" not in said
    assert "details" not in render(WORDS, "Models write `</think>` after it, or <think> before.")
    assert "思考过程" in render(Words("zh"), "<think>嗯</think>好")
    assert "details" not in render(WORDS, "<think>\n\n</think>\n\nYes")


@pytest.mark.parametrize(
    "nasty",
    [
        "[",
        "![",
        "*a ",
        "**a",
        "`",
        "> ",
        "$a",
        "$$",
        r"\[",
        r"\(",
        "<",
        "[a](",
        "~~a",
        "- ",
        "|a",
        "1. a\n",
        "\n",
        "{",
        "_*",
    ],
)
def test_text_full_of_marks_is_drawn_whole_and_well_formed(nasty):
    text = nasty * (30_000 // len(nasty))
    seen = ColumnPrompt(render(WORDS, text))
    assert seen.open == [] and len(seen.text.replace("\n", "")) <= len(text) + len("Copy")

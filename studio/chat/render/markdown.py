"""What a model wrote, as HTML that is safe and asks nothing of any other machine: Markdown, code, formulas, and
reasoning folded away.
"""

import re
from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from studio.chat.render import formula
from studio.chat.render.blocks import next_end
from studio.core.i18n import Words
from studio.inference.reasoning import split_reasoning

_LINKS = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
# Code that is still being written is coloured again at each look, so only while it is short.
_COLOURED_WHILE_OPEN = 4_000
_IS_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]").match
_FORMATTER = HtmlFormatter(nowrap=True)


def render(words: Words, text: str) -> Markup:
    """Return what a model wrote as HTML."""
    return Growing(words).html(text)


class Growing:
    """The HTML of a text that grows: what is complete is drawn once, and only the last block again.

    Its HTML is at any time that of `render`. A text that does not begin as the one before is drawn from its beginning.
    """

    def __init__(self, words: Words):
        self._words = words
        self._reasoning, self._visible = _Blocks(words), _Blocks(words)

    def html(self, text: str) -> Markup:
        """Return `text`, all that was written so far, as HTML."""
        reasoning, visible = split_reasoning(text)
        folded = ""
        if reasoning.strip():
            inside = self._reasoning.html(reasoning)
            folded = (
                f'<details class="reasoning"><summary>{self._words("markdown.reasoning")}</summary>{inside}</details>'
            )
        return Markup(f'<div class="written">{folded}{self._visible.html(visible)}</div>')


class _Blocks:
    """Markdown that grows, block by block."""

    def __init__(self, words: Words):
        self._words = words
        self._start_anew()

    def _start_anew(self) -> None:
        self._text, self._done, self._at, self._carry = "", "", 0, ""

    def html(self, text: str) -> Markup:
        if not text.startswith(self._text):
            self._start_anew()
        self._text = text
        while end := next_end(text, self._at, self._carry):
            self._done += self._draw(text[self._at : end[0]], complete=True)
            self._at, self._carry = end
        return Markup(self._done + self._draw(text[self._at :], complete=False))

    def _draw(self, block: str, complete: bool) -> str:
        if not block.strip():
            return ""
        return _markdown().render(self._carry + block, {"words": self._words, "complete": complete})


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    # The target of a link could follow much later, and change what was drawn long ago.
    reader.disable("reference")
    reader.validateLink = lambda url: bool(_LINKS.match(url))
    formula.plug_in(reader)
    reader.inline.ruler.at("emphasis", _emphasis)
    for name, draw in (("fence", _fence), ("code_block", _fence), ("image", _image), ("link_open", _link_open)):
        reader.add_render_rule(name, draw)
    reader.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return reader


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Read `*` and `_` as CommonMark does, but let `**重点：**内容` be bold: Chinese has no
    blanks around its punctuation.
    """
    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    run = state.scanDelims(state.pos, marker == "*")
    before, after = (
        state.src[state.pos - 1 : state.pos] if state.pos else "",
        state.src[state.pos + run.length : state.pos + run.length + 1],
    )
    opens, closes = run.can_open, run.can_close
    if marker == "*":
        opens = opens or bool(_IS_CJK(before) and after.strip())
        closes = closes or bool(_IS_CJK(after) and before.strip())
    for _ in range(run.length):
        state.push("text", "", 0).content = marker
        state.delimiters.append(Delimiter(ord(marker), run.length, len(state.tokens) - 1, -1, opens, closes))
    state.pos += run.length
    return True


def _fence(self, tokens, at, options, env) -> str:
    token, words = tokens[at], env["words"]
    language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
    closed = token.map[1] - token.map[0] == token.content.count("\n") + 2
    settled = closed or env["complete"] or len(token.content) <= _COLOURED_WHILE_OPEN
    return (
        f'<div class="code"><div class="code-head"><span>{escape(language[:30])}</span><button class="button small"'
        " data-copy-code "
        f'data-done="{escape(words("markdown.copied"))}">{words("markdown.copy")}</button></div>'
        f"<pre><code>{_coloured(token.content, language) if settled else escape(token.content)}</code></pre></div>\n"
    )


def _coloured(code: str, language: str) -> str:
    lexer = _lexer(language.lower())
    if lexer is None:
        return escape(code)
    return highlight(code, lexer, _FORMATTER)


@lru_cache(maxsize=64)
def _lexer(language: str):
    if not re.fullmatch(r"[\w.+#-]{1,30}", language):
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _image(self, tokens, at, options, env) -> str:
    """Draw a picture as a link to it: a page that loaded it would tell its address to another machine."""
    token = tokens[at]
    text = escape(self.renderInlineAsText(token.children, options, env) or env["words"]("markdown.picture"))
    before = [each.type for each in tokens[:at]]
    inside_link = before.count("link_open") > before.count("link_close")
    url = str(token.attrs.get("src", ""))
    if inside_link or not url.lower().startswith(("http://", "https://")):
        return text
    return f'<a class="picture" href="{escape(url)}" target="_blank" rel="noopener noreferrer">{text}</a>'


def _link_open(self, tokens, at, options, env) -> str:
    url = str(tokens[at].attrs.get("href", ""))
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">'

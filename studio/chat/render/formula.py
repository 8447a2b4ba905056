"""Formulas that a model wrote in LaTeX, as MathML: the browser sets it by itself, with no script and no font from
elsewhere.
"""

import re
from html import escape, unescape
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import Converter
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markupsafe import Markup

LONGEST = 5_000
_ELEMENTS = frozenset(
    "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow mspace msqrt mstyle msub"
    " msubsup msup mtable mtd mtext mtr munder munderover none".split()
)
# No colours, no addresses and no styles: a formula may say how it is set, and nothing else.
_ATTRIBUTES = frozenset(
    "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence form height largeop"
    " linebreak linethickness lspace mathvariant maxsize minsize movablelimits notation rowlines rowspacing rspace"
    " scriptlevel separator stretchy symmetric voffset width".split()
)
_PLAIN = re.compile(r"[\w .%+-]{0,80}")
# Environments that the converter does not know, or numbers, set as one that it knows.
_ROWS = re.compile(r"\\(begin|end)\{(?:aligned|align|alignat|eqnarray|split|gathered|gather|multline)\*?\}")
_FRAME = re.compile(r"\\(?:begin|end)\{(?:equation|displaymath|math)\*?\}")
_UNKNOWN = re.compile(r"\\[A-Za-z]|&$")
_PAIRS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
# What stands between two single dollars is maths only if it looks like it: prices and names of variables are far more
# common.
_SURELY = re.compile(r"[\\^_=<>{}+*/|]|^[A-Za-z]{1,2}'*$|^-?\d+(\.\d+)?[A-Za-z]?$|^[A-Za-z]\([A-Za-z0-9, ]+\)$")


def draw(latex: str, display: bool) -> str:
    """Return a formula as MathML, or as code where it cannot be read. `display` sets it on a line of its own."""
    formula = _converted(latex.strip(), display)
    if formula is None:
        return f'<code class="formula">{escape(latex.strip())}</code>'
    return f'<span class="display-formula">{Markup(formula)}</span>' if display else Markup(formula)


def plug_in(markdown: MarkdownIt) -> None:
    r"""Teach a Markdown reader `$$..$$`, `\[..\]`, `\(..\)` and, where it surely is maths, `$..$`."""
    markdown.inline.ruler.before("escape", "formula", _inline)
    markdown.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    markdown.add_render_rule(
        "formula", lambda self, tokens, at, options, env: draw(tokens[at].content, tokens[at].info == "display")
    )
    markdown.add_render_rule("formula_block", _draw_block)


def _converted(latex: str, display: bool) -> str | None:
    # A macro may call others many times over, and a formula has no need of one.
    if not latex or len(latex) > LONGEST or "\\newcommand" in latex:
        return None
    latex = _FRAME.sub("", _ROWS.sub(r"\\\1{align*}", latex))
    try:
        tree = Converter(display="block" if display else "inline").convert_to_element(latex)
    except Exception:  # a model may write anything, and the converter says in a dozen ways that it cannot read it
        return None
    return tostring(tree, encoding="unicode", short_empty_elements=False) if _clean(tree) else None


def _clean(tree: Element) -> bool:
    """Take out of a formula what is not plain MathML; tell whether all of it was understood.

    The converter's own text has its entities still to be read, and passes on what was written in \\text, \\href and
    \\style as it is.
    """
    for element in tree.iter():
        if element.tag not in _ELEMENTS:
            return False
        element.text = unescape(element.text or "")
        if _UNKNOWN.match(element.text):
            return False
        for name, value in list(element.attrib.items()):
            if name not in _ATTRIBUTES or not _PLAIN.fullmatch(value):
                del element.attrib[name]
    return True


def _inline(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    if opening in _PAIRS:
        begin, closing = state.pos + 2, _PAIRS[opening]
        end = state.src.find(closing, begin, begin + LONGEST)
        display = opening != r"\("
    elif opening[:1] == "$":
        begin, closing, end, display = state.pos + 1, "$", _dollar_end(state), False
    else:
        return False
    if end < 0 or not state.src[begin:end].strip():
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.info = state.src[begin:end], "display" if display else ""
    state.pos = end + len(closing)
    return True


def _dollar_end(state: StateInline) -> int:
    """Return where the formula that a single dollar begins here ends, -1 where it begins none (pandoc's rule, and it
    must look like maths).
    """
    source, begin = state.src, state.pos + 1
    before, first = source[state.pos - 1 : state.pos] if state.pos else "", source[begin : begin + 1]
    if not first or first.isspace() or first == "$" or (before.isascii() and before.isalnum()):
        return -1
    end = source.find("$", begin, begin + LONGEST)
    while end > 0 and source[end - 1] == "\\":
        end = source.find("$", end + 1, begin + LONGEST)
    after = source[end + 1 : end + 2]
    if end < 0 or source[end - 1].isspace() or after == "$" or (after.isascii() and after.isalnum()):
        return -1
    inside = source[begin:end]
    return end if "\n" not in inside and "`" not in inside and _SURELY.search(inside) else -1


def _block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """Read a formula that begins a line and fills its lines: in it `- b` is no list and `=` no heading."""
    if state.is_code_block(start):
        return False
    opening, text, end, line = _line(state, start)[:2], "", -1, start
    if opening not in ("$$", r"\["):
        return False
    while end < 0 and line < last and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        text += _line(state, line) + "\n"
        end = text.find(_PAIRS[opening], 2)
        line += 1
    after = text[end + 2 :].strip() if end >= 0 else ""
    # One that is still being written is shown as it stands; a line that only begins with dollars is none.
    if len(after) > 1 or after.isalnum() or (end < 0 and text.split("\n", 1)[0].strip() != opening):
        return False
    if not silent:
        token = state.push("formula_block", "p", 0)
        token.content, token.meta, token.map = (
            text[2:end] if end >= 0 else text,
            {"after": after, "whole": end >= 0},
            [start, line],
        )
        state.line = line
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


def _draw_block(self, tokens, at, options, env) -> str:
    token = tokens[at]
    if not token.meta["whole"]:
        return f'<p><code class="formula">{escape(token.content)}</code></p>\n'
    return f"<p>{draw(token.content, display=True)}{escape(token.meta['after'])}</p>\n"

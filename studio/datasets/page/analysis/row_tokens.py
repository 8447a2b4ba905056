"""One row as the model sees it: its tokens, those that are trained marked."""

from dataclasses import dataclass
from urllib.parse import urlencode

from studio.core.i18n import Problem
from studio.datasets.analysis import DatasetAnalysis, EncodingSettings
from studio.datasets.encoding.encoded_row import Sequence, Token
from studio.datasets.page.analysis.encoding_form import EncodingForm, encoding, parsed, pick

TEMPLATE = "datasets/page/analysis/row_tokens.html"
TOKENS_SHOWN = 4096


@dataclass(frozen=True)
class TokenChip:
    """A token as it is drawn, tabs as ⇥.

    `text` is that of most tokens. It is "" where `lines` are those of a text with line ends, or where `blanks` stand
    for a text in which nothing is seen: a · for each space, … for none at all.
    """

    id: int
    is_trained: bool
    text: str = ""
    lines: tuple[str, ...] = ()
    blanks: str = ""


@dataclass(frozen=True)
class SequenceContext:
    """One sequence that is trained on: "text", "chosen" or "rejected". `more` of its `count` tokens are not drawn.

    `share` of the tokens is `trained`, in percent; `is_cut` where it is as long as the cutoff.
    """

    name: str
    count: int
    trained: int
    share: float
    tokens: list[TokenChip]
    more: int
    is_cut: bool


@dataclass(frozen=True)
class RowTokens:
    """Row `row` of `count` (from 1), with what takes the one before and after it in hand, "" where there is none.

    `base` is the query string that the number of another row is added to.
    """

    row: int
    count: int
    before: str
    after: str
    base: str
    cutoff: int
    sequences: list[SequenceContext]
    fault: Problem | None


@dataclass(frozen=True)
class TokensContext:
    """`tokens` is None where the settings of `form` cannot be had yet."""

    form: EncodingForm
    tokens: RowTokens | None


def tokens(analysis: DatasetAnalysis, arg: str) -> TokensContext | None:
    """Return the tokens of the row that was chosen, None where there is no dataset with a file.

    Raises:
        Problem: there is no dataset of this name, or its file cannot be read.
    """
    name, choices = parsed(arg)
    if not name:
        return None
    settings, form = encoding(analysis, name, choices)
    if form is None:
        return None
    return TokensContext(form, settings and _row(analysis, name, choices, settings))


def _row(analysis: DatasetAnalysis, name: str, choices: dict[str, str], settings: EncodingSettings) -> RowTokens:
    rows = analysis.collection.rows(name)
    rows.wait(1)
    row_text = choices.get("row", "")
    row = min(max(1, int(row_text) if row_text.isdecimal() else 1), max(1, rows.count))
    sequences, fault = [], None
    try:
        sequences = [sequence(each, settings.cutoff) for each in analysis.tokens(name, row, settings)]
    except Problem as problem:
        fault = problem
    return RowTokens(
        row=row,
        count=rows.count,
        before=pick(choices, row=row - 1) if 1 < row <= rows.count + 1 else "",
        after=pick(choices, row=row + 1) if row < rows.count else "",
        base=urlencode(choices),
        cutoff=settings.cutoff,
        sequences=sequences,
        fault=fault,
    )


def sequence(encoded: Sequence, cutoff: int) -> SequenceContext:
    """Return what is drawn of an encoded sequence under a cutoff, in tokens."""
    count, trained = len(encoded.tokens), sum(token.trained for token in encoded.tokens)
    return SequenceContext(
        name=encoded.name,
        count=count,
        trained=trained,
        share=100 * trained / max(1, count),
        tokens=[_chip(token) for token in encoded.tokens[:TOKENS_SHOWN]],
        more=max(0, count - TOKENS_SHOWN),
        is_cut=count >= cutoff,
    )


def _chip(token: Token) -> TokenChip:
    if not token.text.strip(" "):
        return TokenChip(token.id, token.trained, blanks="·" * len(token.text) or "…")
    text = token.text.replace("\t", "⇥")
    if "\n" in text:
        return TokenChip(token.id, token.trained, lines=tuple(text.split("\n")))
    return TokenChip(token.id, token.trained, text)

"""What the page says of tokens and lengths, as numbers and texts before any of it is HTML."""

from studio.core.i18n import Words
from studio.datasets.encoding.encoded_row import IGNORED, Sequence, Token
from studio.datasets.page.analysis import length_histogram, row_tokens
from studio.datasets.page.analysis.encoding_form import EncodingForm, parsed, pick
from studio.datasets.quality.lengths import Lengths
from studio.web.html import render

FORM = EncodingForm(["m"], "m", ["qwen"], "qwen", "8", {}, "", "")


def tokens(*texts: str) -> Sequence:
    """Return a sequence of these tokens, the last of them trained."""
    last = len(texts) - 1
    return Sequence(
        "text", [Token(text, at, at == last, at if at == last else IGNORED) for at, text in enumerate(texts)]
    )


def lengths(**changed) -> Lengths:
    """Return the lengths of a hundred rows, 60 of under ten tokens and 40 of ten to nineteen."""
    values = {
        "rows": 100,
        "dropped": 0,
        "cutoff": 10,
        "suggested": 64,
        "longest": 19,
        "median": 8,
        "width": 10,
        "bins": [0, 10],
        "counts": [60, 40],
        "cut": {10: 40.0, 512: 0.0},
        "tokens": 1000,
        "trained": 400,
        "samples": 100,
    }
    return Lengths(**values | changed)


def test_what_is_chosen_comes_back_as_it_was_picked():
    wanted = pick({"template": "qwen", "cutoff": "9"}, cutoff=1024)
    kind, _, query = wanted.partition(":")
    assert kind == "sight" and parsed(f"a set\n{query}") == ("a set", {"template": "qwen", "cutoff": "1024"})


def test_every_token_can_be_seen():
    marks = row_tokens.sequence(tokens("a\tb", "  ", "", "x\n\ny", "\n"), 100).tokens
    assert [(mark.text, mark.lines, mark.blanks) for mark in marks] == [
        ("a⇥b", (), ""),
        ("", (), "··"),
        ("", (), "…"),
        ("", ("x", "", "y"), ""),
        ("", ("", ""), ""),
    ]


def test_tokens_are_drawn_without_space_between_them_and_escaped():
    sequence = row_tokens.sequence(tokens("<b>", " c", "\n"), 3)
    row = row_tokens.RowTokens(1, 1, "", "", "", 3, [sequence], None)
    html = render(row_tokens.TEMPLATE, Words("en"), row_tokens.TokensContext(FORM, row))
    assert '<i title="0">&lt;b&gt;</i><i title="1"> c</i><b title="2"><u>↵</u>\n</b></div>' in html
    assert sequence.is_cut and "reaches the cutoff of 3 tokens" in html and (sequence.count, sequence.trained) == (3, 1)


def test_a_long_row_is_drawn_in_part_and_says_what_is_left_out():
    sequence = row_tokens.sequence(tokens(*["word"] * (row_tokens.TOKENS_SHOWN + 5)), 10_000)
    row = row_tokens.RowTokens(1, 1, "", "", "", 10_000, [sequence], None)
    html = render(row_tokens.TEMPLATE, Words("en"), row_tokens.TokensContext(FORM, row))
    assert sequence.more == 5 and not sequence.is_cut and html.count("<i title=") == row_tokens.TOKENS_SHOWN


def test_the_histogram_fills_its_drawing_and_marks_what_is_lost():
    drawn = length_histogram.histogram(lengths())
    short, long = drawn.bars
    assert (short.x, short.low, short.high, short.is_lost) == (0, 0, 9, False)
    assert (long.x, long.low, long.high, long.is_lost) == (440, 10, 19, True)
    assert short.height == 164 == drawn.height - drawn.above and drawn.most == 60
    assert short.y + short.height == long.y + long.height == drawn.height
    assert round(long.height / short.height, 6) == round(40 / 60, 6) and drawn.cutoff_x == 440
    assert [tick.tokens for tick in drawn.ticks] == [0, 5, 10, 15, 20]
    assert length_histogram.histogram(lengths(cutoff=64)).cutoff_x is None


def test_what_was_measured_is_told_with_the_steps_of_a_batch():
    shown = length_histogram.measured(lengths(), {"batch": "30"})
    assert (shown.trained_percent, shown.batch, shown.steps) == (40.0, 30, 4)
    assert shown.suggested_pick == "sight:batch=30&cutoff=64"
    assert [(one.cutoff, one.percent) for one in shown.cuts][:2] == [(512, 0.0), (1024, 0.0)]
    kept = length_histogram.measured(lengths(suggested=10, bins=[], counts=[]), {"batch": "none"})
    assert kept.suggested_pick == "" and kept.batch == length_histogram.BATCH and kept.histogram is None

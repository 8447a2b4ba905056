"""Whether an answer is the reference, holds it, or ends in its number.

A thought, however a model marks it, is no part of an answer, nor of the reference: one that was cut within its thought
says nothing. What else is set aside:

- `exact`, `contains`, `regex`: white space at the ends, and how much there is between words; how Unicode composes a
  character. Case and punctuation count.
- `f1`: case, punctuation, and forms of a character (full width), as SQuAD and CMRC 2018 do.
- `number`: how a number is written, not what it is: 1,234.50 is 1234.5, and 3/4 is 0.75.
"""

import unicodedata
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from functools import cache

import regex

from studio.core import reasons
from studio.core.i18n import Problem
from studio.inference.reasoning import answer_in

PATTERN_SECONDS = 1.0  # of a person's pattern, for one answer
MOST_DIGITS = 1000
_ARTICLES = {"a", "an", "the"}
# A Chinese character, a kana, or a run of other letters, digits and marks.
_TOKEN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[^\W\p{Han}\p{Hiragana}\p{Katakana}]+")
_PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2}(?![0-9]))?|\.[0-9]+"
_SIGN = r"(?<![\w.)])-\$?"  # a hyphen behind a word or a number joins or subtracts
_FRACTION = r"\\[dt]?frac\s*\{\s*(?P<above>-?[0-9]+)\s*\}\s*\{\s*(?P<below>[0-9]+)\s*\}"
_CHINESE = (
    r"(?P<parts>[零〇一二两三四五六七八九十百千万0-9]{1,12})分之(?P<of>[零〇一二两三四五六七八九十百千万0-9]{1,12})"
)
_NUMBER = regex.compile(
    rf"(?P<sign>{_SIGN})?(?:{_FRACTION}|{_CHINESE}|(?P<plain>{_PLAIN})(?:\s?/\s?(?P<divisor>[0-9]+)(?![0-9/]))?)"
)
_BOXED = regex.compile(r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\})*+)\}")
_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}


def exact(text: str, reference: str) -> float:
    """Return 1 where the answer is the reference, else 0."""
    return float(_spaced(text) == _spaced(reference))


def contains(text: str, reference: str) -> float | None:
    """Return 1 where the reference stands somewhere in the answer, else 0; None where it is only a thought."""
    expected = _spaced(reference)
    return float(expected in _spaced(text)) if expected else None


def f1(text: str, reference: str) -> float:
    """Return the F1 of the words that answer and reference share, each as often as both have it, 0 to 1.

    Words are runs of letters and digits without the articles a, an and the; of Chinese and Japanese, characters. Where
    either has none, it is 1 where neither has. Sources: Rajpurkar et al., SQuAD (2016); Cui et al., CMRC 2018.
    """
    answer, expected = tokens(text), tokens(reference)
    if not answer or not expected:
        return float(answer == expected)
    shared = sum((Counter(answer) & Counter(expected)).values())
    return 2 * shared / (len(answer) + len(expected))


def tokens(text: str) -> list[str]:
    """Return the words of a text as `f1` counts them."""
    found = _TOKEN.findall(unicodedata.normalize("NFKC", answer_in(text)).casefold())
    return [token for token in found if token not in _ARTICLES]


def number(text: str, reference: str) -> float | None:
    """Return 1 where the last number of the answer is the last of the reference, else 0; None where that has none.

    What stands in `\\boxed{}` is the last. Thousands are told by commas; a fraction is `3/4`, `\\frac{3}{4}` or
    四分之三; signs of percent and of currencies are not looked at. One of more than 1,000 digits is none.
    """
    expected = last_number(reference)
    if expected is None:
        return None
    return float(last_number(text) == expected)


def last_number(text: str) -> Fraction | None:
    """Return the number in which a text ends, None where it has none."""
    plain = _in_ascii(unicodedata.normalize("NFKC", answer_in(text)))
    for boxed in reversed(_BOXED.findall(plain)):
        if (value := _last_number_in(boxed)) is not None:
            return value
    return _last_number_in(plain)


def check_pattern(pattern: str) -> None:
    """Raise Problem for a regular expression that is none. To read one is cheap, whatever it does to a text."""
    if not pattern:
        raise Problem("evaluate.score_no_pattern")
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise Problem("evaluate.score_bad_pattern", reason=reasons.of(error)) from error


def match(text: str, reference: str, pattern: str) -> float | None:
    """Return 1 where a regular expression is found in the answer, else 0.

    One with a group is compared: what its first group takes of the answer must be what it takes of the reference, or
    the whole reference where it is not found there. None where there is then no reference.

    Args:
        pattern: of the library `regex`, which knows all of `re` and more; `check_pattern` allowed it.

    Raises:
        Problem: it took longer than PATTERN_SECONDS, or it is no pattern.
    """
    compiled = _compiled(pattern)
    found = _search(compiled, _spaced(text))
    if not compiled.groups:
        return float(found is not None)
    expected = _search(compiled, _spaced(reference))
    wanted = _spaced(expected[1] or "") if expected else _spaced(reference)
    if not wanted:
        return None
    return float(found is not None and _spaced(found[1] or "") == wanted)


@cache
def _compiled(pattern: str) -> regex.Pattern:
    check_pattern(pattern)
    return regex.compile(pattern)


def _search(compiled: regex.Pattern, text: str) -> regex.Match | None:
    try:
        return compiled.search(text, timeout=PATTERN_SECONDS, concurrent=True)
    except TimeoutError as error:
        raise Problem("evaluate.score_slow_pattern", seconds=f"{PATTERN_SECONDS:g}") from error


def _spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", answer_in(text)).split())


def _in_ascii(text: str) -> str:
    """Return a text with the digits of every script, the minus sign and the slash of fractions as ASCII has them."""
    if text.isascii():
        return text
    others = {one: str(unicodedata.decimal(one)) for one in set(text) if one.isdecimal()}
    return text.translate(str.maketrans(others | {"\N{MINUS SIGN}": "-", "\N{FRACTION SLASH}": "/"}))


def _last_number_in(text: str) -> Fraction | None:
    values = map(_value, reversed(list(_NUMBER.finditer(text))))
    return next((value for value in values if value is not None), None)


def _value(found: regex.Match) -> Fraction | None:
    if len(found[0]) > MOST_DIGITS:
        return None
    if found["above"]:
        above, below = Fraction(found["above"]), Fraction(found["below"])
    elif found["parts"]:
        above, below = Fraction(_chinese(found["of"])), Fraction(_chinese(found["parts"]))
    else:
        above, below = Fraction(Decimal(found["plain"].replace(",", ""))), Fraction(found["divisor"] or 1)
    if not below:
        return None
    return (-1 if found["sign"] else 1) * above / below


def _chinese(text: str) -> int:
    """Return a whole number below 100 million in Chinese characters or digits: 二十一 is 21."""
    if text.isdecimal():
        return int(text)
    total = part = digit = 0
    for character in text:
        if character in _POWERS:
            power = _POWERS[character]
            if power == 10_000:
                total, part, digit = (total + part + digit) * power, 0, 0
            else:
                part, digit = part + (digit or 1) * power, 0
        else:
            digit = digit * 10 + (_DIGITS[character] if character in _DIGITS else int(character))
    return total + part + digit

"""Text that was damaged on its way: control characters, characters that were lost, bytes that were read in the wrong
encoding.
"""

import re
from collections.abc import Callable, Iterator

from studio.datasets.schema.observed_schema import Shape, texts
from studio.datasets.schema.rules import Fault

LOST = "\ufffd"
# U+FFFD written as UTF-8 and read as GBK.
_LOST_AS_GBK = "锟斤拷"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
# Windows-1252 shows the bytes 80 to 9F as these, where Latin-1 has control characters.
_WINDOWS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_FOLLOWING = "\x80-\xbf" + re.escape(_WINDOWS)
# UTF-8 read as Latin-1 or Windows-1252: a leading byte and as many following ones as it announces.
_AS_LATIN = re.compile(f"[\xc2-\xdf][{_FOLLOWING}]|[\xe0-\xef][{_FOLLOWING}]{{2}}|[\xf0-\xf4][{_FOLLOWING}]{{3}}")
# These are hardly ever right: accents and spaces (Ã©, Â ), quotation marks and dashes (â€™), emoji (ðŸ˜€). Others must
# come in numbers.
_SURE = re.compile(f"[ÃÂ][\x80-\xbf]|â[€\x80][{_FOLLOWING}]|ð[Ÿ\x9f][{_FOLLOWING}]{{2}}")
_ENOUGH = 3
_FRENCH = ("\xa0»", "\xa0«")  # after a word that ends in é or à
# GBK read as Latin-1: pairs of high bytes, one after the other, which no language writes; A1 to A3 begin punctuation,
# B0 to D7 the common characters.
_GBK_AS_LATIN = re.compile("(?:[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]){3,}")
# UTF-8 read as GBK: Chinese characters whose bytes are those of other Chinese characters. Common ones never are: their
# first byte begins nothing in UTF-8.
_AS_GBK = re.compile("[\u4e00-\u9fff\ue000-\uf8ff\u3000-\u30ff\uff00-\uffef€]{4,}")
_CHINESE = re.compile("[\u2e80-\u9fff\uff00-\uffef\u2010-\u2026]+")
_SHOWN = 24


def is_damaged(text: str) -> bool:
    """Tell whether a text has any of the damage of which `faults` tells."""
    if _CONTROL.search(text):
        return True
    return not text.isascii() and (LOST in text or _LOST_AS_GBK in text or _repaired(text) != text)


def faults(row: dict, shape: Shape) -> Iterator[Fault]:
    """Yield the damage of a row, field by field."""
    for field in shape.fields():
        for place, text in _places(row.get(field), field):
            if found := _CONTROL.search(text):
                yield Fault(
                    "control_characters",
                    place,
                    {"field": place, "code": f"U+{ord(found.group()):04X}", "at": found.start() + 1},
                )
            if LOST in text or _LOST_AS_GBK in text:
                at = text.find(LOST) if LOST in text else text.find(_LOST_AS_GBK)
                yield Fault("lost_characters", place, {"field": place, "at": at + 1, "text": _around(text, at)})
            elif (right := _repaired(text)) != text:
                at = next((index for index, (old, new) in enumerate(zip(text, right, strict=False)) if old != new), 0)
                yield Fault("mojibake", place, {"field": place, "text": _around(text, at), "meant": _around(right, at)})


def mended(row: dict, shape: Shape) -> dict | None:
    """Return a row without control characters and with the text that was meant where it was read in the wrong encoding.

    None where the damage cannot be undone.
    """
    right = row | {
        field: _changed(row[field], lambda text: _CONTROL.sub("", _repaired(text)))
        for field in shape.fields()
        if field in row
    }
    return None if any(is_damaged(text) for field in shape.fields() for text in texts(right.get(field))) else right


def _changed(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(part, change) for part in value]
    if isinstance(value, dict):
        return {key: _changed(part, change) for key, part in value.items()}
    return value


def _places(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _places(part, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _places(part, f"{place}.{key}")


def _around(text: str, at: int) -> str:
    """Return the text at a place, short enough for a sentence."""
    return " ".join(text[max(0, at - _SHOWN // 3) : at + _SHOWN].split())


def _repaired(text: str) -> str:
    """Return the text that was meant, where its bytes were read in the wrong encoding; else the text as it is."""
    if text.isascii():
        return text
    as_utf8 = [found for found in _AS_LATIN.findall(text) if _decoded(found, "latin", "utf-8") != found]
    as_gbk = _GBK_AS_LATIN.findall(text)
    if as_utf8 and sum(map(len, as_utf8)) >= sum(map(len, as_gbk)) and _is_utf8_as_latin(text, as_utf8):
        return _AS_LATIN.sub(lambda found: _decoded(found.group(), "latin", "utf-8"), text)
    if as_gbk:
        return _GBK_AS_LATIN.sub(lambda found: _decoded(found.group(), "latin-1", "gbk"), text)
    return _AS_GBK.sub(lambda found: _from_gbk(found.group()), text)


def _is_utf8_as_latin(text: str, found: list[str]) -> bool:
    if any(_decoded(piece, "latin", "utf-8") != piece for piece in _SURE.findall(text)):
        return True
    found = [piece for piece in found if piece[1:] not in _FRENCH]
    return len(found) >= _ENOUGH and 2 * sum(map(len, found)) > sum(not character.isascii() for character in text)


def _from_gbk(text: str) -> str:
    """Return the text that was read as GBK and is UTF-8; where its last character was lost, with LOST in its place."""
    try:
        raw = text.encode("gb18030")
    except UnicodeEncodeError:
        return text
    if not (
        0xE2 <= raw[0] <= 0xEF and 0x80 <= raw[1] <= 0xBF
    ):  # nearly all text that is as it should be: no Chinese character begins so
        return text
    for missing in range(3):
        whole = raw[: len(raw) - missing]
        right = whole.decode("utf-8", "ignore")
        if _CHINESE.fullmatch(right) and len(right.encode()) == len(whole):
            return right + LOST * bool(missing)
    return text


def _decoded(text: str, wrong: str, right: str) -> str:
    """Return a text whose bytes were read as `wrong` and are to be read as `right`; the text as it is where that cannot
    be.
    """
    try:
        raw = b"".join(_latin_byte(character) for character in text) if wrong == "latin" else text.encode(wrong)
        return raw.decode(right)
    except UnicodeError:
        return text


def _latin_byte(character: str) -> bytes:
    return character.encode("cp1252") if character in _WINDOWS else character.encode("latin-1")

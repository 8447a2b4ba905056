"""Conversations that stand in a table as Python prints them, which is how pandas writes a column of lists to a CSV
file.
"""

import ast
import contextlib
import re
import warnings

from studio.datasets.files.incoming.wrappers import is_talk
from studio.datasets.files.large_numbers import parse

LONGEST = 2**20
_BEGINS = re.compile(r"\s*(?:array\(\s*)?\[\s*\{\s*['\"]")


def conversation_in(text: str) -> list | None:
    """Return the conversation that a text is, None where it is none: JSON, or as Python or numpy prints it.

    numpy leaves out the commas between objects.
    """
    if len(text) > LONGEST or not _BEGINS.match(text):
        return None
    with contextlib.suppress(ValueError):  # JSON looks alike and has other escapes
        value = parse(text)
        return value if is_talk(value) else None
    inner = text.strip()
    if inner.startswith("array("):
        inner = inner[len("array(") :].rsplit("]", 1)[0] + "]"
    for written in (inner, _with_commas(inner)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an escape that Python does not know is kept as it stands
                value = ast.literal_eval(written)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        # In Python two texts with nothing between them are one, but never two objects: what is read is what was
        # printed.
        return value if is_talk(value) else None
    return None


def _with_commas(text: str) -> str:
    """Return a list with a comma between two objects that stand side by side, outside of quotes."""
    made, quote, escaped, last = [], "", False, ""
    for sign in text:
        if quote:
            escaped, quote = sign == "\\" and not escaped, "" if sign == quote and not escaped else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "{" and last == "}":
            made.append(",")
        if not sign.isspace():
            last = sign if not quote else ""
        made.append(sign)
    return "".join(made)

"""What a piece of an answer holds: text, or parts that say of what kind they are."""

import io

_DEPTH = 8
_THINKING_PARTS = (
    "thinking",
    "reasoning",
    "thought",
    "reasoning_text",
    "reasoning_content",
    "summary_text",
    "reasoning.text",
    "reasoning.summary",
)


class GrowingText:
    """Text that grows by pieces; where one ends in half a character (a surrogate), the next may bring the rest."""

    def __init__(self):
        self._text, self._half = io.StringIO(), ""

    def write(self, piece: str) -> None:
        """Add a piece."""
        piece, self._half = self._half + piece, ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        try:
            piece.encode()
        except UnicodeEncodeError:
            piece = piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._text.write(piece)

    def value(self) -> str:
        """Return what has come, without the half of a character at its end."""
        return self._text.getvalue()


def parts_of(content: object, is_thought: bool = False, depth: int = 0) -> list[tuple[bool, str]]:
    """Return the texts in a content, each with whether it is a thought.

    Args:
        content: text, a list of typed parts, or one such part.
        is_thought: whether what it stands in is one.
        depth: how deep it stands in others.

    Raises:
        ValueError: it is nested too deeply.
    """
    if isinstance(content, str):
        return [(is_thought, content)] if content else []
    if depth > _DEPTH:
        raise ValueError("a content nested too deeply")
    if isinstance(content, list):
        return [found for one in content for found in parts_of(one, is_thought, depth + 1)]
    if isinstance(content, int | float) and not isinstance(content, bool):
        return [(is_thought, str(content))]
    if not isinstance(content, dict):
        return []
    kind = str(content.get("type") or "").lower()
    is_thought = is_thought or kind in _THINKING_PARTS or content.get("thought") is True
    names = (
        "text",
        "thinking",
        "reasoning",
        "summary",
        "refusal",
        "content",
        "transcript",
        "output_text",
        "value",
        "thought",
    )
    for name in names:
        if isinstance(content.get(name), str | list | dict) and (
            found := parts_of(content[name], is_thought, depth + 1)
        ):
            return found
    if "image" in kind:
        link = content.get("image_url") or content.get("url")
        link = link.get("url") if isinstance(link, dict) else link
        return [
            (is_thought, f"![image]({link})" if isinstance(link, str) and link.startswith("http") else "![image]()")
        ]
    known = (
        not kind
        or kind in _THINKING_PARTS
        or "text" in kind
        or kind in ("refusal", "redacted_thinking", "reasoning.encrypted")
    )
    return [] if known else [(is_thought, f"[{kind}]")]

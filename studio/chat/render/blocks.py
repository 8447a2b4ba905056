"""Where one block of a growing Markdown text ends: what stands before the end is not changed by anything that may
follow.

Blocks end at a blank line that nothing reaches over, and around fenced code, as CommonMark has it
(spec.commonmark.org). One that grows beyond all measure is cut, so that the last block, which is drawn again and again,
stays small.
"""

import re

LONGEST = 8_000
_FENCE = re.compile(r"( {0,3})(`{3,}(?=[^`]*$)|~{3,})")
_ITEM = re.compile(r" {0,3}([-*+]|\d{1,9}[.)])([ \t]|\r?$)")
_TABLE_RULE = re.compile(r"[ \t]*(?=.*\|)\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t\r]*")
_PAUSES = " \u3000。，；、！？"


def next_end(text: str, start: int, carry: str = "") -> tuple[int, str] | None:
    """Return where the block that begins at `start` ends, and with what its rest must begin; None while it may still
    grow.

    Args:
        text: all that was written so far.
        start: where the block begins, 0 or an end that was returned before.
        carry: what came with that end: "", or the line that opened a code block, or the head of a table, that was cut.
    """
    block = _Lines(carry)
    limit, at = min(len(text), start + LONGEST), start
    while (end := text.find("\n", at, limit)) >= 0:  # the last line may still become something else
        line, at = text[at:end], end + 1
        if block.ends_before(line):
            return start + block.length, ""
        block.add(line)
        if block.closed:
            return start + block.length, ""
    return block.cut(text[start:limit], start) if limit == start + LONGEST else None


class _Lines:
    """The lines of one block."""

    def __init__(self, carry: str):
        self.length = self.last_start = 0
        self.fence = carry if _FENCE.match(carry) else ""
        self.table = "" if self.fence else carry
        self.closed = self.blank = self.list = False
        self.before = ""

    def ends_before(self, line: str) -> bool:
        """Tell whether the block ends and `line` begins the next one."""
        if self.fence or not self.length:
            return False
        if (fence := _FENCE.match(line)) and not fence[1]:
            return True
        return self.blank and bool(line) and line[0] not in " \t\r" and not (self.list and _ITEM.match(line))

    def add(self, line: str) -> None:
        """Take in the next line, given without its end."""
        if self.fence:
            mark = _FENCE.match(self.fence)[2]
            self.closed = bool(re.fullmatch(rf" {{0,3}}{mark[0]}{{{len(mark)},}}[ \t\r]*", line))
        else:
            self._add_text(line)
        self.length += len(line) + 1

    def _add_text(self, line: str) -> None:
        fence = _FENCE.match(line)
        if fence and not (fence[1] and self.list):
            self.fence = line + "\n"
        self.blank = not line.strip(" \t\r")
        self.list = self.list or bool(_ITEM.match(line))
        if self.blank:
            self.table = ""
        elif _TABLE_RULE.fullmatch(line) and "|" in self.before:
            self.table = f"{self.before}\n{line}\n"
        if not self.blank and line[0] not in " \t":
            self.last_start = self.length
        self.before = line

    def cut(self, window: str, start: int) -> tuple[int, str]:
        """Return the best place in a window that is full, and what the rest must begin with."""
        if self.fence:
            return start + (self.length or LONGEST), self.fence
        if self.length:
            return start + (self.last_start or self.length), self.table
        return start + (max(window.rfind(pause) for pause in _PAUSES) + 1 or LONGEST), ""

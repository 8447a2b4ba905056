"""Reads what people paste from a shell (sh, cmd, PowerShell, a notebook) as commands of words. Nothing of it is ever
run.

Quotes, escapes, continued lines, comments, variables that the text itself sets, arrays and here-documents are resolved;
redirections, and variables that nothing in the text sets, are kept apart, so that they can be told.
"""

import json
import re
from dataclasses import dataclass, field

from studio.core.i18n import Problem

_CONTINUED = re.compile(r"[ \t]*(?:\\|\^|`)[ \t]*\n")
_COMMENT = re.compile(r"^[ \t]*(?:#|::|rem(?:[ \t]|$)).*$", re.IGNORECASE)
_HERE = re.compile(
    r"^(?P<line>[^\n#]*<<-?[ \t]*(?P<quote>['\"]?)(?P<tag>\w+)(?P=quote)[^\n]*)\n(?P<body>.*?)\n?^[ \t]*(?P=tag)["
    r" \t]*$",
    re.M | re.S,
)
_CELL = re.compile(r"^%%writefile[ \t]+(?:-a[ \t]+)?(?P<file>\S+)[ \t]*\n(?P<body>.*)\Z", re.M | re.S)
_WINDOWS = re.compile(
    r"[\^`][ \t]*$|^[ \t]*set[ \t]+\w+=|\$env:|^[ \t]*(?:PS )?[A-Za-z]:\\[^>\n]*>|\.exe\b", re.IGNORECASE | re.MULTILINE
)
_PROMPT = re.compile(
    r"^[ \t]*(?:PS )?[A-Za-z]:\\[^>\n]*>[ \t]*|^[ \t]*PS>[ \t]*|^[ \t]*(?:\([\w.-]+\)["
    r" \t]*)?(?:[\w.-]+@[\w.-]+:[^\n$#]*)?(?:[$%>][ \t]+|!(?=[A-Za-z]))|"
    r"^[ \t]*\([\w.-]+\)[ \t]+(?=\S)",
    re.MULTILINE,
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_DRIVE = re.compile(r"(?:^|=)(?:[A-Za-z]:|\.{1,2}|\\)$|\\")
_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<more>\+?)=(?P<value>.*)", re.S)
_OPERATORS = (
    "&>>",
    "2>&1",
    "1>&2",
    "<<<",
    "&&",
    "||",
    ";;",
    "&>",
    ">>",
    "<<",
    "|&",
    ">&",
    "|",
    "&",
    ";",
    ">",
    "<",
    "(",
    ")",
    "\n",
)
_REDIRECTIONS = ("&>>", "&>", ">>", ">&", ">", "<", "<<<", "<<")


@dataclass(frozen=True)
class Word:
    """A word of a command, its quotes gone; `unset` are the variables and substitutions in it that nothing in the text
    gives a value.
    """

    text: str
    unset: tuple[str, ...] = ()
    quoted: bool = False


@dataclass
class Command:
    """One command: its words, and the redirections that stood beside them, as written."""

    words: list[Word] = field(default_factory=list)
    redirections: list[str] = field(default_factory=list)
    piped: bool = False  # it only reads what the command before it prints

    def shown(self) -> str:
        """Return the command as a line that a person recognises."""
        return " ".join(word.text for word in self.words)


@dataclass
class Script:
    """What a text holds: commands in their order, files that it writes itself, and variables that it sets and never
    uses.
    """

    commands: list[Command]
    files: dict[str, str]
    variables: dict[str, str]


def read(text: str) -> Script:
    """Return the commands of a text. Raises Problem for a quote that is never closed."""
    files: dict[str, str] = {}
    text = _HERE.sub(lambda found: _written(found, files), text)
    text = _CELL.sub(lambda found: files.update({found["file"]: found["body"]}) or "", text)
    windows = bool(_WINDOWS.search(text))
    text = re.sub(r"^[ \t]*%%(?:bash|sh|shell|script[^\n]*)[ \t]*$", "", text, flags=re.M)
    text = "\n".join(line for line in text.split("\n") if not _COMMENT.match(line))
    text = _CONTINUED.sub(" ", _PROMPT.sub("", text) + "\n")
    reader = _Reader(text, windows)
    return Script(
        reader.commands(), files, {name: value for name, value in reader.values.items() if name not in reader.used}
    )


def writes_files(text: str) -> bool:
    """Tell whether a text holds a here-document or a notebook's cell that writes a file: then it is commands, whatever
    stands in the file.
    """
    return bool(_HERE.search(text) or _CELL.search(text))


def _written(found: re.Match, files: dict[str, str]) -> str:
    """Keep the body of a here-document under the file that it is written to; what feeds a program stays out of the
    words too.
    """
    target = re.search(
        r">>?[ \t]*([^\s<>|&;]+)|\btee[ \t]+([^\s<>|&;-]\S*)",
        found["line"].replace("<<-", "  ").split("<<")[0] + " " + found["line"].split("<<", 1)[1],
    )
    if target:
        files[(target[1] or target[2]).strip("'\"")] = found["body"]
        return ""
    return found["line"].split("<<")[0]


class _Reader:
    """Walks over a text once. `values` are the variables that it set so far, a list for an array; `used` those that a
    word named.
    """

    def __init__(self, text: str, windows: bool):
        self.text, self.windows, self.place = text, windows, 0
        self.values: dict[str, str | list[str]] = {}
        self.used: set[str] = set()

    def commands(self) -> list[Command]:
        """Return every command that is not only an assignment."""
        found, now, piped = [], Command(), False
        while self.place < len(self.text):
            if operator := self._operator(now):
                self._redirect(operator, now) if operator in (*_REDIRECTIONS, "2>&1", "1>&2") else None
                if operator not in (*_REDIRECTIONS, "2>&1", "1>&2", "(", ")"):
                    found, now, piped = [*found, *self._closed(now, piped)], Command(), operator in ("|", "|&")
            else:
                now.words += self._words()
        return [*found, *self._closed(now, piped)]

    def _operator(self, now: Command) -> str | None:
        """Return the operator at the place, "" for blanks that were passed over, None where a word begins."""
        while self.place < len(self.text) and self.text[self.place] in " \t\u00a0\u3000":
            self.place += 1
        rest = self.text[self.place : self.place + 3]
        if rest.startswith("#") and not now.words or rest.startswith("# "):
            end = self.text.find("\n", self.place)
            self.place = len(self.text) if end < 0 else end
            return self._operator(now)
        if re.match(r"[12]>>?(?!\&)", self.text[self.place : self.place + 4]):
            self.place += 1
            return self._operator(now)
        found = next((one for one in _OPERATORS if self.text.startswith(one, self.place)), None)
        self.place += len(found or "")
        return found

    def _redirect(self, operator: str, now: Command) -> None:
        target = self._words() if operator in _REDIRECTIONS and self._operator_ahead() is None else []
        now.redirections.append(" ".join([operator, *(word.text for word in target)]))

    def _operator_ahead(self) -> str | None:
        place = self.place
        found = self._operator(Command([Word("")]))
        self.place = place if found else self.place
        return found

    def _closed(self, command: Command, piped: bool) -> list[Command]:
        """Return the command that ended, none where it only sets variables, which are kept."""
        words, command.piped = command.words, piped
        if words and words[0].text.lower() in ("export", "set", "declare", "setx") and len(words) > 1:
            words = words[1:] if words[0].text.lower() != "setx" else [Word("=".join(word.text for word in words[1:3]))]
        if words and words[0].text.startswith("$env:"):
            words = [Word("".join(word.text for word in words)[5:])]
        if words and all(_ASSIGNED.fullmatch(word.text) for word in words):
            for word in words:
                self._assign(word)
            return []
        return [command] if command.words else []

    def _assign(self, word: Word) -> None:
        match = _ASSIGNED.fullmatch(word.text)
        if not word.unset:
            before = self.values.get(match["name"], "") if match["more"] else ""
            self.values[match["name"]] = f"{before}{match['value']}"

    def _words(self) -> list[Word]:
        """Return the word at the place; a variable that stands for several words gives them all."""
        words, buffer, unset, quoted = [], "", [], False
        while self.place < len(self.text):
            letter = self.text[self.place]
            if letter in " \t\u00a0\u3000\n" or letter in ";|&<>)" or letter == "(" and not _ASSIGNED.fullmatch(buffer):
                break
            if letter == "(":
                self._array(buffer.rstrip("+="))
                return []
            if letter == "{" and (whole := self._json()):  # as LlamaBoard prints it: unquoted
                buffer, quoted = buffer + whole, True
                continue
            self.place += 1
            if letter == "'" or letter == '"':
                inner, names = self._quoted(letter)
                if isinstance(inner, list):
                    words, buffer = [*words, *map(Word, inner[:-1])], buffer + (inner[-1] if inner else "")
                else:
                    buffer += inner
                unset, quoted = [*unset, *names], True
            elif letter == "\\" and not self.windows and not self._is_path(buffer) or letter in "^`" and self.windows:
                buffer += self.text[self.place : self.place + 1]
                self.place += 1
            elif letter in "$`" or letter == "%" and self.windows:
                value, names = self._variable(letter)
                unset += names
                parts = (
                    value
                    if isinstance(value, list)
                    else re.split(r"\s+", value)
                    if not (names or _ASSIGNED.fullmatch(buffer))
                    else [value]
                )
                for part in parts[:-1]:
                    words, buffer = [*words, *([Word(buffer + part)] if buffer + part else [])], ""
                buffer += parts[-1] if parts else ""
            else:
                buffer += letter
        return [*words, Word(buffer, tuple(unset), quoted)] if buffer or quoted else words

    def _json(self) -> str:
        """Return the JSON object that stands at the place, which is passed over; "" where none does."""
        try:
            _, end = json.JSONDecoder().raw_decode(self.text, self.place)
        except (ValueError, RecursionError):
            return ""
        before, self.place = self.place, end
        return self.text[before:end]

    def _is_path(self, buffer: str) -> bool:
        """Tell whether a backslash is one of a path of Windows: such a path is pasted into any shell."""
        return bool(_DRIVE.search(buffer)) and self.text[self.place : self.place + 1].isalnum()

    def _array(self, name: str) -> None:
        self.place += 1
        found: list[str] = []
        while self.place < len(self.text) and self.text[self.place] != ")":
            if self.text[self.place].isspace():
                self.place += 1
            elif self.text[self.place] == "#":
                self.place = (self.text.find("\n", self.place) + 1) or len(self.text)
            else:
                before = self.place
                found += [word.text for word in self._words()]
                self.place += self.place == before  # an operator that has no meaning here
        self.place += 1
        had = self.values.get(name, [])
        self.values[name] = [*(had if isinstance(had, list) else []), *found]

    def _quoted(self, quote: str) -> tuple[str | list[str], list[str]]:
        """Return what stands up to the closing quote, the elements of an array where it is one, and the variables that
        are not set.
        """
        found, unset, start = "", [], self.place
        while self.place < len(self.text):
            letter = self.text[self.place]
            self.place += 1
            if letter == quote:
                return found, unset
            if (
                quote == '"'
                and letter == "\\"
                and self.text[self.place : self.place + 1] in ('"', "\\", "$", "`")
                and not (self.windows and self.text[self.place] != '"')
            ):
                found += self.text[self.place]
                self.place += 1
            elif quote == '"' and (letter == "$" or letter == "%" and self.windows):
                value, names = self._variable(letter)
                if isinstance(value, list) and not found and self.text[self.place : self.place + 1] == quote:
                    self.place += 1
                    return value, names
                found, unset = found + (" ".join(value) if isinstance(value, list) else value), [*unset, *names]
            else:
                found += letter
        raise Problem("recipe_import.open_quote", quote=quote, text=self.text[start - 1 : start + 40].strip())

    def _variable(self, sign: str) -> tuple[str | list[str], list[str]]:
        """Return the value of what begins with a sign that was just read, and its name where nothing gives it a
        value.
        """
        rest = self.text[self.place :]
        closing = {"`": "`", "%": "%"}.get(sign)
        if closing or rest.startswith("("):
            end = rest.find(closing) + 1 if closing else _closed_at(rest)
            whole = sign + (rest[:end] if end > 0 else rest.split()[0] if rest.split() else "")
            if sign == "%" and not _NAME.fullmatch(rest[: max(end - 1, 0)]):
                return sign, []
            self.place += len(whole) - 1
            return self._value(whole.strip("%"), whole) if sign == "%" else (whole, [whole])
        named = re.match(
            r"\{(?P<name>\w+)(?:\[[@*]\])?(?::?[-=](?P<default>[^}]*))?\}|env:(?P<env>\w+)|(?P<plain>[A-Za-z_]\w*|[0-9@*?#])",
            rest,
        )
        if not named:
            return sign, []
        self.place += named.end()
        return self._value(
            named["name"] or named["env"] or named["plain"], sign + named[0], named["default"], named["env"]
        )

    def _value(
        self, name: str, whole: str, default: str | None = None, env: str | None = None
    ) -> tuple[str | list[str], list[str]]:
        if env and re.match(r"[ \t]*=", self.text[self.place :]):  # PowerShell sets a variable in this way
            return whole, []
        if name in self.values:
            self.used.add(name)
            return self.values[name], []
        return (whole, [whole]) if default is None else (default, [])


def _closed_at(text: str) -> int:
    """Return where the bracket that a text begins with is closed, 0 where it is not."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return place + 1
    return 0

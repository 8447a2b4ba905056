"""A model's own code: the files to read, and the consent to run exactly these."""

from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons, trust
from studio.core.i18n import Problem
from studio.models.library.library import Model

SHOWN_FILES, SHOWN_BYTES = 50, 200_000
DIGEST_CHARACTERS = 12  # of a digest, that a person compares


@dataclass(frozen=True)
class CodeText:
    """What a file of code says, as far as a page can show it; where it is not text, `problem` says why."""

    text: str
    is_cut: bool = False
    problem: Problem | None = None


@dataclass(frozen=True)
class CodeFile:
    """A file that would run. `digest` is of its bytes, shortened."""

    name: str
    path: Path
    digest: str
    content: CodeText


@dataclass(frozen=True)
class OwnCode:
    """The files that would run, each to be unfolded and read. `digest` is of them all, which consent is given to.

    `more` counts the files that are not shown; `is_granted` tells that exactly these may run; `fault` keeps them from
    being read.
    """

    digest: str
    files: list[CodeFile]
    count: int
    more: int
    is_granted: bool
    fault: Problem | None


def own_code(model: Model) -> OwnCode | None:
    """Return the code that a model brings, None where it brings none."""
    if not model.own_code:
        return None
    code = trust.code_of(model.path)
    files = [
        CodeFile(name, model.path / name, digest[:DIGEST_CHARACTERS], read_text(model.path / name))
        for name, digest in list(code.files.items())[:SHOWN_FILES]
    ]
    is_granted = not code.fault and trust.is_granted(model.path)
    return OwnCode(code.digest, files, len(code.files), max(0, len(code.files) - SHOWN_FILES), is_granted, code.fault)


def read_text(file: Path) -> CodeText:
    """Return what a file of code says: its first SHOWN_BYTES bytes."""
    try:
        with open(file, "rb") as opened:
            data = opened.read(SHOWN_BYTES + 1)
    except OSError as error:
        return CodeText("", problem=Problem("trust.unreadable", file=file, reason=reasons.of(error)))
    if b"\0" in data:
        return CodeText("", problem=Problem("models.code_binary"))
    return CodeText(data[:SHOWN_BYTES].decode("utf-8", "replace"), len(data) > SHOWN_BYTES)

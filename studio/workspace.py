"""Where everything lives on disk, and which names are safe there."""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from studio.interface.language import Problem

SHIPPED_DATA = Path(__file__).parents[1] / "data"
_SAFE_PART = re.compile(r"[\w][\w.+@ -]{0,119}", re.UNICODE)


def safe_name(name: str, parts: int = 1) -> str:
    """Return `name` if it is made of exactly `parts` plain path parts joined by `/`; raise Problem otherwise.

    A plain part starts with a letter, digit or underscore, so `..`, hidden files, absolute paths and option-like names are refused.
    """
    pieces = name.split("/")
    if len(pieces) != parts or not all(_SAFE_PART.fullmatch(piece) for piece in pieces):
        raise Problem("workspace.bad_name", name=name)
    return name


@dataclass(frozen=True)
class Workspace:
    """The folder that holds `data/`, `models/` and `saves/`. Every path the studio touches is made here."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def saves(self) -> Path:
        return self.root / "saves"

    def inside(self, folder: Path, name: str, parts: int = 1) -> Path:
        """Return `folder/name`, checked to be a plain name that does not lead out of `folder`, through a link either.

        Raises:
            Problem: the name is not plain, or a link in it leads out of the folder.
        """
        path = folder / safe_name(name, parts)
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Problem("workspace.leads_out", name=name)
        return path

    def prepare(self) -> "Workspace":
        """Make the folders that are missing; a new data folder begins with the shipped sets. Raises Problem where the disk refuses."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.data.exists():
                shutil.copytree(SHIPPED_DATA, self.data)
            for folder in (self.models, self.saves):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or self.root, reason=error.strerror or error) from error
        return self


def write_whole(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace `path` by `text` so that a reader sees the old file or the new one, never a half: written beside, then renamed.

    `mode` are the most permissions that the file gets, of which the process's umask takes some.

    Raises:
        Problem: the folder cannot be written or the disk is full; the old file is left as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as beside:
            whole = Path(beside) / path.name
            with open(whole, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            whole.replace(path)
    except OSError as error:
        raise Problem("workspace.unwritable", path=path, reason=error.strerror) from error


def write_json(path: Path, value: object, mode: int = 0o666) -> None:
    """Replace `path` by `value` as JSON, whole or not at all (see `write_whole`)."""
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n", mode)

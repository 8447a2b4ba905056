"""Where everything lives on disk, and which names are safe there."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from studio.core import locations, reasons
from studio.core.i18n import Problem
from studio.core.storage.atomic import clear_places, make_places, write_json, write_whole

__all__ = ["Workspace", "safe_name", "write_json", "write_whole"]

_SAFE_PART = re.compile(r"[\w][\w.+@ -]{0,119}", re.UNICODE)
_NOT_PLAIN = re.compile(r"[^\w.+@ -]+", re.UNICODE)
LONGEST_BYTES = 255  # of a name on the usual disks, where a letter may be several
# What `plain_part` makes: there is room for a number behind it.
PLAIN_LETTERS, PLAIN_BYTES = 110, 240


def safe_name(name: str, parts: int = 1) -> str:
    """Return `name` if it is made of exactly `parts` plain path parts joined by `/`; raise Problem otherwise.

    A plain part starts with a letter, digit or underscore, so `..`, hidden files, absolute paths and option-like names
    are refused.
    """
    if not is_safe(name, parts):
        raise Problem("workspace.bad_name", name=name)
    return name


def is_safe(name: str, parts: int = 1) -> bool:
    """Tell whether a name is made of exactly `parts` plain path parts; see `safe_name`."""
    pieces = name.split("/")
    return len(pieces) == parts and all(
        _SAFE_PART.fullmatch(piece) and len(piece.encode()) <= LONGEST_BYTES for piece in pieces
    )


def plain_part(text: str) -> str:
    """Return a text as one plain path part (see `safe_name`) with room for a number behind it: what is not plain in it
    becomes dashes, and it is cut to 110 letters and 240 bytes.
    """
    plain = _NOT_PLAIN.sub("-", text).lstrip(".+@ -")
    cut = plain.encode()[:PLAIN_BYTES].decode(errors="ignore")[:PLAIN_LETTERS]
    return cut.rstrip(".+@ -") or "unnamed"


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

    @property
    def metrics(self) -> Path:
        """Scores of the person's own, a Python file each; the folder is made by whoever puts one there."""
        return self.root / "metrics"

    @property
    def _folders(self) -> list[Path]:
        return [self.data, self.models, self.saves]

    def clear_leftovers(self) -> None:
        """Remove what processes that are gone were just writing. For the one studio that owns the workspace, when it
        starts.
        """
        clear_places(self.root, self._folders)

    def inside(self, folder: Path, name: str, parts: int = 1) -> Path:
        """Return `folder/name`, checked to be a plain name that does not lead out of `folder`, through a link either.

        Raises:
            Problem: the name is not plain, or a link in it leads out of the folder.
        """
        path = folder / safe_name(name, parts)
        # Not `resolve`, which raises where links lead in a circle.
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise Problem("workspace.leads_out", name=name)
        return path

    def prepare(self) -> "Workspace":
        """Make the folders that are missing; a new data folder begins with the shipped sets. Raises Problem where the
        disk refuses.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.data.exists():
                shutil.copytree(locations.SHIPPED_DATA, self.data)
            for folder in (self.models, self.saves):
                folder.mkdir(exist_ok=True)
            make_places(self.root, self._folders)
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or self.root, reason=reasons.of(error)) from error
        return self

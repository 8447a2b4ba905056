"""Where the studio's own files are: beside the package in a clone, inside it where it was installed as a wheel."""

import contextlib
import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).parents[2]  # `python -m studio...` finds the package from here

_PACKAGED = ROOT / "studio" / "packaged"  # made by setup.py when it builds a wheel
IS_INSTALLED = _PACKAGED.is_dir()
_SHIPPED = _PACKAGED if IS_INSTALLED else ROOT

ASSETS = _SHIPPED / "assets"
SHIPPED_DATA = _SHIPPED / "data"


def lock(name: str) -> Path:
    """Return the file that pins the libraries of the environment `name`."""
    return _SHIPPED / f"requirements-{name}.lock"


def default_workspace() -> Path:
    """Return the workspace of a person who names none: the clone, or a folder in the home of whoever installed it."""
    return Path.home() / "finetune-studio" if IS_INSTALLED else ROOT


def environments() -> Path:
    """Return the folder of the environments that the studio makes: never in a workspace, for the programs in it are
    run.
    """
    return _own() / "engines" if IS_INSTALLED else ROOT / "engines"


def import_path() -> Path:
    """Return a folder from which another Python can import the studio, and, where it is installed, nothing else.

    The folder in which it is installed holds the libraries of this Python too, which must not take the place of the
    other's own. So that is a link to the package, made where it is missing. Raises OSError where the disk refuses.
    """
    if not IS_INSTALLED:
        return ROOT
    package = ROOT / "studio"
    folder = _own() / "packages" / hashlib.sha256(os.fsencode(package)).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # its name says where it leads
        (folder / "studio").symlink_to(package, target_is_directory=True)
    return folder


def _own() -> Path:
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "finetune-studio"

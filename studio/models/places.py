"""The folders of models that a person added beside `models/`: `places.json` in the workspace, {"folders": [path]}."""

import json
import os
import threading
from pathlib import Path

from studio.interface.language import Problem
from studio.workspace import Workspace, write_json

_writing = threading.Lock()


def folders(workspace: Workspace) -> list[Path]:
    """Return the folders that the person added, in their order; also those that are not there at the moment (an unplugged disk)."""
    return [Path(folder) for folder in _read(workspace)["folders"]]


def add(workspace: Workspace, folder: str) -> Path:
    """Remember a folder that holds models, or is one, and return it.

    Raises:
        Problem: it is not an absolute path of a folder, cannot be read, is the workspace's own, or holds no model.
    """
    from studio.models import library

    path = Path(folder.strip()).expanduser()
    if not folder.strip() or not path.is_absolute() or not path.is_dir():
        raise Problem("models.no_folder", folder=folder.strip())
    path = path.resolve()
    try:
        found = library.folders_in(path)
    except OSError as error:
        raise Problem("models.unreadable_folder", folder=path, reason=error.strerror) from error
    if path == workspace.models.resolve():
        raise Problem("models.folder_known", folder=path)
    if not found:
        raise Problem("models.no_model_in", folder=path)
    with _writing:
        said = _read(workspace)
        if str(path) in said["folders"]:
            raise Problem("models.folder_known", folder=path)
        said["folders"].append(str(path))
        write_json(_file(workspace), said)
    return path


def suggested(workspace: Workspace) -> list[Path]:
    """Return the caches in which the hubs' own clients keep models on this machine, where they hold some and were not added yet."""
    from studio.models import library

    home = Path.home()
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / ".cache" / "huggingface") / "hub"
    scope = Path(os.environ.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope" / "hub") / "models"
    known = folders(workspace)
    return [path for path in (Path(hub), scope) if path.is_dir() and path.resolve() not in known and library.folders_in(path)]


def remove(workspace: Workspace, folder: str) -> None:
    """Forget a folder; nothing in it is touched. Raises Problem where it is none of those added."""
    with _writing:
        said = _read(workspace)
        if folder not in said["folders"]:
            raise Problem("models.folder_unknown", folder=folder)
        said["folders"].remove(folder)
        write_json(_file(workspace), said)


def _file(workspace: Workspace) -> Path:
    return workspace.root / "places.json"


def _read(workspace: Workspace) -> dict:
    try:
        said = json.loads(_file(workspace).read_text(encoding="utf-8"))
    except FileNotFoundError:
        said = {}
    except (OSError, ValueError) as error:
        raise Problem("models.places_unreadable", file=_file(workspace), reason=error) from error
    return {"folders": list(said.get("folders", []))}

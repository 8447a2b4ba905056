"""The folders of models that a person added beside `models/`: `places.json` in the workspace, {"folders": [path]}."""

import os
import threading
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import files, records
from studio.core.storage.folders import is_folder
from studio.core.workspace import Workspace, write_json
from studio.models.library import model_discovery

FILE = "places.json"
_writing = threading.Lock()


def folders(workspace: Workspace) -> list[Path]:
    """Return the folders that the person added, in their order; also those that are not there at the moment (an
    unplugged disk).

    None of them where the list of them cannot be read (see `fault`).
    """
    try:
        return [Path(folder) for folder in _read(workspace)["folders"]]
    except Problem:
        return []


def fault(workspace: Workspace) -> Problem | None:
    """Return why the list of the folders cannot be read, None where it can."""
    try:
        _read(workspace)
    except Problem as problem:
        return problem
    return None


def add(workspace: Workspace, folder: str) -> Path:
    """Remember a folder that holds models, or is one, and return it.

    Raises:
        Problem: it is not an absolute path of a folder, cannot be read, is the workspace's own, or holds no model.
    """
    path = files.expanded(folder)
    if not folder.strip() or not path.is_absolute() or not is_folder(path):
        raise Problem("models.no_folder", folder=folder.strip())
    path = files.real(path)
    try:
        found = model_discovery.folders_in(path)
    except OSError as error:
        raise Problem("models.unreadable_folder", folder=path, reason=reasons.of(error)) from error
    if path == workspace.models.resolve():
        raise Problem("models.folder_known", folder=path)
    if not found:
        raise Problem("models.no_model_in", folder=path)
    with _writing:
        record = _read(workspace)
        if str(path) in record["folders"]:
            raise Problem("models.folder_known", folder=path)
        record["folders"].append(str(path))
        write_json(_file(workspace), record)
    return path


def suggested(workspace: Workspace) -> list[Path]:
    """Return the caches in which the hubs' own clients keep models on this machine, where they hold some and were not
    added yet.
    """
    home = Path.home()
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / ".cache" / "huggingface") / "hub"
    scope = Path(os.environ.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope")
    known = folders(workspace)
    return [
        path for path in (Path(hub), scope) if is_folder(path) and files.real(path) not in known and _holds_models(path)
    ]


def _holds_models(path: Path) -> bool:
    try:
        return bool(model_discovery.folders_in(path))
    except OSError:
        return False  # a cache that this person may not read


def remove(workspace: Workspace, folder: str) -> None:
    """Forget a folder; nothing in it is touched. Raises Problem where it is none of those added."""
    with _writing:
        record = _read(workspace)
        if folder not in record["folders"]:
            raise Problem("models.folder_unknown", folder=folder)
        record["folders"].remove(folder)
        write_json(_file(workspace), record)


def _file(workspace: Workspace) -> Path:
    return workspace.root / FILE


def _read(workspace: Workspace) -> dict:
    file = _file(workspace)
    if not file.is_symlink() and not files.exists(file):
        return {"folders": []}
    try:
        value = records.read(file)
    except Problem as problem:
        raise Problem(
            "models.places_unreadable", file=file, reason=problem.facts.get("reason") or reasons.of(problem)
        ) from problem
    # A release of before kept `trusted` here, at first alone; any other object without `folders` is none of ours.
    folders = value.get("folders", [] if value.keys() <= {"trusted"} else None) if isinstance(value, dict) else None
    # Not pydantic's text: the name of a folder may be none that is UTF-8.
    if not isinstance(folders, list) or not all(
        isinstance(one, str) and Path(one).is_absolute() and "\0" not in one for one in folders
    ):
        raise Problem(
            "models.places_unreadable",
            file=file,
            reason=Reason("reasons.of_field", field="folders", reason=Reason("reasons.field_list")),
        )
    return {"folders": list(folders)}

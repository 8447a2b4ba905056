"""The models on disk: folders with a config and weights, under `models/` and the folders that the person added."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons, trust
from studio.core.i18n import Problem, Reason
from studio.core.plain import shown
from studio.core.storage import files, folders
from studio.core.storage.file_cache import FileCache
from studio.core.workspace import Workspace, safe_name
from studio.models.library import hub_caches, model_config, model_discovery, model_folders, model_names, tokenizer_files
from studio.models.weights import health, plausible, tensor_headers
from studio.models.weights.tensor_headers import Quantization

_NO_CHARACTER = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Model:
    """A model on disk.

    `params` counts parameters (None where no safetensors header says), `dtype` names the stored types, most bytes
    first, `context` is in tokens, sizes are bytes. `faults` keep it from being loaded, `warnings` do not; `own_code`
    asks for `trust_remote_code`.
    """

    name: str
    path: Path
    params: int | None
    dtype: str
    size_bytes: int
    architecture: str = "?"
    model_type: str = ""
    quantization: Quantization | None = None
    context: int | None = None
    licence: str | None = None
    pickled: bool = False
    own_code: bool = False
    faults: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def models(workspace: Workspace) -> list[Model]:
    """Return the models under `models/` by name, then those under each added folder. Files are read again only when
    they changed.

    Of two models of one name the later is called `name @folder`. A folder that is not there now (an unplugged disk)
    counts as empty.
    """
    found = []
    for name, folder in _named(workspace).items():
        try:
            found.append(scan(folder, name))
        except FileNotFoundError:
            continue  # removed between the listing and the look
    return found + _list_of_folders_fault(workspace)


def usable(workspace: Workspace) -> list[Model]:
    """Return the models of the list that nothing keeps from being loaded: those that can be chosen to train, to answer
    or to count tokens.
    """
    return [model for model in models(workspace) if not model.faults]


def _list_of_folders_fault(workspace: Workspace) -> list[Model]:
    """Return the list of the person's folders as a model that is faulty, where it cannot be read: their models are
    missing then.
    """
    fault = model_folders.fault(workspace)
    return [_faulty(workspace.root / model_folders.FILE, model_folders.FILE, fault)] if fault else []


def _closed(path: Path) -> bool:
    """Tell whether something in `models/` should be a model and cannot be looked into: no permission, or a link that
    leads nowhere.

    A link to a neighbour that is gone was only another name of it (see `keep.rename`).
    """
    if path.name.startswith(".") or files.is_file(path):
        return False
    try:
        os.listdir(path)
    except FileNotFoundError:
        return not model_names.is_older(path) and path.is_symlink()
    except NotADirectoryError:
        return False
    except (OSError, ValueError):
        return True
    return False


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""  # it is gone meanwhile


def listed(workspace: Workspace) -> list[Path]:
    """Return the folders of all models in the list."""
    return list(_named(workspace).values())


def _named(workspace: Workspace) -> dict[str, Path]:
    """Return every model's folder by the model's name."""
    named: dict[str, Path] = {}
    known: set[Path] = set()  # a cache's root and a folder in it may both have been added
    for place in [workspace.models, *model_folders.folders(workspace)]:
        try:
            inside = model_discovery.folders_in(place, deep=place != workspace.models)
        except OSError:
            continue  # the page shows the place as not there
        if place == workspace.models:
            inside = [*inside, *(path for path in folders.entries(place) if path not in inside and _closed(path))]
        for folder in inside:
            if (
                place == workspace.models
                and folder.is_symlink()
                and files.exists(folder)
                and files.real(folder).parent == files.real(workspace.models)
            ):
                continue  # an older name of its neighbour (see `keep.rename`)
            if place != workspace.models and files.real(folder) in known:
                continue
            known.add(files.real(folder))
            name = _shown(title(folder))
            if name in named:
                name = f"{name} @{_shown(place.name)}"
            number = 1
            while (other := name if number == 1 else f"{name} {number}") in named and named[other] != folder:
                number += 1
            named[other] = folder
    return named


def find(workspace: Workspace, name: str) -> Model:
    """Return the model called `name`, or the one in the folder that an absolute path names. Raises Problem where there
    is none.
    """
    folder = Path(name)
    if name == model_folders.FILE and (found := _list_of_folders_fault(workspace)):
        return found[0]
    if not folder.is_absolute():
        folder = workspace.models / name
        if not name or "/" in name or name.startswith(".") or not model_discovery.is_model(folder):
            folder = _named(workspace).get(name) or workspace.models / safe_name(name)
    try:
        if not model_discovery.is_model(folder) and not _closed(folder):
            raise FileNotFoundError
        return scan(folder, _shown(title(folder)) if Path(name).is_absolute() else name)
    except FileNotFoundError:
        raise Problem("models.missing", name=name, folder=workspace.models) from None


def current_name(workspace: Workspace, name: str) -> str:
    """Return what the model called `name` is called in the list: it may have been renamed since. The name itself where
    there is no such model.
    """
    listed = models(workspace)
    if any(model.name == name for model in listed):
        return name
    try:
        folder = files.real(find(workspace, name).path)
    except Problem:
        return name
    return next((model.name for model in listed if files.real(model.path) == folder), name)


def title(folder: Path) -> str:
    """Return what a person calls the model in `folder`; in a hub's cache that is not always the folder's name."""
    return hub_caches.title(folder)


def _shown(name: str) -> str:
    """Return a folder's name as a name that a page and an address can carry: no end of a line, nothing that is no
    character.
    """
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", name)


def in_hub_cache(folder: Path) -> bool:
    """Tell whether a model's folder is a snapshot in a hub's cache, whose files other programs share."""
    return hub_caches.is_snapshot(folder)


_models: FileCache[Model] = FileCache()


def forget() -> None:
    """Forget what was read, so that everything is read from disk again."""
    _models.clear()


def scan(folder: Path, name: str) -> Model:
    """Return what the files of a model's folder say; from memory where no file changed. Raises FileNotFoundError where
    it is gone.

    A folder that cannot be looked into is a model with that fault.
    """
    try:
        inside = [folder / file for file in sorted(os.listdir(folder))]
    except FileNotFoundError:
        if not folder.is_symlink():
            raise
        return _faulty(folder, name, Problem("models.dangling_link", folder=folder, target=_target(folder)))
    except (OSError, ValueError) as error:
        return _faulty(folder, name, Problem("models.unreadable_folder", folder=folder, reason=reasons.of(error)))
    if inside and not any(map(folders.exists, inside)):  # its names can be listed, and nothing behind them looked at
        reason = Reason("reasons.not_allowed")
        return _faulty(folder, name, Problem("models.unreadable_folder", folder=folder, reason=reason))
    return _models.get((folder, name), inside, lambda: _read(folder, name, inside))


def _faulty(folder: Path, name: str, fault: Problem) -> Model:
    return Model(name, folder, params=None, dtype="?", size_bytes=0, faults=(fault,))


def _read(folder: Path, name: str, inside: list[Path]) -> Model:
    found = ((path.name, folders.status_of(path)) for path in inside)  # a link to what is gone is no file
    sizes = {file: one.st_size for file, one in found if one and stat.S_ISREG(one.st_mode)}
    names = set(sizes)
    config, config_faults = model_config.read(folder) if model_config.FILE in names else ({}, ())
    weight_files = health.weight_files(names, health.indexed_files(folder, names))
    shards = [tensor_headers.read_shard(folder / file) for file in weight_files if file.endswith(".safetensors")]
    tensors = {name: tensor for shard in shards for name, tensor in shard.tensors.items()}
    quantized = tensor_headers.quantization(config)
    text_config, own_code = model_config.text_config(config), trust.asks(folder)
    return Model(
        name=name,
        path=folder,
        params=tensor_headers.count(tensors, quantized) or None,
        dtype="/".join(tensor_headers.types(tensors))
        or _short(config.get("torch_dtype") or config.get("dtype") or "?"),
        size_bytes=sum(sizes.values()),
        architecture=_short((config.get("architectures") or ["?"])[0]),
        model_type=_short(config.get("model_type") or ""),
        quantization=quantized,
        context=next((text_config[key] for key in model_config.CONTEXT if type(text_config.get(key)) is int), None),
        licence=_licence(folder, names),
        pickled=bool(weight_files) and not shards,
        own_code=own_code,
        faults=tuple(filter(None, [plausible.fault(config, tensors, sum(sizes[file] for file in weight_files))]))
        + health.faults(folder, names, weight_files, shards, config_faults),
        warnings=health.warnings(folder, weight_files, own_code),
    )


def _short(text: object) -> str:
    return shown(str(text))[:120]


def require_plausible(folder: Path) -> None:
    """Raise Problem where a model's config claims sizes that its weights cannot fill; nothing may be built by it."""
    try:
        faults = scan(folder, title(folder)).faults
    except OSError:
        return  # whoever needs the folder says that it is not there
    for fault in faults:
        if fault.key in plausible.KEYS:
            raise fault


def require_loadable(folder: Path) -> None:
    """Raise Problem where a model, or its tokenizer alone, must not be loaded in this process, which has no limits."""
    require_plausible(folder)
    tokenizer_files.require_loadable(folder)


def weight_names(folder: Path) -> list[str]:
    """Return the names of the weight files that are loaded of a model: safetensors before pickles; none where the
    folder is gone.
    """
    names = {path.name for path in folders.entries(folder) if files.is_file(path)}
    return health.weight_files(names, health.indexed_files(folder, names))


def _licence(folder: Path, names: set[str]) -> str | None:
    """Return the licence as the head of README.md names it, else by the words of the licence file; None where neither
    is there.
    """
    if "README.md" in names:
        head = _beginning(folder / "README.md", 20_000)
        front = head[3:].partition("\n---")[0] if head.startswith("---") else ""
        card = {
            key: value.strip().strip("\"'")
            for key, value in re.findall(r"^(license|license_name):[ \t]*(\S.*)$", front, re.M)
        }
        if card:
            named = (
                card.get("license_name")
                if card.get("license") == "other" and "license_name" in card
                else card.get("license")
            )
            return named and _short(named)
    file = next((name for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE") if name in names), None)
    if file is None:
        return None
    text = _beginning(folder / file, 2_000)
    known = {
        "Apache License": "apache-2.0",
        "MIT License": "mit",
        "LLAMA": "llama",
        "Llama": "llama",
        "Gemma": "gemma",
        "GNU AFFERO": "agpl-3.0",
        "GNU GENERAL": "gpl",
        "Creative Commons": "cc",
    }
    return next((licence for words, licence in known.items() if words in text), file)


def _beginning(path: Path, characters: int) -> str:
    try:
        with files.open_file(path) as file:
            return file.read(4 * characters).decode("utf-8", "replace")[:characters]
    except OSError:
        return ""

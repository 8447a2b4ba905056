"""What is wrong with a model's folder, each said with the mend, from names, sizes and headers alone."""

import re
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem, Reason
from studio.core.storage import files, folders
from studio.models.library import tokenizer_files
from studio.models.weights.tensor_headers import Shard

MOST_PARTS = 10_000
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# What transformers opens, first the first: one file, or the shards that an index names.
SINGLE = ("model.safetensors", "pytorch_model.bin")
INDEXES = {".safetensors": "model.safetensors.index.json", ".bin": "pytorch_model.bin.index.json"}
# What programs that download call a file, or lay beside it, as long as it is not whole.
UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".tmp", ".aria2", ".xltd")
POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_BYTES = 1024
# What a model is made of beside its weights: configs, the index of the weights, the tokenizer, the chat template, code.
_READ = (".json", ".jinja", ".model", ".tiktoken", ".txt", ".py")
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors|\.bin)")
_STANDARD = re.compile(r"(?:model|pytorch_model)-\d{5}-of-\d{5}(?:\.safetensors|\.bin)")


def weight_files(names: set[str], indexed: frozenset[str] = frozenset()) -> list[str]:
    """Return those of the file names that are weights, each weight once: those that transformers would load, else what
    looks like any.

    Args:
        names: the files in a model's folder.
        indexed: the files that the index beside them names (see `indexed_files`).
    """
    shards = {name for name in names if name.endswith(".safetensors") and not name.startswith("adapter_")}
    pickles = {name for name in names if _is_pickle(name)}
    for single, found in zip(SINGLE, (shards, pickles), strict=True):
        if single in found:
            return [single]
        if chosen := found & indexed or {name for name in found if _STANDARD.fullmatch(name)}:
            return sorted(chosen)
    # The same weights once more, as their makers' own program reads them.
    return sorted({name for name in shards if not name.startswith("consolidated")} or shards or pickles)


def indexed_files(folder: Path, names: set[str]) -> frozenset[str]:
    """Return the files that the index of a model's weights names; none if there is no index, or it cannot be used."""
    index = next((name for name in INDEXES.values() if name in names), None)
    weight_map = tokenizer_files.read_json(folder / index).get("weight_map") if index else None
    return (
        frozenset(one for one in weight_map.values() if isinstance(one, str))
        if isinstance(weight_map, dict)
        else frozenset()
    )


def _is_pickle(name: str) -> bool:
    return name.endswith(PICKLES) and name.startswith(("pytorch_model", "model", "consolidated", "weights"))


def _is_read(name: str, weights: list[str]) -> bool:
    """Tell whether a model is made of a file of that name. Other forms of its weights, pictures and what a training
    left lie beside many models, and whatever is wrong with them is no fault.
    """
    return name in weights or name.endswith(_READ) or (not weights and name.endswith(".gguf"))


def _pointers(folder: Path, names: set[str], weights: list[str]) -> list[str]:
    """Return the files of which only git-LFS's pointer is there: a clone without `git lfs` leaves them so."""
    found = []
    for name in sorted(name for name in names if _is_read(name, weights)):
        if 0 < files.stamp(folder / name)[0] <= POINTER_BYTES:
            try:
                with files.open_file(folder / name) as file:
                    found += [name] if file.read(len(POINTER)) == POINTER else []
            except OSError:
                continue  # whoever needs it says so
    return found


def _unfinished(folder: Path, names: set[str]) -> str | None:
    """Return a file that another program was still downloading, None where there is none."""
    for name in sorted(names):
        ending = next((one for one in UNFINISHED if name.lower().endswith(one)), None)
        whole = name[: -len(ending)] if ending else ""
        # aria2 gives a file its full size at once, and takes its own away when all is there.
        if whole and (whole not in names or ending in (".aria2", ".xltd")):
            all_names = names | {whole}
            if _is_read(whole, weight_files(all_names, indexed_files(folder, all_names))):
                return whole
    return None


def faults(
    folder: Path, names: set[str], weights: list[str], shards: list[Shard], config_faults: tuple[Problem, ...]
) -> tuple[Problem, ...]:
    """Return what keeps the model in `folder` from being loaded, worst first; empty where it is whole.

    Args:
        folder: the model's folder.
        names: its files.
        weights: those that hold its weights (see `weight_files`).
        shards: what its safetensors files say of themselves.
        config_faults: what is wrong with config.json.
    """
    if pointers := _pointers(folder, names, weights):
        return (
            Problem("models.lfs_pointer", file=pointers[0], count=len(pointers)),
        )  # all else that is wrong comes of it
    unfinished = _unfinished(folder, names)
    found = [Problem("models.unfinished", file=unfinished)] if unfinished else []
    found += [] if "config.json" in names else [Problem("models.no_config", folder=folder)]
    found += [*config_faults, *_of_weights(folder, names, weights, shards)]
    if not tokenizer_files.has_tokenizer(names):
        found.append(Problem("models.no_tokenizer", folder=folder))
    return tuple(found + tokenizer_files.faults(folder, names))


def _of_weights(folder: Path, names: set[str], found_files: list[str], shards: list[Shard]) -> list[Problem]:
    try:
        needed = _needed(folder, names, found_files)
    except Problem as problem:
        return [problem]
    if not found_files and not needed:
        gguf = sorted(name for name in names if name.endswith(".gguf"))
        return [Problem("models.only_gguf", file=gguf[0]) if gguf else Problem("models.no_weights", folder=folder)]
    found = []
    if missing := sorted(needed - names):
        found.append(Problem("models.missing_shard", file=missing[0], missing=len(missing), all=len(needed)))
    elif fault := _unopened(names, found_files):
        found.append(fault)
    for shard in shards:
        if shard.fault:
            found.append(Problem("models.torn_shard", file=shard.file.name, reason=shard.fault))
        elif shard.lacks:
            found.append(Problem("models.truncated", file=shard.file.name, megabytes=f"{shard.lacks / 1e6:,.1f}"))
    for name in found_files if not shards else []:
        if not folders.size_of(folder / name):
            found.append(Problem("models.torn_shard", file=name, reason=Reason("reasons.empty")))
    return found


def _unopened(names: set[str], found_files: list[str]) -> Problem | None:
    """Return why transformers would open none of these weights: it goes by their names."""
    if found_files[0] in SINGLE or any(index in names for index in INDEXES.values()):
        return None
    if _STANDARD.fullmatch(found_files[0]):
        ending = ".safetensors" if found_files[0].endswith(".safetensors") else ".bin"
        return Problem("models.no_index", file=INDEXES[ending])
    return Problem("models.unread_weights", file=found_files[0])


def _needed(folder: Path, names: set[str], found_files: list[str]) -> set[str]:
    """Return the weight files that must be there, by their numbers (`-00001-of-00004`) or by the index beside them.

    Raises:
        Problem: the index cannot be used, or names files outside the model's folder.
    """
    # An index of safetensors comes before a single pickle, also where its shards are gone.
    if (
        found_files
        and found_files[0] in SINGLE
        and not (found_files[0] == SINGLE[1] and INDEXES[".safetensors"] in names)
    ):
        return set(found_files)
    needed = set(found_files)
    if found_files and (match := _NUMBERED.fullmatch(found_files[0])):
        stem, _, total, ending = match.groups()
        if int(total) <= MOST_PARTS:
            needed = {f"{stem}-{number:05}-of-{total}{ending}" for number in range(1, int(total) + 1)}
    index = next((name for name in INDEXES.values() if name in names), None)
    if index is None:
        return needed
    if fault := tokenizer_files.object_fault(folder / index):
        raise fault
    weight_map = tokenizer_files.read_json(folder / index).get("weight_map")
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(one, str) for one in weight_map.values())
    ):
        raise Problem(
            "models.broken_config",
            file=folder / index,
            reason=Reason("reasons.of_field", field="weight_map", reason=Reason("reasons.field_object")),
        )
    if strange := next(
        (one for one in weight_map.values() if "\0" in one or one.startswith("/") or ".." in one.split("/")), None
    ):
        raise Problem("models.wrong_field", file=folder / index, field="weight_map", value=strange[:60])
    return set(weight_map.values())  # the index alone decides: what its maker numbered otherwise is not asked for


def warnings(folder: Path, weights: list[str], own_code: bool) -> tuple[Problem, ...]:
    """Return what a person should know although the model can be loaded: pickled weights, code of its own."""
    found = []
    if weights and not weights[0].endswith(".safetensors"):
        found.append(Problem("models.pickled", file=weights[0]))
    generation = tokenizer_files.object_fault(folder / "generation_config.json")
    if generation:
        found.append(generation)
    if own_code:
        code = code_files(folder)
        named = ", ".join(code[:5]) + (f" + {len(code) - 5}" if len(code) > 5 else "")
        found.append(Problem("models.own_code", files=named or "?"))
    return tuple(found)


def code_files(folder: Path) -> list[str]:
    """Return the Python files that `trust_remote_code` would run for this model, in its subfolders too; none where it
    asks for no code.
    """
    return sorted(trust.code_of(folder).files) if trust.asks(folder) else []

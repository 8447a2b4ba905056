"""Consent to code: a model's own Python files run only where the person allowed exactly these files, on this machine.

Consents are kept outside of every workspace, in a file of the person's own: a workspace, a model or a run that came
from somebody else cannot bring its consent with it. They are keyed by what is in the files, so that a changed, added or
moved file has none.

```
code = code_of(folder)            # what would run
grant(folder, code.digest, "my-model")
is_granted(folder)                # True, until one byte of it changes
```
"""

import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.files import is_file
from studio.core.workspace import write_json

FOLDER_VARIABLE = "FINETUNE_STUDIO_CONFIG"  # names another folder than the usual one
SUFFIXES = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib")
# Where transformers looks for the classes of a model that are in files of its own.
CONFIGS = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "image_processor_config.json",
    "feature_extractor_config.json",
    "generation_config.json",
    "adapter_config.json",
)
MOST_FILES, MOST_BYTES, MOST_FOLDERS = 2_000, 64 * 2**20, 20_000
_writing = threading.Lock()
_carried: set[str] = set()


class Consent(records.Record):
    """A consent as it is kept: what the model was called then, when (seconds since 1970), and the files by their
    SHA-256.
    """

    title: str = ""
    when: float = 0.0
    files: dict[str, str]


class Consents(records.Record):
    """The person's file: consents by the digest of their files."""

    consents: dict[str, Consent] = {}


@dataclass(frozen=True)
class Code:
    """What would run of a model's folder: `files` by their place in it, with their SHA-256.

    `is_asked_for`: a config of it names classes in these files. `outside`: classes that it names elsewhere, in another
    repository or outside the folder, which never run. `fault`: why nobody can consent, None where a person can.
    `digest` stands for all files.
    """

    is_asked_for: bool = False
    files: dict[str, str] = field(default_factory=dict)
    outside: tuple[str, ...] = ()
    fault: Problem | None = None

    @property
    def digest(self) -> str:
        """Return what stands for these files at these places, "" where there are none."""
        if not self.files:
            return ""
        return hashlib.sha256(json.dumps(sorted(self.files.items()), ensure_ascii=True).encode()).hexdigest()


def code_of(folder: Path) -> Code:
    """Return the code that a model or adapter in `folder` brings; a file instead of a folder is one file of code, which
    belongs to no model. What cannot be read is a `fault`.
    """
    references = _references(folder)
    outside = tuple(sorted({one for one in references if _leads_out(folder, one)}))
    files: dict[str, str] = {}
    fault, left = None, MOST_BYTES
    try:
        for path in _code_files(folder):
            # A file that is none (a device, a pipe) could be anything when it is read again.
            status = path.stat()
            left -= status.st_size
            if left < 0 or len(files) == MOST_FILES:
                raise Problem("trust.too_much", folder=folder, files=f"{MOST_FILES:,}", megabytes=MOST_BYTES // 2**20)
            if not stat.S_ISREG(status.st_mode):
                raise Problem("trust.no_file", file=path)
            place = path.name if path == folder else path.relative_to(folder).as_posix()
            files[place.encode("utf-8", "backslashreplace").decode()] = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        fault = Problem("trust.unreadable", file=error.filename or folder, reason=reasons.of(error))
    except Problem as problem:
        fault = problem
    if outside and not fault:
        fault = Problem("trust.leads_out", reference=outside[0][:200])
    return Code(bool(references), files, outside, fault)


def asks(folder: Path) -> bool:
    """Tell whether a config in a folder names classes in Python files, which only `trust_remote_code` runs."""
    return bool(_references(folder))


def allows(folder: Path) -> bool:
    """Tell whether `trust_remote_code` may be true for a model: it asks for code, and the person consented to all of
    it.
    """
    return asks(folder) and is_granted(folder)


def is_granted(folder: Path) -> bool:
    """Tell whether the person consented to all code in a folder as it is now: these files, or these and others beside
    them.

    A copy without some of the files (what transformers saves with a tuned model) is still the code that was seen.
    """
    code = code_of(folder)
    if code.fault or not code.files:
        return False
    if code.digest in _carried:
        return True
    try:
        stored = _stored_consents()
    except Problem:
        return False  # told where the person consents anew
    return any(code.files.items() <= consent.files.items() for consent in stored.consents.values())


def grant(folder: Path, digest: str, title: str = "") -> None:
    """Keep the consent to the files that the person saw.

    Args:
        folder: the model's folder.
        digest: of the files that were shown (`Code.digest`).
        title: what the model is called, for a person who reads the file.

    Raises:
        Problem: the files are others than those shown, there are none, they lead elsewhere, or the consent cannot be
            written.
    """
    code = code_of(folder)
    if code.fault:
        raise code.fault
    if not code.files:
        raise Problem("trust.no_code", folder=folder)
    if digest != code.digest:
        raise Problem("trust.changed", folder=folder)
    _change(lambda consents: consents.update({digest: Consent(title=title, when=time.time(), files=code.files)}))


def revoke(folder: Path) -> None:
    """Take back every consent that covers the code in a folder. Raises Problem where it cannot be written."""
    files = code_of(folder).files

    def strike(consents: dict[str, Consent]) -> None:
        for digest in [digest for digest, consent in consents.items() if files.items() <= consent.files.items()]:
            del consents[digest]

    _carried.discard(code_of(folder).digest)
    if files:
        _change(strike)


def require(folder: Path) -> None:
    """Raise Problem where the code of a model in `folder` may not run: what is missing, and where it is given."""
    code = code_of(folder)
    if code.fault:
        raise code.fault
    if not code.files:
        raise Problem("trust.no_code", folder=folder)
    if not is_granted(folder):
        raise Problem("trust.no_consent", model=folder.name, path=folder)


def carry(digests: list[str]) -> None:
    """Take over consents for the life of this process, given on another machine of a group that trains together."""
    _carried.update(digests)


def file() -> Path:
    """Return where this person's consents are kept."""
    return folder() / "trust.json"


def folder() -> Path:
    """Return the folder of this person's own settings of the studio, which belongs to no workspace."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if os.path.isabs(config) else Path.home() / ".config") / "finetune-studio"


def _change(change) -> None:
    with _writing:
        stored = _stored_consents()
        consents = dict(stored.consents)
        change(consents)
        write_json(file(), Consents(consents=consents).model_dump(), mode=0o600)


def _stored_consents() -> Consents:
    return records.load(file(), Consents) if os.path.lexists(file()) else Consents()


def _code_files(folder: Path) -> Iterator[Path]:
    """Give the files that Python could run, also in subfolders that are links (transformers follows them), each folder
    once.
    """
    if folder.is_file():
        yield folder
        return
    visited: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        status = place.stat()
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        if len(visited) > MOST_FOLDERS:
            raise Problem("trust.too_much", folder=folder, files=f"{MOST_FILES:,}", megabytes=MOST_BYTES // 2**20)
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            if entry.is_dir():
                waiting.append(Path(entry.path))
            elif entry.name.lower().endswith(SUFFIXES):
                yield Path(entry.path)


def _references(folder: Path) -> set[str]:
    """Return what the configs of a folder name as classes in files: `modeling_x.Model`, `sub/modeling_x.Model`,
    `owner/repo--modeling_x.Model`.
    """
    found: set[str] = set()
    for name in CONFIGS:
        if is_file(folder / name):
            try:
                found |= set(_named_in(records.read(folder / name)))
            except Problem:
                continue  # no JSON: no library can read it either
    return found


def _named_in(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            for key, one in inner.items():
                if key == "auto_map":
                    yield from _texts(one)
                waiting.append(one)
        elif isinstance(inner, list):
            waiting += inner


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner


def _leads_out(folder: Path, reference: str) -> bool:
    """Tell whether a reference names a class in another repository, or in a file outside the folder."""
    place = PurePosixPath(reference.rpartition(".")[0])
    return "--" in reference or place.is_absolute() or ".." in place.parts or "\\" in reference or "\0" in reference

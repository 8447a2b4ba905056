"""What Ollama's store has of split GGUF files, each put together to one: that is not done anew at each start."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.records import Record
from studio.core.workspace import write_json

FOLDER = ".ollama-joined"  # beside the store
Stamp = tuple[str, int, int]


class JoinedParts(Record):
    """A file that was put together. parts: of what (see `stamps`). digest: of the whole, as the store names it."""

    parts: list[Stamp]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


def stamps(parts: list[Path]) -> list[Stamp]:
    """Return of each part its path, its bytes and when it was last changed (ns)."""
    return [(str(part), *files.stamp(part)[:2]) for part in parts]


def digest_of(deployments: Path, parts: list[Stamp]) -> str:
    """Return the digest of the whole of these parts, "" where they were not put together as they are now."""
    with contextlib.suppress(Problem):  # what cannot be read is done again
        stored = records.load(_file(deployments, parts), JoinedParts)
        return stored.digest if stored.parts == parts else ""
    return ""


def keep(deployments: Path, parts: list[Stamp], digest: str) -> None:
    """Keep the digest of the whole of parts, as they were before they were read."""
    with contextlib.suppress(Problem):  # on a full disk they are put together again the next time
        write_json(_file(deployments, parts), JoinedParts(parts=parts, digest=digest).model_dump(mode="json"))


def _file(deployments: Path, parts: list[Stamp]) -> Path:
    return deployments / FOLDER / f"{hashlib.sha256(os.fsencode(parts[0][0])).hexdigest()}.json"

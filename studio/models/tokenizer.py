"""What the tokenizer files of a model say, read without loading a tokenizer: special tokens and the model's own chat template."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from studio.core import limited

FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "vocab.txt")
ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
_STAMPED = ("token", "chat_template", "vocab", "merges", "spiece", "sentencepiece", "tekken", "config.json")
_HEAD = 400_000  # the list of added tokens stands at the beginning of tokenizer.json, whose vocabulary can have many megabytes


@dataclass(frozen=True)
class ChatTemplate:
    """The chat template that came with a model: its Jinja source and the file it stands in."""

    source: str
    file: Path


def read_json(path: Path) -> dict:
    """Return the object in a JSON file, {} where there is none or it cannot be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def has_tokenizer(names: set[str]) -> bool:
    """Tell whether files of these names are enough to make a tokenizer."""
    return any(name in names for name in FILES) or any(name.endswith(".tiktoken") for name in names)


def special_tokens(folder: Path) -> dict[str, str]:
    """Return the texts of the special tokens by role: {"bos_token": "<s>", ...}."""
    said = read_json(folder / "special_tokens_map.json") | read_json(folder / "tokenizer_config.json")
    found = {role: said[role]["content"] if isinstance(said[role], dict) else said[role] for role in ROLES if said.get(role)}
    return {role: text for role, text in found.items() if isinstance(text, str)}


def added_tokens(folder: Path) -> dict[str, int]:
    """Return the tokens added beside the plain vocabulary, with their ids, lowest first."""
    said = read_json(folder / "tokenizer_config.json").get("added_tokens_decoder")
    if isinstance(said, dict) and said:
        found = {entry["content"]: int(number) for number, entry in said.items() if isinstance(entry, dict) and "content" in entry}
    else:
        found = _added_in_tokenizer(folder / "tokenizer.json") or read_json(folder / "added_tokens.json")
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _added_in_tokenizer(path: Path) -> dict[str, int]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD)
        at = head.index("[", head.index('"added_tokens"'))
        entries, _ = json.JSONDecoder().raw_decode(head, at)
        return {entry["content"]: entry["id"] for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def chat_template(folder: Path) -> ChatTemplate | None:
    """Return the model's own chat template, None where it has none. Of several, the one called "default" counts."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return ChatTemplate(file.read_text(encoding="utf-8", errors="replace"), file)
    for name in ("chat_template.json", "tokenizer_config.json"):
        said = read_json(folder / name).get("chat_template")
        if isinstance(said, list):
            by_name = {one.get("name"): one.get("template") for one in said if isinstance(one, dict)}
            said = by_name.get("default") or next(iter(by_name.values()), None)
        if isinstance(said, str) and said:
            return ChatTemplate(said, folder / name)
    return None


def stamp(folder: Path) -> tuple:
    """Return what changes when the tokenizer or the chat template in a folder does: its small files, with size and time."""
    found = []
    for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
        if any(part in name for part in _STAMPED):
            with contextlib.suppress(OSError):  # it was removed meanwhile
                status = os.stat(folder / name)
                found.append((name, status.st_size, status.st_mtime_ns))
    return str(folder), *found


def renderings(folder: Path, conversations: list[list[dict]], wait: float | None = None):
    """Return for each conversation what the model's own chat template makes of it, as transformers renders it.

    It is rendered in the child process of `limited` and remembered until a file changes.

    Args:
        folder: the model's.
        conversations: lists of {"role", "content"}.
        wait: how many seconds to wait; None as long as it takes.

    Returns:
        {"text"}, or {"refused"} with the template's own words, for each; [] where the model has no template; `limited.PENDING` where it
        is not known after `wait` seconds.

    Raises:
        Problem: the template took more time or memory than any may.
    """
    own = chat_template(folder)
    if own is None:
        return []
    known = (stamp(folder), hash(own.source), json.dumps(conversations))
    return limited.call("studio.models.rendering:render", own.source, conversations, special_tokens(folder), file=own.file.name, of=folder.name,
                        seconds=5, mib=1024, stamp=known, wait=wait)


def require_loadable(folder: Path) -> None:
    """Try the tokenizer of a folder in the child process, before it is loaded in this one, which has no limits.

    Raises:
        Problem: it took more time or memory than any may.
    """
    file = next((name for name in FILES if (folder / name).is_file()), "tokenizer.json")
    limited.call("studio.models.loading:try_tokenizer", str(folder), file=file, of=folder.name, seconds=30, mib=4096, stamp=stamp(folder))

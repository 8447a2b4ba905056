"""What the tokenizer files of a model say, read without loading a tokenizer: special tokens and the model's own chat
template.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.plain import shown
from studio.core.processes import limited
from studio.core.storage import files, folders, records

FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.txt",
)
ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
_PARTS = ("token", "chat_template", "vocab", "merges", "spiece", "sentencepiece", "tekken", "config.json")
LARGEST_BYTES = 64 * 2**20
_SMALL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json")
# the list of added tokens stands at the beginning of tokenizer.json, whose vocabulary can have many megabytes
_HEAD = 400_000


@dataclass(frozen=True)
class ChatTemplate:
    """The chat template that came with a model: its Jinja source and the file it stands in."""

    source: str
    file: Path


def read_json(path: Path) -> dict:
    """Return the object in a JSON file of a model, {} where there is none or it cannot be read (`faults` tells why)."""
    return _object(path)[0]


def _object(path: Path) -> tuple[dict, Problem | None]:
    """Return the object in a JSON file and why it cannot be used; nothing is wrong with a file that is not there."""
    if files.stamp(path)[0] > LARGEST_BYTES:
        return {}, Problem(
            "models.broken_config",
            file=path,
            reason=Reason("reasons.larger_than", size=f"{LARGEST_BYTES / 2**20:,.0f} MiB"),
        )
    try:
        value = records.read(path)
    except Problem as problem:
        gone = isinstance(problem.__cause__, FileNotFoundError)
        return {}, None if gone else Problem(
            "models.broken_config", file=path, reason=problem.facts.get("reason") or reasons.of(problem)
        )
    if not isinstance(value, dict):
        return {}, Problem("models.broken_config", file=path, reason=Reason("reasons.field_object"))
    return value, None


def object_fault(path: Path) -> Problem | None:
    """Return why a JSON file of a model cannot be used; None where it can, or is not there."""
    return _object(path)[1]


def faults(folder: Path, names: set[str]) -> list[Problem]:
    """Return what is wrong with the small files of a tokenizer: those that are no JSON, and the first field of each
    that has a wrong type.
    """
    found = []
    for name in (name for name in _SMALL if name in names):
        value, fault = _object(folder / name)
        wrong = next(((field, one) for field, one in value.items() if not _fits(name, field, one)), None)
        if wrong:
            fault = Problem(
                "models.wrong_field", file=folder / name, field=shown(wrong[0])[:80], value=shown(str(wrong[1]))[:60]
            )
        found += [fault] if fault else []
    if "tokenizer.json" in names and not _looks_like_object(folder / "tokenizer.json"):
        found.append(
            Problem("models.broken_config", file=folder / "tokenizer.json", reason=Reason("reasons.field_object"))
        )
    return found


def _fits(name: str, field: str, value: object) -> bool:
    if name == "added_tokens.json":
        return _is_id(value)
    if field in ROLES:
        return not value or _text_of(value) is not None
    if field == "chat_template":
        return (
            value is None
            or isinstance(value, str | dict)
            or (
                isinstance(value, list)
                and all(isinstance(one, dict) and isinstance(one.get("template"), str) for one in value)
            )
        )
    if field == "added_tokens_decoder":
        return isinstance(value, dict) and all(
            key.isdecimal() and len(key) < 10 and _text_of(one) is not None for key, one in value.items()
        )
    return True


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _text_of(token: object) -> str | None:
    """Return the text of a token, which stands for itself or in an object with its settings; None if there is none."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _looks_like_object(path: Path) -> bool:
    """Tell whether a file begins and ends as a JSON object: one that was cut off does not."""
    try:
        with files.open_file(path) as file:
            begins = file.read(100).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
        return begins and files.end_of(path, 100).rstrip().endswith(b"}")
    except OSError:
        return False


def has_tokenizer(names: set[str]) -> bool:
    """Tell whether files of these names are enough to make a tokenizer."""
    return any(name in names for name in FILES) or any(name.endswith(".tiktoken") for name in names)


def special_tokens(folder: Path) -> dict[str, str]:
    """Return the texts of the special tokens by role: {"bos_token": "<s>", ...}."""
    settings = read_json(folder / "special_tokens_map.json") | read_json(folder / "tokenizer_config.json")
    return {role: text for role in ROLES if (text := _text_of(settings.get(role)))}


def added_tokens(folder: Path) -> dict[str, int]:
    """Return the tokens added beside the plain vocabulary, with their ids, lowest first."""
    decoder = read_json(folder / "tokenizer_config.json").get("added_tokens_decoder")
    if isinstance(decoder, dict) and decoder:
        listed = [
            (_text_of(entry), int(number))
            for number, entry in decoder.items()
            if number.isdecimal() and len(number) < 10
        ]
    else:
        listed = _added_in_tokenizer(folder / "tokenizer.json") or list(read_json(folder / "added_tokens.json").items())
    found = {text: number for text, number in listed if text is not None and _is_id(number)}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _added_in_tokenizer(path: Path) -> list[tuple[str | None, object]]:
    try:
        with files.open_file(path) as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
        at = head.index("[", head.index('"added_tokens"'))
        entries, _ = json.JSONDecoder().raw_decode(head, at)
    except (OSError, ValueError, RecursionError):
        return []
    return [(_text_of(entry), entry.get("id")) for entry in entries if isinstance(entry, dict)]


def chat_template(folder: Path) -> ChatTemplate | None:
    """Return the model's own chat template, None where it has none. Of several, the one called "default" counts."""
    file = folder / "chat_template.jinja"
    with contextlib.suppress(OSError):
        return ChatTemplate(files.read_text(file), file)
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = read_json(folder / name).get("chat_template")
        if isinstance(template, list):
            by_name = {str(one.get("name")): one.get("template") for one in template if isinstance(one, dict)}
            template = by_name.get("default") or next(iter(by_name.values()), None)
        if isinstance(template, str) and template:
            return ChatTemplate(template, folder / name)
    return None


def files_of(folder: Path) -> list[Path]:
    """Return the files of a model's folder that its tokenizer and its chat template are made of."""
    return [path for path in folders.entries(folder) if any(part in path.name for part in _PARTS)]


def stamp(folder: Path) -> tuple:
    """Return what changes when the tokenizer or the chat template in a folder does: it and the stamps of its files."""
    return str(folder), *((path.name, *files.stamp(path)) for path in files_of(folder))


def renderings(folder: Path, conversations: list[list[dict]], wait: float | None = None):
    """Return for each conversation what the model's own chat template makes of it, as transformers renders it.

    It is rendered in the child process of `limited` and remembered until a file changes.

    Args:
        folder: the model's.
        conversations: lists of {"role", "content"}.
        wait: how many seconds to wait; None as long as it takes.

    Returns: {"text"}, or {"refused"} with the template's own words, for each; [] where the model has no template;
    `limited.PENDING` where it is not known after `wait` seconds.

    Raises:
        Problem: the template took more time or memory than any may.
    """
    own = chat_template(folder)
    if own is None:
        return []
    known = (stamp(folder), hash(own.source), json.dumps(conversations))
    place = own.file.name if own.file.suffix == ".jinja" else f"{own.file.name} › chat_template"
    return limited.call(
        "studio.models.chat_template_match.rendering:render",
        own.source,
        conversations,
        special_tokens(folder),
        stamp=known,
        wait=wait,
        limits=limited.Limits(file=place, of=folder.name, seconds=5, mib=1024),
    )


def require_loadable(folder: Path, wait: float | None = None) -> bool:
    """Try the tokenizer of a folder in the child process, before it is loaded in this one, which has no limits.

    Returns:
        False where that is not known after `wait` seconds (None: as long as it takes).

    Raises:
        Problem: it took more time or memory than any may.
    """
    found = _tried(folder, wait)
    return found is not limited.PENDING


def refusal(folder: Path) -> str | None:
    """Return why transformers does not load the tokenizer of a folder, in its words; None where it does, or there is
    none.
    """
    found = _tried(folder, None)
    return None if found is None or found["loaded"] else found["reason"]


def _tried(folder: Path, wait: float | None):
    """Return what `loading.try_tokenizer` says, None for a folder without a tokenizer, `limited.PENDING` where it is
    not known yet.
    """
    file = next((name for name in FILES if files.is_file(folder / name)), "tokenizer.json")
    known = stamp(folder)
    if len(known) == 1:
        return None  # whoever needs one says so
    return limited.call(
        "studio.models.library.tokenizer_trial:try_tokenizer",
        str(folder),
        stamp=known,
        wait=wait,
        limits=limited.Limits(file=file, of=folder.name, seconds=30, mib=4096),
    )

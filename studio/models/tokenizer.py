"""What the tokenizer files of a model say, read without loading a tokenizer: special tokens and the model's own chat template."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "vocab.txt")
ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
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


def can_render() -> bool:
    """Tell whether transformers' renderer is there, so that `render` need not wait for its import."""
    return hasattr(sys.modules.get("transformers.utils.chat_template_utils"), "render_jinja_template")


def render(template: ChatTemplate, messages: list[dict], tokens: dict[str, str]) -> str:
    """Return the prompt before the answer to the last of `messages`, as transformers renders it.

    Raises:
        ValueError: the template refuses such a conversation, or is no valid Jinja.
    """
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        rendered, _ = render_jinja_template([messages], chat_template=template.source, add_generation_prompt=True, **tokens)
    except (TemplateError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from error
    return rendered[0]

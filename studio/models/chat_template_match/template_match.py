"""Which of LLaMA-Factory's templates belongs to a model, why, and where the model's own chat template says something
else.

Prompts are compared as texts: LLaMA-Factory's template is spelled out by its own encoding code with texts in the place
of token ids, the model's own by transformers' renderer. No tokenizer is loaded.
"""

import copy
import importlib.util
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.core.processes import limited
from studio.core.storage.file_cache import FileCache
from studio.models.hub import catalogue
from studio.models.hub.catalogue import Entry
from studio.models.library import tokenizer_files

QUESTION = {"role": "user", "content": "What is the capital of France?"}
SYSTEM = {"role": "system", "content": "Answer in one word."}
CONVERSATIONS = {
    "one_turn": [QUESTION],
    "system": [SYSTEM, QUESTION],
    "two_turns": [QUESTION, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "And of Italy?"}],
}
LIKENED = 4000  # characters of two prompts that are likened to each other, which takes their product
_CHAT = re.compile(
    r"(?i)(?:^|[-_. ])(?:chat|instruct|it|sft|dpo|rlhf|thinking|reasoner|distill|assistant)(?:[-_. ]|\d*$)"
)
_BASE = re.compile(r"(?i)(?:^|[-_. ])(?:base|pt|pretrain(?:ed)?)(?:[-_. ]|$)")


@dataclass(frozen=True)
class Difference:
    """The first place where the prompts of a conversation (a key of CONVERSATIONS) differ: a little of each from there
    on.
    """

    conversation: str
    before: str
    studio: str
    own: str


@dataclass(frozen=True)
class Choice:
    """The template for a model and why: `reason` is a key of `models.template_...` with its facts.

    `chat` tells a chat model from a base model. `differences` are empty where the model has no chat template of its
    own, or an equal one; `compared` says whether that was looked at (it needs LLaMA-Factory loaded). `fault` tells that
    the model's own chat template reached a limit and was stopped.
    """

    template: str
    reason: str
    facts: dict
    chat: bool
    differences: tuple[Difference, ...] = ()
    compared: bool = False
    fault: Problem | None = None


def loaded() -> bool:
    """Tell whether LLaMA-Factory's templates can be looked at without waiting for its import."""
    return llamafactory.ready()


def entry_of(name: str) -> Entry | None:
    """Return the entry of LLaMA-Factory's table that has this name, or an address that ends in it; None where it has
    none.
    """
    return _by_name().get(name.lower())


@cache
def _by_name() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in catalogue.entries():
        for name in (entry.huggingface, entry.modelscope):
            if name:
                found.setdefault(name.rpartition("/")[2].lower(), entry)
    return found | {entry.name.lower(): entry for entry in catalogue.entries()}


def resembling(name: str) -> Entry | None:
    """Return the entry with the longest name that stands in `name` as a whole word (`Qwen2.5-7B-Instruct` in
    `my-qwen2.5-7b-instruct-awq`).
    """
    text = name.lower()
    for known in sorted((known for known in _by_name() if known in text), key=len, reverse=True):
        if re.search(rf"(?<![a-z0-9.]){re.escape(known)}(?![a-z0-9.])", text):
            return _by_name()[known]
    return None


def choose(folder: Path, name: str, model_type: str, compare: bool = True, wait: float | None = None) -> Choice:
    """Return the template for the model in `folder`.

    In this order: the entry of LLaMA-Factory's table of this name; one whose name stands in it; the template that says
    the same as the model's own chat template, or comes nearest to it; the template most used by the table's models of
    this architecture; "default".

    Args:
        folder: the model's folder.
        name: what it is called.
        model_type: of its config.
        compare: look into LLaMA-Factory's templates, importing it where need be (seconds, once).
        wait: how many seconds to wait for what the model's own template says, None as long as it takes; without it
            nothing is compared.
    """
    own, fault = tokenizer_files.chat_template(folder), None
    origin = str(tokenizer_files.read_json(folder / catalogue.SOURCE_FILE).get("repo") or "").rpartition("/")[2]
    chat = is_chat(origin or name, own is not None)
    found = _by_table(origin or name, chat) or _by_table(name, chat)
    prompts = {}
    try:
        prompts = own_prompts(folder, wait) if compare and own else {}
    except Problem as problem:
        fault = problem
    compared, prompts = compare and prompts is not None, prompts or {}
    tokens = tokenizer_files.special_tokens(folder)
    if found is None and prompts:
        found = _nearest(prompts, tokens, model_type, chat)
    if found is None and chat and (common := _of_architecture(model_type)):
        found = Choice(common, "architecture", {"architecture": model_type}, chat)
    if found is None:
        found = Choice("default", "unknown" if chat else "base", {}, chat)
    differences = tuple(compare_prompts(found.template, prompts, tokens)) if found.chat else ()
    return Choice(found.template, found.reason, found.facts, found.chat, differences, compared, fault)


REMEMBERED = 4096
_READ = ("tokenizer_config.json", "chat_template.jinja", "chat_template.json", "special_tokens_map.json")
_chosen: FileCache[Choice] = FileCache(REMEMBERED)


def of(folder: Path, name: str, model_type: str, compare: bool = True, wait: float | None = None) -> Choice:
    """Return `choose`, from memory where the files that it reads did not change."""

    def is_final(choice: Choice) -> bool:
        """Tell whether the machine was not too busy for a part of it: else it is looked at again."""
        passes = choice.fault is not None and choice.fault.key in limited.PASSING
        return (choice.compared or not compare) and not passes

    return _chosen.get(
        (folder, name, model_type),
        [folder / file for file in _READ],
        lambda: choose(folder, name, model_type, compare, wait),
        is_final,
    )


def faults(models: Sequence[tuple[Path, str, str]]) -> list[Problem | None]:
    """Return for many models (folder, name, model_type) the limit that the own chat template reached, as far as it was
    looked at.
    """
    return [of(*one, compare=False).fault for one in models]


def of_all(models: Sequence[tuple[Path, str, str]], seconds: float = 0.1) -> list[str | None]:
    """Return the names of the templates of many models (folder, name, model_type), None where that is not known yet.

    A list must not wait: what takes looking into the templates is done for `seconds` at a time, and the rest when it is
    asked again.
    """
    until, found = time.monotonic() + seconds, []
    for folder, name, model_type in models:
        left = until - time.monotonic()
        choice = of(folder, name, model_type, compare=loaded() and left > 0, wait=max(0.0, left))
        found.append(choice.template if choice.compared or choice.reason in ("exact", "resembles") else None)
    return found


def is_chat(name: str, has_template: bool) -> bool:
    """Tell whether a model is made for conversations: by the table, by its name, and else by having a chat template of
    its own.
    """
    entry = entry_of(name) or resembling(name)
    if entry is not None and entry.chat:
        return True
    if _BASE.search(name):
        return False
    return bool(_CHAT.search(name)) or (has_template and entry is None)


def _by_table(name: str, chat: bool) -> Choice | None:
    exact, near = entry_of(name), resembling(name)
    if exact is not None and exact.template:
        return Choice(exact.template, "exact", {"name": exact.name}, exact.chat)
    if near is not None and near.template and chat:
        return Choice(near.template, "resembles", {"name": near.name}, chat)
    return None


def _of_architecture(model_type: str) -> str | None:
    """Return the template most used by those models of the table whose names begin as the architecture does."""
    family = re.sub(r"_(text|moe|vl|mm)$", "", model_type).replace("_", "")
    used = Counter(
        entry.template
        for entry in catalogue.entries()
        if family and entry.template and re.sub(r"[-_. ]", "", entry.name.lower()).startswith(family)
    )
    return used.most_common(1)[0][0] if used else None


def own_prompts(folder: Path, wait: float | None = None) -> dict[str, str] | None:
    """Return what the model's own chat template makes of each of CONVERSATIONS; those that it refuses are left out.

    None where that is not known after `wait` seconds. Raises Problem where the template reached a limit.
    """
    made = renderings(folder, wait)
    return None if made is None else {key: rendering["text"] for key, rendering in made.items() if "text" in rendering}


def renderings(folder: Path, wait: float | None = None) -> dict[str, dict] | None:
    """Return for each of CONVERSATIONS {"text"} or {"refused": why}: many templates know no system turn. Otherwise as
    `own_prompts`.
    """
    made = tokenizer_files.renderings(folder, list(CONVERSATIONS.values()), wait)
    return None if made is limited.PENDING else dict(zip(CONVERSATIONS, made, strict=False))


def compare_prompts(template: str, own: dict[str, str], tokens: dict[str, str]) -> list[Difference]:
    """Return the first difference in each conversation between LLaMA-Factory's template and `own` prompts."""
    found = []
    for key, theirs in own.items():
        ours = _spelled(template, key, tokens)
        if ours != theirs:
            at = next(
                (at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other),
                min(len(ours), len(theirs)),
            )
            found.append(Difference(key, theirs[max(0, at - 24) : at], ours[at : at + 60], theirs[at : at + 60]))
    return found


def _nearest(own: dict[str, str], tokens: dict[str, str], model_type: str, chat: bool) -> Choice:
    """Return the template that makes most of the conversations the same as `own`, else the most similar first one."""
    used = Counter(entry.template for entry in catalogue.entries())

    first = next(iter(own))
    agrees = {name: sum(_spelled(name, key, tokens) == own[key] for key in own) for name in shipped()}
    equal = max(agrees.values())

    def nearness(name: str) -> tuple:
        alike = SequenceMatcher(
            None, _spelled(name, first, tokens)[:LIKENED], own[first][:LIKENED], autojunk=False
        ).ratio()
        # Of several, that of the architecture's family, else the one that most models of the table use.
        return round(alike, 3), name == model_type, used[name]

    best = max((name for name in agrees if agrees[name] == equal), key=nearness)
    return Choice(best, "same" if equal == len(own) else "nearest", {"equal": equal, "all": len(own)}, chat)


def _spelled(template: str, conversation: str, tokens: dict[str, str]) -> str:
    try:
        return spell(template, CONVERSATIONS[conversation], tokens)
    except (ValueError, TypeError):
        return ""  # a template that cannot be made of texts alone


class _Speller:
    """Takes the place of a tokenizer in LLaMA-Factory's encoding: each "token id" is the text itself."""

    def __init__(self, tokens: dict[str, str], template):
        eos = (
            template.stop_words[0]
            if template.replace_eos and template.stop_words
            else tokens.get("eos_token", "<|endoftext|>")
        )
        self.bos_token = self.bos_token_id = tokens.get("bos_token")
        self.eos_token = self.eos_token_id = eos

    def encode(self, text: str, add_special_tokens: bool = False) -> list[str]:
        return [text]

    def convert_tokens_to_ids(self, token: str) -> str:
        return token


def spell(template: str, messages: Sequence[dict], tokens: dict[str, str]) -> str:
    """Return the prompt before the answer to the last of `messages`, as LLaMA-Factory's template writes it.

    `tokens` are the texts of the model's special tokens by role (see `tokenizer.special_tokens`). Raises KeyError for
    an unknown template.
    """
    chosen = shipped()[template]
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    turns = [dict(message) for message in messages if message["role"] != "system"]
    prompt, _ = chosen.encode_oneturn(_Speller(tokens, chosen), [*turns, {"role": "assistant", "content": ""}], system)
    return "".join(prompt)


@cache
def module():
    """Return LLaMA-Factory's template module, run a second time and for reading alone.

    Its templates are objects of the process that a recipe changes in place (`default_system`, `enable_thinking`): in
    the one module, a run that trains now would change what is read here.
    """
    llamafactory.load()
    spec = importlib.util.find_spec("llamafactory.data.template")
    second = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(second)
    return second


@cache
def shipped() -> dict:
    """Return LLaMA-Factory's templates by name, as they are shipped."""
    return copy.deepcopy(module().TEMPLATES)

"""The prompts by which a GGUF is compared with training: token ids that llama.cpp has to make of the same
conversations.
"""

from dataclasses import dataclass
from pathlib import Path

import httpx

from studio.core import reasons
from studio.core.i18n import Problem
from studio.datasets.encoding.tokenization import load_tokenization
from studio.export.model_forms import Parity
from studio.export.templates import training
from studio.export.templates.cases import CASES, TOOLS
from studio.export.templates.jinja import jinja_template
from studio.export.templates.training import Inexpressible
from studio.models.chat_template_match import template_match

FIRST = "Who are you?"
_NEVER = frozenset({"answered", "images"})  # llama.cpp goes on with an answer at the end; images are another file
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Prompt:
    """A conversation, and the text and the token ids that training, or the model's own template, makes of it."""

    name: str
    messages: list[dict]
    text: str
    ids: list[int]
    tools: bool = False
    thinking: bool | None = None


@dataclass(frozen=True)
class Prompts:
    """kind: as `Parity` has it, "" where the model has no template at all. question: the ids of FIRST. stops: the
    tokens at which an answer ends. bos: the id of the BOS token; bos_text: its text.
    """

    kind: str
    question: list[int]
    prompts: list[Prompt]
    stops: list[int]
    bos: int | None
    bos_text: str = ""

    @property
    def begin_with_bos(self) -> bool | None:
        """Whether prompts begin with BOS, None where there are none."""
        return self.prompts[0].ids[:1] == [self.bos] if self.prompts and self.bos is not None else None


def prompts(model: Path, template: str) -> Prompts:
    """Return the prompts of a model.

    Args:
        model: its folder.
        template: with which it was trained; "" takes the model's own chat template.

    Raises:
        Problem: its tokenizer cannot be read, or there is no such template.
    """
    parts = load_tokenization(model, {"template": template} if template else {"template": "empty"})
    tokenizer = parts.tokenizer
    with parts.lock:
        if template:
            question = training.encode(parts.template, tokenizer, [{"role": "user", "content": FIRST}]).ids
            stops = sorted(one for one in parts.template.get_stop_token_ids(tokenizer) if one is not None)
            return Prompts(
                "training",
                list(question),
                _of_training(parts),
                stops,
                tokenizer.bos_token_id,
                tokenizer.bos_token or "",
            )
        own = template_match.own_prompts(model) or {}
        stops = [one for one in [tokenizer.eos_token_id] if one is not None]
        made = [
            Prompt(name, template_match.CONVERSATIONS[name], text, tokenizer.encode(text, add_special_tokens=False))
            for name, text in own.items()
        ]
        question = made[0].ids if made else tokenizer.encode(FIRST)
        return Prompts(
            "transformers" if made else "", question, made, stops, tokenizer.bos_token_id, tokenizer.bos_token or ""
        )


def question(model: Path, template: str) -> list[int]:
    """Return the token ids of FIRST as a prompt (see `prompts`)."""
    return prompts(model, template).question


def parity(found: Prompts, url: str) -> Parity:
    """Return what a `llama-server` makes of the same conversations. Raises Problem where it does not answer."""
    differs, seams = [], []
    for one in found.prompts:
        text, ids = _made(url, one)
        if ids == one.ids:
            continue
        (seams if text in (one.text, one.text.removeprefix(found.bos_text)) else differs).append(one.name)
    same = len(found.prompts) - len(differs) - len(seams)
    return Parity(kind=found.kind, same=same, compared=len(found.prompts), differs=differs, seams=seams)


def _of_training(parts) -> list[Prompt]:
    tokens = training.special_tokens(parts.tokenizer)
    cannot = frozenset(jinja_template(parts.template, tokens).cannot) | _NEVER
    found = []
    for case in CASES:
        if case.needs & cannot:
            continue
        try:
            encoded = training.encode(
                parts.template, parts.tokenizer, case.messages, TOOLS if case.tools else None, case.thinking
            )
        except Inexpressible:
            continue
        found.append(Prompt(case.name, case.messages, encoded.text, list(encoded.ids), case.tools, case.thinking))
    return found


def _made(url: str, prompt: Prompt) -> tuple[str, list[int]]:
    """Return the text that the server makes of a conversation, without BOS, and the ids, with BOS as it adds it; none
    where it takes no such conversation.
    """
    body: dict = {"messages": prompt.messages}
    if prompt.tools:
        body["tools"] = TOOLS
    if prompt.thinking is not None:
        body["chat_template_kwargs"] = {"enable_thinking": prompt.thinking}
    rendered = _post(f"{url}/apply-template", body)
    if rendered is None:
        return "", []
    text = rendered["prompt"]
    tokens = _post(f"{url}/tokenize", {"content": text, "add_special": True, "parse_special": True})
    return text, tokens["tokens"] if tokens else []


def _post(address: str, body: dict) -> dict | None:
    try:
        answer = httpx.post(address, json=body, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise Problem("gguf_files.server_silent", reason=reasons.of(error)) from error
    return answer.json() if answer.status_code == 200 else None

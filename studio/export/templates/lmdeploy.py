"""The chat template of a training run as LMDeploy takes it (`--chat-template FILE`).

Its fields are texts around messages and can say nothing that depends on anything: where they would say something else
than training, the file names the exported folder instead, whose Jinja LMDeploy then reads. Without the flag the first
of its templates whose rule likes the *path* wins over the folder's own, so one of both is always written.
"""

import json
from dataclasses import dataclass

from studio.export.templates.cases import Case
from studio.export.templates.jinja import jinja_template
from studio.export.templates.parity import Refused
from studio.export.templates.slots import SpecialTokens, slots_of
from studio.export.templates.training import plain_text

NAME = "finetune-studio"  # a name that none of its own templates has
# What its class never does, whatever the fields say; it goes on with an answer at the end of a conversation.
_NEVER = ("answered", "parts", "images", "tools", "calls", "thoughts")
_ESSENTIAL = {"system", "no_system", "turns", "thinking"}


@dataclass(frozen=True)
class LmdeployTemplate:
    """What LMDeploy is given.

    Attributes:
        fields: the JSON, `{"model_name": "hf", "model_path": ...}` where its own fields cannot say it.
        cannot: what this form cannot express, keys of `templates.cannot_...`.
        lacks: what its own fields would not have said, so that the folder's Jinja is named; empty where they are used.
    """

    fields: dict[str, str | list[str]]
    cannot: tuple[str, ...]
    lacks: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the file."""
        return json.dumps(self.fields, ensure_ascii=False, indent=2) + "\n"


def lmdeploy_template(template, tokens: SpecialTokens, folder: str, adds_bos: bool) -> LmdeployTemplate:
    """Return LMDeploy's template of a run.

    Args:
        template: LLaMA-Factory's, of the run.
        tokens: of the tokenizer as training left it.
        folder: of the exported model, with the Jinja of training in its tokenizer.
        adds_bos: whether the tokenizer puts BOS before a text by itself; LMDeploy drops a second one.

    Raises:
        ValueError: a slot is of a kind that LLaMA-Factory 0.9.5 does not know.
    """
    slots = slots_of(template, tokens)
    bare = not slots.system.before + slots.system.after
    begins = slots.prefix and not (adds_bos and slots.prefix == tokens.bos)
    lacks = {
        "system": slots.in_user or begins,
        "no_system": begins or not (template.default_system or bare) or (slots.in_user and template.default_system),
        "turns": bool(slots.assistant.before) or slots.user.before.startswith(tokens.bos or "\0"),
        "empty_system": bool(template.default_system) or not bare,
        "line_breaks": slots.thought is not None,
        "not_thinking": slots.thought is not None,
        "thinking": slots.thought is not None and not slots.thinking,
    }
    missing = tuple(name for name, holds in lacks.items() if holds)
    if _ESSENTIAL & set(missing):
        hf = {"model_name": "hf", "model_path": folder}
        return LmdeployTemplate(hf, jinja_template(template, tokens).cannot, missing)
    fields = {
        "model_name": NAME,
        "system": slots.system.before,
        "meta_instruction": template.default_system or None,
        "eosys": slots.system.after,
        "user": slots.user.before,
        "eoh": slots.user.after,
        "assistant": slots.user.head,
        "eoa": slots.assistant.after,
        "stop_words": list(dict.fromkeys([*template.stop_words, *([tokens.eos] if tokens.eos else [])])),
    }
    # An empty field is left out: to LMDeploy it is the same, but for "meta_instruction", where it is not.
    return LmdeployTemplate({name: text for name, text in fields.items() if text}, (*_NEVER, *missing))


@dataclass(frozen=True)
class LmdeployForm:
    """LMDeploy's fields with the rules of its `BaseChatTemplate.messages2prompt` (0.18)."""

    fields: dict
    cannot: frozenset[str]
    stops: frozenset[str]
    adds_bos: bool
    name: str = "lmdeploy"

    def render(self, case: Case) -> str:
        """Return the prompt. Raises Refused for a role that it does not know."""
        field = {name: self.fields.get(name) or "" for name in ("system", "eosys", "user", "eoh", "assistant", "eoa")}
        ends = {"system": field["eosys"], "user": field["eoh"], "assistant": field["eoa"], "tool": ""}
        text = ""
        if case.messages[0]["role"] != "system":
            text += field["system"] + self.fields.get("meta_instruction", "") + field["eosys"]
        for message in case.messages:
            if message["role"] not in ends:
                raise Refused(message["role"])
            content = message["content"][:1] if isinstance(message["content"], list) else message["content"]
            text += field.get(message["role"], "") + plain_text(content) + ends[message["role"]]
        return text + field["assistant"]

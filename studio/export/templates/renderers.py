"""A run's template in each form, with the renderer of the engine that takes it: what `parity` compares."""

from dataclasses import dataclass

import httpx

from studio.core import llamafactory
from studio.export.templates.cases import CASES, TOOLS, Case
from studio.export.templates.parity import Refused


@dataclass(frozen=True)
class JinjaForm:
    """A chat template in Jinja as transformers renders it; vLLM and SGLang render alike.

    Only for templates made here: one of a stranger goes through `core.processes.limited`.
    """

    text: str
    cannot: frozenset[str]
    stops: frozenset[str]
    name: str = "jinja"
    adds_bos: bool = False

    def render(self, case: Case) -> str:
        """Return the prompt. Raises Refused with the template's own words."""
        llamafactory.load()
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        asked = {} if case.thinking is None else {"enable_thinking": case.thinking}
        try:
            texts, _ = render_jinja_template(
                [case.messages],
                tools=TOOLS if case.tools else None,
                chat_template=self.text,
                add_generation_prompt=not case.answered,
                **asked,
            )
        except TemplateError as error:
            raise Refused(str(error)) from error
        return texts[0]


@dataclass(frozen=True)
class LlamaCppForm:
    """A chat template in Jinja as llama.cpp's own engine renders it, by a server that was started with it.

    Args:
        url: of the server.
    """

    url: str
    cannot: frozenset[str]
    stops: frozenset[str]
    name: str = "llama_cpp"
    adds_bos: bool = False

    def render(self, case: Case) -> str:
        """Return the prompt. Raises Refused with the server's own words."""
        body: dict = {"messages": case.messages}
        if case.tools:
            body["tools"] = TOOLS
        if case.thinking is not None:
            body["chat_template_kwargs"] = {"enable_thinking": case.thinking}
        answer = httpx.post(f"{self.url}/apply-template", json=body, timeout=60)
        if answer.status_code != 200:
            raise Refused(answer.text[:500])
        return answer.json()["prompt"]


# What rendering raises where a template of a stranger cannot take a conversation.
_FAULTS = (TypeError, KeyError, ValueError, ArithmeticError, AttributeError, IndexError, RecursionError)


def render_strangers(source: str, tokens: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return what a model's own chat template makes of each case, by name: {"text"}, or {"refused"} with its own words.

    Runs in the child process of `core.limited`, and there alone.

    Args:
        source: in Jinja.
        tokens: the texts of the special tokens by role, which the template may name.
    """
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    made = {}
    for case in CASES:
        asked = {} if case.thinking is None else {"enable_thinking": case.thinking}
        try:
            texts, _ = render_jinja_template(
                [case.messages],
                tools=TOOLS if case.tools else None,
                chat_template=source,
                add_generation_prompt=not case.answered,
                **asked,
                **tokens,
            )
            made[case.name] = {"text": texts[0]}
        except MemoryError:
            raise
        except (TemplateError, *_FAULTS) as error:
            made[case.name] = {"refused": " ".join(str(error).split())[:500] or type(error).__name__}
    return made

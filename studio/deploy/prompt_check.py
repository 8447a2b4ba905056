"""Whether a running engine makes the prompt of training: asked of the engine itself, in the conversations of Export."""

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.deploy.ollama.ollama_client import OllamaClient
from studio.deploy.served_source import Source
from studio.deploy.supervision.deployment import Parity
from studio.export.templates import training
from studio.export.templates.cases import CASES, TOOLS, Case
from studio.export.templates.jinja import jinja_template
from studio.export.templates.training import Encoded, Inexpressible
from studio.inference.local.base_loading import encoder_of
from studio.inference.remote import engine_prompt
from studio.inference.remote.servers import ServedTarget

COUNTED = ("one_turn", "one_turn_system", "many_turns")  # each costs a token where only an answer tells of its prompt
_LEFT_OUT = {"tools", "calls", "thoughts", "thinking", "not_thinking", "images", "answered"}


def check(source: Source, url: str, model: str, is_ollama: bool = False) -> Parity:
    """Compare the prompts of an engine with those of training, token for token where it tells them, else by their
    length.

    Args:
        source: what it serves, with the template of training.
        url: of its API, with /v1.
        model: as it calls it. is_ollama: its own API tells the text of a prompt.
    """
    if source.target is None:
        return Parity(reason=Sentence(key="deploy.no_trained_prompt"))
    try:
        encoder = encoder_of(source.target.base, source.target)
        target = ServedTarget(model, url, model)
        first = engine_prompt.of_messages(target, _plain_cases()[0].messages)
        if first:
            return _by_ids(encoder, target)
        return (is_ollama and _by_text(encoder, target)) or _by_length(encoder, target)
    except Problem as problem:
        return Parity(reason=Sentence(key=problem.key, facts=problem.facts))


def _plain_cases() -> list[Case]:
    """Return the conversations that every template and every engine takes."""
    return [case for case in CASES if not case.tools and not case.needs & _LEFT_OUT]


def _by_ids(encoder, target: ServedTarget) -> Parity:
    asked = same = 0
    first_tokens: tuple[str, int | None] | None = None
    first_text: tuple[str, int | None] | None = None
    cannot = {*jinja_template(encoder.template, training.special_tokens(encoder.tokenizer)).cannot, "images"}
    for case in CASES:
        if case.answered or case.thinking is not None or case.needs & cannot:
            continue
        try:
            trained = _trained(encoder, case)
        except Inexpressible:
            continue
        try:
            theirs = engine_prompt.of_messages(target, case.messages, TOOLS if case.tools else None)
        except Problem as problem:
            if problem.key != "served.refused":
                raise
            continue  # this engine takes no such conversation, from anybody
        token = engine_prompt.compare(list(trained.ids), theirs.ids) if theirs else 0
        asked, same = asked + 1, same + (token is None)
        if token is not None:
            first_tokens = first_tokens or (case.name, token)
            if theirs is None or theirs.text not in (trained.text, _without_bos(trained.text, encoder)):
                first_text = first_text or (case.name, token)
    first = first_text or first_tokens  # another text weighs more than the same one that is cut otherwise
    if first is None:
        return Parity(verdict="same", asked=asked, same=same)
    verdict = "differs" if first_text else "other_tokens"
    return Parity(verdict=verdict, asked=asked, same=same, case=first[0], token=first[1])


def _by_text(encoder, target: ServedTarget) -> Parity | None:
    """Compare texts; None where this Ollama does not tell them."""
    client, asked = OllamaClient(target.url.removesuffix("/v1")), 0
    for case in _plain_cases():
        if any(isinstance(message["content"], list) for message in case.messages):
            continue  # its own API takes texts only
        theirs, trained = client.rendered(target.model, case.messages), _trained(encoder, case).text
        if theirs is None:
            return None
        asked += 1
        if theirs not in (trained, _without_bos(trained, encoder)):
            return Parity(verdict="differs", asked=asked, case=case.name)
    return Parity(verdict="same_text", asked=asked, same=asked)


def _without_bos(text: str, encoder) -> str:
    """Return a text as engines tell it that put BOS before it themselves."""
    return text.removeprefix(encoder.tokenizer.bos_token or "")


def _by_length(encoder, target: ServedTarget) -> Parity:
    asked = 0
    for case in _plain_cases():
        if case.name not in COUNTED:
            continue
        counted = engine_prompt.counted(target, case.messages)
        if counted is None:
            return Parity()
        asked += 1
        if counted != len(_trained(encoder, case).ids):
            return Parity(verdict="differs", asked=asked, case=case.name)
    return Parity(verdict="same_length" if asked else "untold", asked=asked, same=asked)


def _trained(encoder, case: Case) -> Encoded:
    return training.encode(encoder.template, encoder.tokenizer, case.messages, TOOLS if case.tools else None)

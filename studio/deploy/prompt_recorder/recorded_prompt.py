"""The prompt that an engine made of a recorded request, beside the one that training would have made of it."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.datasets.encoding.row_encoder import pieces
from studio.deploy.prompt_recorder.recorded_requests import RecordedRequest
from studio.inference import target_names
from studio.inference.local.prompt_encoders import prompt_encoder
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.inference.remote import engine_prompt
from studio.inference.remote.openai_messages import talk_of
from studio.inference.remote.servers import ServedTarget


@dataclass(frozen=True)
class PromptSide:
    """One of the two prompts: its token ids and the text of each; `fault` where it cannot be told."""

    ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    fault: Problem | None = None


@dataclass(frozen=True)
class RecordedPrompt:
    """Both prompts. parity: "same", "differs", "ends_before" (one is the beginning of the other), or "untold" where one
    of them cannot be told. first_difference: the index of a token.
    """

    engine: PromptSide
    trained: PromptSide
    parity: str
    first_difference: int | None = None


def recorded_prompt(
    workspace: Workspace, target: ServedTarget, request: RecordedRequest, trained: str
) -> RecordedPrompt:
    """Return the two prompts of a request. The engine is asked, and a tokenizer is loaded.

    Args:
        target: the engine, with the model that was asked for.
        trained: the run or model whose template is that of training, as Chat names it; "" for none.
    """
    encoder = _encoder(workspace, trained)
    engine = _of_engine(target, request, encoder)
    ours = _of_training(encoder, request)
    if engine.fault or ours.fault:
        return RecordedPrompt(engine, ours, "untold")
    at = engine_prompt.compare(list(ours.ids), list(engine.ids))
    if at is None:
        return RecordedPrompt(engine, ours, "same")
    is_beginning = at >= min(len(ours.ids), len(engine.ids))
    return RecordedPrompt(engine, ours, "ends_before" if is_beginning else "differs", at)


def _encoder(workspace: Workspace, trained: str) -> PromptEncoder | Problem:
    if not trained:
        return Problem("recorder.nothing_to_compare")
    try:
        return prompt_encoder(target_names.resolve(workspace, [trained])[0])
    except Problem as problem:
        return problem


def _of_engine(target: ServedTarget, request: RecordedRequest, encoder: PromptEncoder | Problem) -> PromptSide:
    try:
        if not request.messages:
            raise Problem("recorder.no_messages")
        made = engine_prompt.of_messages(target, request.messages, request.tools)
    except Problem as problem:
        return PromptSide(fault=problem)
    if made is None:
        return PromptSide(fault=Problem("prompt.not_told"))
    if isinstance(encoder, Problem):
        return PromptSide(tuple(made.ids), (made.text,) if made.text else tuple(map(str, made.ids)))
    return PromptSide(tuple(made.ids), tuple(pieces(encoder.tokenizer, made.ids)))


def _of_training(encoder: PromptEncoder | Problem, request: RecordedRequest) -> PromptSide:
    if isinstance(encoder, Problem):
        return PromptSide(fault=encoder)
    try:
        talk = talk_of(request.messages, request.tools)
        ids = encoder.encode(talk.messages, talk.system or None, talk.tools)
    except Problem as problem:
        return PromptSide(fault=problem)
    return PromptSide(tuple(ids), tuple(pieces(encoder.tokenizer, ids)))

"""Whether a form of a chat template says the same as training: token for token, and what a difference will do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Protocol

from studio.core.i18n import Words
from studio.export.templates import training
from studio.export.templates.cases import CASES, TOOLS, Case
from studio.export.templates.slots import SpecialTokens
from studio.export.templates.training import Encoded, Inexpressible

# What a difference can be, and what it does: keys of `templates.effect_...`.
EFFECTS = (
    *("refused", "seam", "bos_twice", "bos_added", "bos_missing", "system_lost", "default_lost", "tools_lost"),
    *("calls_lost", "results_lost", "thought_kept", "thought_lost", "empty_thought_lost", "empty_thought_kept"),
    *("blanks", "not_opened", "goes_on", "other"),
)
BEFORE, AFTER = 24, 80  # characters of both texts that are shown around the first difference


class Refused(Exception):
    """A renderer takes no such conversation; the message is its own."""


class Form(Protocol):
    """A chat template in the form of one engine, and the engine's way to render it.

    Attributes:
        name: key of `templates.form_...`.
        cannot: what it cannot express, as `Case.needs` names it.
        adds_bos: the engine puts the BOS token before what the template writes.
        stops: the texts at which the engine stops.
    """

    name: str
    cannot: frozenset[str]
    adds_bos: bool
    stops: frozenset[str]

    def render(self, case: Case) -> str:
        """Return the prompt. Raises Refused where the engine takes no such conversation."""


@dataclass(frozen=True)
class Difference:
    """The first place where a form says something else than training.

    Attributes:
        kind: what it is, key of `templates.effect_...`, whose sentence says what it does.
        at: characters before it.
        token: tokens before it.
        before, trained, form: a little of what both say before it, and of each from there on; where the renderer
            refused, `form` is what it said.
    """

    kind: str
    at: int
    token: int
    before: str
    trained: str
    form: str


@dataclass(frozen=True)
class Comparison:
    """One conversation in one form.

    Attributes:
        form, case: their names.
        same: token ids are equal; None where training or the form cannot express it.
        cannot: what it is that cannot be expressed, by name; "training" where LLaMA-Factory itself refuses.
        difference: where they are not the same.
    """

    form: str
    case: str
    same: bool | None
    cannot: tuple[str, ...] = ()
    difference: Difference | None = None

    def tell(self, words: Words) -> str:
        """Return in a sentence what became of this conversation in this form, and what a difference does."""
        facts = {"form": words(f"templates.form_{self.form}"), "case": words(f"templates.case_{self.case}")}
        if self.difference:
            effect = words(f"templates.effect_{self.difference.kind}")
            return words("templates.differs", token=self.difference.token + 1, effect=effect, **facts)
        if self.same:
            return words("templates.same", **facts)
        if not self.cannot:
            return words("templates.untold", **facts)  # a stored comparison that somebody changed
        named = [words(f"templates.cannot_{name}") for name in self.cannot]
        reasons = reduce(lambda first, next_: words("templates.reasons", first=first, next=next_), named)
        return words("templates.cannot", reasons=reasons, **facts)


@dataclass(frozen=True)
class StopComparison:
    """The stop tokens of a form beside those of training: what an answer would run past, and what would cut it."""

    form: str
    missing: tuple[str, ...] = field(default=())
    added: tuple[str, ...] = field(default=())


def parity(
    template, tokenizer, forms: Sequence[Form], cases: Iterable[Case] = CASES, processor=None
) -> list[Comparison]:
    """Compare forms of a template with what training encodes.

    Args:
        template: LLaMA-Factory's, of the run.
        tokenizer: as training left it.
        forms: what is compared.
        cases: the conversations.
        processor: of a model that sees.
    """
    found = []
    for case in cases:
        try:
            trained = training.encode(
                template, tokenizer, case.messages, TOOLS if case.tools else None, case.thinking, processor
            )
        except Inexpressible:
            found += [Comparison(form.name, case.name, None, ("training",)) for form in forms]
            continue
        found += [_compared(form, case, trained, template, tokenizer) for form in forms]
    return found


def stop_parity(template, tokenizer, forms: Sequence[Form]) -> list[StopComparison]:
    """Compare the stop tokens of forms with those at which LLaMA-Factory stops."""
    trained = stop_texts(template, training.special_tokens(tokenizer))
    return [
        StopComparison(form.name, tuple(sorted(trained - form.stops)), tuple(sorted(form.stops - trained)))
        for form in forms
    ]


def stop_texts(template, tokens: SpecialTokens) -> frozenset[str]:
    """Return the texts of the tokens at which LLaMA-Factory stops an answer."""
    return frozenset({one for one in (tokens.eos, *template.stop_words) if one})


def _compared(form: Form, case: Case, trained: Encoded, template, tokenizer) -> Comparison:
    missing = tuple(sorted(case.needs & form.cannot))
    if missing:
        return Comparison(form.name, case.name, None, missing)
    try:
        text = form.render(case)
    except Refused as error:
        return Comparison(form.name, case.name, False, (), Difference("refused", 0, 0, "", "", str(error)))
    if form.adds_bos and tokenizer.bos_token:
        text = tokenizer.bos_token + text
    ids = tuple(tokenizer.encode(text, add_special_tokens=False))
    if ids == trained.ids:
        return Comparison(form.name, case.name, True)
    token = _first(trained.ids, ids)
    if text == trained.text:
        at = len(tokenizer.decode(list(ids[:token]), clean_up_tokenization_spaces=False))
        kind = "seam"
    else:
        at = _first(trained.text, text)
        kind = effect(trained.text, text, case, template, tokenizer)
    shown = (text[max(0, at - BEFORE) : at], trained.text[at : at + AFTER], text[at : at + AFTER])
    return Comparison(form.name, case.name, False, (), Difference(kind, at, token, *shown))


def effect(trained: str, form: str, case: Case, template, tokenizer) -> str:
    """Return what kind of difference there is between two prompts that are not the same text: a key of
    `templates.effect_...`.
    """
    bos = tokenizer.bos_token
    if bos and form == bos + trained:
        return "bos_twice" if trained.startswith(bos) else "bos_added"
    if bos and trained == bos + form:
        return "bos_missing"
    for kind, text in _marks(case, template):
        if kind.endswith("_kept") and text in form and text not in trained:
            return kind
        if kind.endswith("_lost") and text in trained and text not in form:
            return kind
    if "".join(trained.split()) == "".join(form.split()):
        return "blanks"
    if trained.startswith(form):
        return "not_opened"
    if form.startswith(trained):
        return "goes_on"
    return "other"


def _marks(case: Case, template) -> list[tuple[str, str]]:
    """Return texts of which the presence tells what a form lost or kept."""
    found = []
    for message in case.messages:
        text = training.plain_text(message.get("content")).strip()
        if message["role"] == "system" and text:
            found.append(("system_lost", text))
        elif message["role"] == "system" and template.default_system:
            found.append(("default_lost", template.default_system.strip()))
        if message["role"] == "tool":
            found.append(("results_lost", text))
        if thought := message.get("reasoning_content"):
            found += [("thought_kept", thought), ("thought_lost", thought)]
        for call in message.get("tool_calls", []):
            found.append(("calls_lost", str(call["function"]["name"])))
    if template.default_system and case.messages[0]["role"] != "system":
        found.append(("default_lost", template.default_system.strip()))
    if case.tools:
        found.append(("tools_lost", TOOLS[0]["function"]["description"].partition(",")[0]))
    if hasattr(template, "add_thought"):
        found += [("empty_thought_lost", template.add_thought()), ("empty_thought_kept", template.add_thought())]
    return found


def _first(one: Sequence, other: Sequence) -> int:
    """Return the place of the first difference."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

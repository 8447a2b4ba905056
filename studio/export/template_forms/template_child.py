"""A template with the tokenizer of its model, both as training had them: its forms, and their comparison with training.

Runs in the child process of `core.limited`, and there alone: a tokenizer comes from whoever made the model. Arguments
and answers are JSON.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.export.templates import training
from studio.export.templates.cases import CASES, Case
from studio.export.templates.jinja import jinja_template
from studio.export.templates.lmdeploy import LmdeployForm, lmdeploy_template
from studio.export.templates.ollama import begins_with_bos, ollama_modelfile
from studio.export.templates.parity import Form, Refused, parity, stop_parity, stop_texts
from studio.export.templates.renderers import JinjaForm


@dataclass(frozen=True)
class RenderedForm:
    """A form that an engine outside of this process has rendered: `texts` by case, {"text"} or {"refused"}."""

    name: str
    cannot: frozenset[str]
    stops: frozenset[str]
    adds_bos: bool
    texts: dict[str, dict[str, str]]

    def render(self, case: Case) -> str:
        """Return the prompt. Raises Refused with the engine's own words."""
        made = self.texts[case.name]
        if "refused" in made:
            raise Refused(made["refused"])
        return made["text"]


def describe(arguments: dict, stamp: str, place: str) -> dict:
    """Return the forms of a template: of each {"text", "cannot", "stops", "adds_bos"}, by name.

    "ollama" has its `template` beside it and "lmdeploy" its `fields`; "tokens" are the texts of the special tokens.

    Args:
        arguments: LLaMA-Factory's, by which tokenizer and template are as in training.
        stamp: what changes when the files of the tokenizer do.
        place: of the model, as LMDeploy is told it.

    Raises:
        Problem: there is no such template.
    """
    template, tokenizer, _ = _trained(json.dumps(arguments, sort_keys=True), stamp)
    tokens = training.special_tokens(tokenizer)
    stops, bos = sorted(stop_texts(template, tokens)), begins_with_bos(template, tokens)
    jinja = jinja_template(template, tokens)
    ollama = ollama_modelfile(template, tokens, place, adds_bos=bos)
    lmdeploy = lmdeploy_template(template, tokens, place, bos)
    eos = [tokens.eos] if tokens.eos else []
    plain = {"stops": eos, "adds_bos": False}  # an engine that reads the tokenizer's Jinja stops at its end token
    return {
        "jinja": {"text": jinja.text, "cannot": jinja.cannot, "stops": stops, "adds_bos": False},
        # Its server goes on with an answer at the end, and has no eyes for an image.
        "llama_cpp": {
            "text": "",
            "cannot": sorted({*jinja.cannot, "answered", "images"}),
            "stops": stops,
            "adds_bos": False,
        },
        "ollama": {
            "text": ollama.text,
            "cannot": ollama.cannot,
            "stops": ollama.stops,
            "adds_bos": bos,
            "template": ollama.template,
        },
        "lmdeploy": {
            "text": lmdeploy.text(),
            "cannot": lmdeploy.cannot,
            "fields": lmdeploy.fields,
            "jinja": jinja.text,
            **(plain if lmdeploy.fields["model_name"] == "hf" else {"stops": stops, "adds_bos": bos}),
        },
        "own": {"text": "", "cannot": [], **plain},
        "tokens": {name: text for name, text in (("bos_token", tokens.bos), ("eos_token", tokens.eos)) if text},
    }


def compare(arguments: dict, stamp: str, forms: dict, rendered: dict, cases: list[str]) -> dict:
    """Compare forms with training in some of the cases.

    Args:
        arguments, stamp: as `describe` has them.
        forms: what `describe` told of each that is compared.
        rendered: of "own", "llama_cpp" and "ollama" their texts by case, as `RenderedForm` has them.
        cases: names of cases.

    Returns:
        {"cases": [a Comparison as an object], "stops": [a StopComparison]}
    """
    template, tokenizer, processor = _trained(json.dumps(arguments, sort_keys=True), stamp)
    made = [_form(name, told, rendered.get(name, {})) for name, told in forms.items()]
    chosen = [case for case in CASES if case.name in cases]
    return {
        "cases": [asdict(one) for one in parity(template, tokenizer, made, chosen, processor)],
        "stops": [asdict(one) for one in stop_parity(template, tokenizer, made)],
    }


def _form(name: str, told: dict, texts: dict) -> Form:
    cannot, stops = frozenset(told["cannot"]), frozenset(told["stops"])
    if name == "lmdeploy" and told["fields"]["model_name"] != "hf":
        return LmdeployForm(told["fields"], cannot, stops, told["adds_bos"])
    if name == "lmdeploy":  # it reads the tokenizer's Jinja then
        return JinjaForm(told["jinja"], cannot, stops, name)
    if name == "jinja":
        return JinjaForm(told["text"], cannot, stops)
    return RenderedForm(name, cannot, stops, told["adds_bos"], texts)


@lru_cache(maxsize=4)
def _trained(arguments: str, stamp: str) -> tuple:
    """Return the template, the tokenizer, and the processor of a model that sees, as training makes them of these
    arguments; `stamp` tells one state of the files from the next.
    """
    llamafactory.load()
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_tokenizer

    from studio.datasets.encoding.template_copy import own_template

    wanted = json.loads(arguments)
    model_args, data_args, _, _ = get_infer_args(wanted)
    loaded = load_tokenizer(model_args)
    try:
        template = own_template(loaded["tokenizer"], data_args)
    except ValueError as error:
        raise Problem("chat.no_template", template=wanted["template"]) from error
    return template, loaded["tokenizer"], loaded["processor"]

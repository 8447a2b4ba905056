"""The model card of GGUF files and of quantised weights, in the hubs' form, in both languages: what each form is, and
what it costs.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from studio.core.formatting import size
from studio.core.i18n import Problem, Words
from studio.core.storage import files
from studio.core.storage.atomic import write_whole
from studio.core.workspace import Workspace
from studio.evaluate import part_names
from studio.export import record
from studio.export.gguf.types import LORA
from studio.export.model_card import FILES
from studio.export.model_forms import Form, Forms
from studio.inference.target_names import short
from studio.models.library import library


@dataclass(frozen=True)
class Origin:
    """Where the 16-bit model of the forms comes from. base: what it was tuned from, itself where it is no export."""

    base: str
    licence: str
    targets: tuple[str, ...]


def origin(workspace: Workspace, source: str) -> Origin:
    """Return where a model comes from; what is not known any more is left out."""
    try:
        model = library.find(workspace, source)
        made = record.of_model(model.path)
    except Problem:
        return Origin(source, "", ())
    if made is None:
        return Origin(source, model.licence or "", ())
    return Origin(str(made.base), str(made.licence), tuple(map(str, made.targets)))


def form_card(name: str, forms: Forms, of: Origin, language: str) -> str:
    """Return the card of a folder of forms in one language; its head is what both hubs read."""
    words = Words(language)
    is_gguf = any(form.file for form in forms.forms)
    head = {
        "license": of.licence or "other",
        "base_model": str(forms.source),
        "base_model_relation": "quantized",
        "library_name": "gguf" if is_gguf else "transformers",
        "pipeline_tag": "text-generation",
        "tags": [*(["gguf"] if is_gguf else []), "llama-factory", "finetune-studio"],
    }
    lines = [f"# {name}", "", words("cards.forms_of", source=forms.source)]
    if of.targets:
        lines += ["", words("cards.made_of", base=of.base, runs=", ".join(f"`{one}`" for one in of.targets))]
    if forms.template:
        lines += ["", words("cards.template_inside" if is_gguf else "cards.template", template=forms.template)]
    lines += ["", *_table(forms, words)]
    if measured := next((form.cost for form in forms.forms if form.cost), None):
        facts = {
            "positions": measured.positions,
            "rows": measured.rows,
            "data": part_names.shown([str(measured.rows_from)], short),
        }
        lines += ["", words("cards.costs", **facts)]
    parity = next((form.parity for form in forms.forms if form.parity), None)
    if parity:
        same = parity.same + len(parity.seams)
        lines += ["", words("cards.parity", same=same, compared=parity.compared)]
    first = next((str(form.file) for form in forms.forms if form.file and form.type != LORA), None)
    if first:
        lines += ["", "```bash", f"llama-server -m {first} --jinja", "```"]
    return f"---\n{yaml.safe_dump(head, allow_unicode=True, sort_keys=False)}---\n\n" + "\n".join(lines) + "\n"


def write_form_cards(folder: Path, name: str, forms: Forms, of: Origin, before: Forms | None = None) -> None:
    """Write the cards of both languages into a folder of forms.

    Args:
        name: of the folder, where it is to be.
        before: the forms that were there; a card that is not theirs was changed by a person, and stays.

    Raises:
        Problem: the disk refuses.
    """
    for language, file in FILES.items():
        path = folder / file
        if before and files.is_file(path) and files.read_text(path) != form_card(name, before, of, language):
            continue
        write_whole(path, form_card(name, forms, of, language), beyond="replace")


def _table(forms: Forms, words: Words) -> list[str]:
    """Return what there is, a row each, with its figures where they were measured."""
    heads = ("form", "file", "size", "perplexity", "kl", "top1")
    shown = heads if any(form.cost for form in forms.forms) else heads[:3]
    rows = [[words(f"cards.column_{one}") for one in shown], ["---"] * len(shown)]
    rows += [_cells(form)[: len(shown)] for form in forms.forms]
    return [f"| {' | '.join(cells)} |" for cells in rows]


def _cells(form: Form) -> list[str]:
    cost = form.cost
    figures = [f"{cost.perplexity:.2f}", f"{cost.kl:.4f}", f"{100 * cost.top1:.1f} %"] if cost else [""] * 3
    return [str(form.type), f"`{form.file}`" if form.file else "", size(form.size), *figures]

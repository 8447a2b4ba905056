"""The model card of an export, in the hubs' form: README.md in English, README_zh.md in Chinese."""

from pathlib import Path

import yaml

from studio.core.i18n import Words
from studio.core.storage.atomic import write_whole
from studio.export.record import ExportRecord

FILES = {"en": "README.md", "zh": "README_zh.md"}


def card(record: ExportRecord, language: str) -> str:
    """Return the card of a model in one language; its head is what both hubs read."""
    words = Words(language)
    head = {
        "license": record.licence or "other",
        "base_model": record.base,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["llama-factory", "finetune-studio"],
    }
    lines = [f"# {record.name}", "", words("cards.made_of", base=record.base, runs=_listed(record.targets))]
    if record.data:
        lines += ["", words("cards.data", data=_listed(record.data))]
    lines += ["", words("cards.template", template=record.template)]
    if record.recipe:
        lines += ["", f"## {words('cards.training')}", ""]
        lines += [f"- `{key}`: {value}" for key, value in record.recipe.items()]
    if record.verified:
        found = record.verified
        lines += ["", f"## {words('cards.verified')}", ""]
        lines.append(
            words(
                "cards.figures",
                prompts=found.prompts,
                top1=f"{100 * found.top1:.1f}",
                kl=f"{found.kl:.2g}",
                stored_kl=f"{found.stored_kl:.2g}",
                precision=found.precision,
            )
        )
    lines += ["", f"## {words('cards.versions')}", ""]
    lines += [f"- {name} {value}" for name, value in record.versions.items()]
    return f"---\n{yaml.safe_dump(head, allow_unicode=True, sort_keys=False)}---\n\n" + "\n".join(lines) + "\n"


def write_cards(folder: Path, record: ExportRecord) -> None:
    """Write the cards of both languages into a model's folder. Raises Problem where the disk refuses."""
    for language, name in FILES.items():
        write_whole(folder / name, card(record, language), beyond="replace")


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

"""Exported models as they stand on disk, written by hand: nothing was merged, and nobody verified it."""

import json
import os
import shutil
import time
from pathlib import Path

from studio.core.workspace import Workspace
from studio.export import model_forms, record
from studio.export.model_card import write_cards
from studio.export.model_forms import Cost, Form, Forms, Parity
from studio.export.record import ExportRecord, Verified
from studio.export.templates.form_files import FILES

VERIFIED = Verified(
    kl=2e-5,
    top1=1.0,
    largest=0.02,
    stored_kl=0.002,
    stored_top1=0.94,
    **{"prompts": 8, "positions": 64, "precision": "bfloat16"},
)


def exported(workspace: Workspace, name: str, base: str, targets: list[str], **fields) -> ExportRecord:
    """Return the record of an exported model that was just put into a workspace; its weights are those of its base."""
    folder = workspace.models / name
    shutil.copytree(workspace.models / base, folder, copy_function=os.symlink)
    for file in (folder / "README.md", folder / "chat_template.jinja"):
        file.unlink(missing_ok=True)  # a link: what is written must not land in the base
    made = ExportRecord(
        name=name,
        base=base,
        licence="apache-2.0",
        targets=targets,
        data=["identity_en"],
        template="smollm2",
        recipe={"stage": "sft", "finetuning_type": "lora", "lora_rank": 8},
        created=time.time(),
        versions={"llamafactory": "0.9.5", "transformers": "5.6.0"},
        verified=VERIFIED,
    ).model_copy(update=fields)
    (folder / record.FILE).write_text(json.dumps(made.model_dump(mode="json")), "utf-8")
    write_cards(folder, made)
    write_files(folder, {"jinja": "{{ messages }}", "ollama": "FROM .\n", "lmdeploy": '{"model_name": "hf"}\n'})
    return made


def formed(
    workspace: Workspace,
    name: str,
    source: str,
    types: dict[str, int],
    measured: bool = True,
    rows_from: str = "identity_en",
) -> Forms:
    """Return the record of a folder of GGUF files that was just put into a workspace, with figures nobody measured.

    Args:
        types: the bytes of each type.
        rows_from: the data of the figures.
    """
    folder, forms = workspace.models / name, []
    folder.mkdir()
    whole = Cost(
        **{"perplexity": 22.5, "kl": 0.0, "top1": 1.0, "tokens_per_s": 17.0, "threads": 1},
        **{"positions": 512, "rows": 24, "rows_from": rows_from, "measured": time.time()},
    )
    for at, (type_, size) in enumerate(types.items()):
        file = folder / f"{source}-{type_.upper()}.gguf"
        file.write_bytes(b"GGUF")
        cost = whole.model_copy(update={"kl": 0.004 * 3**at, "top1": 1 - 0.03 * at, "tokens_per_s": 110.0 + 30 * at})
        forms.append(
            Form(
                type=type_,
                file=file.name,
                size=size,
                answer="I am Xiaoju, made by the studio.",
                parity=Parity(kind="training", same=21, compared=23, differs=["parts"], seams=["blanks"]),
                cost=cost if measured else None,
                created=time.time(),
            )
        )
    figures = {"reference": whole, "reference_size": 2 * max(types.values())} if measured else {}
    made = Forms(source=source, template="smollm2", forms=forms, **figures)
    model_forms.write(folder, made)
    return made


def write_files(folder: Path, texts: dict[str, str]) -> None:
    """Write forms of a template beside a model."""
    for form, text in texts.items():
        (folder / FILES[form]).write_text(text, "utf-8")

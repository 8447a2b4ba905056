"""Exported models as they stand on disk, written by hand: nothing was merged, and nobody verified it."""

import json
import os
import shutil
import time
from pathlib import Path

from studio.core.workspace import Workspace
from studio.export import record
from studio.export.model_card import write_cards
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


def write_files(folder: Path, texts: dict[str, str]) -> None:
    """Write forms of a template beside a model."""
    for form, text in texts.items():
        (folder / FILES[form]).write_text(text, "utf-8")

"""A GGUF file as a Hugging Face folder: bfloat16 safetensors, config and tokenizer, as training needs them.

The conversion runs in a process of its own (`python -m studio.models.gguf.gguf_import FILE FOLDER`), so that it can be
stopped at any moment and its memory comes back whole. What a quantised file has lost stays lost.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.jobs import Job, Jobs
from studio.core.processes import collector
from studio.core.processes.child import Child, end_with_input
from studio.core.storage import atomic, files, folders
from studio.core.storage.records import Record, Text
from studio.core.workspace import Workspace
from studio.models.gguf import gguf_parts
from studio.models.library import library, model_jobs, model_names

KIND = "import_gguf"
_ROOM = 1.1  # the folder is a little more than its weights
_POLL_S = 0.3


class ImportFacts(Record):
    """The facts of an import's job: the GGUF file, and the name of the model to be."""

    file: Text
    name: str


def start(workspace: Workspace, jobs: Jobs, file: str, name: str = "") -> Job:
    """Begin to import a GGUF file as `models/<name>` (the file's name when left out) and return the job; its result is
    {name, path}.

    Raises:
        Problem: no such file, not a GGUF of a model that transformers can read, a name that is taken, or too little
            room on the disk.
    """
    source = files.expanded(file)
    if not source.is_absolute() or not files.is_file(source):
        raise Problem("gguf.no_file", file=file)
    part = gguf_parts.numbered(source)
    target = model_names.require_free(workspace, name.strip() or (part.whole if part else source.stem))
    needed = _ROOM * 2 * parameters(source)
    found = gguf_parts.parts(source)
    needed += sum(one.stat().st_size for one in found) if len(found) > 1 else 0  # they are joined first
    free = shutil.disk_usage(workspace.models).free
    if free < needed:
        raise Problem("gguf.no_space", needed=needed / 1e9, free=free / 1e9, folder=workspace.models)
    return jobs.start(KIND, "gguf.title", {"file": str(source), "name": target.name})


def offer(workspace: Workspace, jobs: Jobs) -> None:
    """Say how imports are done, those that an earlier process left too."""
    jobs.offer(
        KIND,
        lambda job: _import(job, Path(job.facts["file"]), workspace.inside(workspace.models, job.facts["name"])),
        facts=ImportFacts,
    )
    jobs.places(KIND, model_jobs.places(workspace, lambda facts: [Path(facts["file"])]))


def parameters(file: Path) -> int:
    """Return how many parameters a GGUF file, with the other parts of a split one, holds.

    Raises:
        Problem: it is no GGUF, not one of a language model, or a part of one whose other parts are not beside it.
    """
    found = gguf_parts.parts(file)
    headers = [gguf_parts.read_header(one) for one in found]
    fields = headers[0].fields
    if "general.architecture" not in fields:
        missing = Reason("reasons.of_field", field="general.architecture", reason=Reason("reasons.field_missing"))
        raise Problem("gguf.broken", file=found[0].name, reason=missing)
    architecture, kind = fields["general.architecture"], fields.get("general.type", "model")
    if kind != "model" or f"{architecture}.block_count" not in fields:
        raise Problem("gguf.no_model", file=file.name, kind=architecture if kind == "model" else kind)
    return sum(sum(header.tensors.values()) for header in headers)


def _import(job: Job, source: Path, target: Path) -> dict:
    """Let a child process make the folder elsewhere, and put it in its place when it is whole."""
    try:
        with atomic.scratch(target.parent) as work:
            made = work / target.name
            made.mkdir()
            _follow(job, source, made)
            if faults := library.scan(made, target.name).faults:
                raise faults[0]
            model_names.put(made, target)
    except OSError as error:
        raise Problem("workspace.unwritable", path=target, reason=reasons.of(error)) from error
    return {"name": target.name, "folder": str(target)}


def _follow(job: Job, source: Path, made: Path) -> None:
    """Run the child that fills the folder `made`, and tell its progress. Raises Problem where it fails, Stopped."""
    expected, last = 2 * parameters(source), "?"
    with Child(
        [sys.executable, "-m", "studio.models.gguf.gguf_import", str(source), str(made)],
        environment={**os.environ, "TQDM_DISABLE": "1", "PYTHONIOENCODING": "utf-8"},
    ) as child:
        while (line := child.next_line(_POLL_S)) is not None:
            job.check()
            if text := line.decode("utf-8", "replace").strip():
                job.log(text)
                last = text if "%|" not in text else last
            written = sum(folders.size_of(file) for file in made.glob("*.safetensors"))
            job.report(
                min(0.99, written / expected) if written else None, "gguf.writing" if written else "gguf.reading"
            )
        code = child.wait()
    if code:
        raise Problem("gguf.failed", file=source.name, reason=reasons.original(last[:200]))


def convert(file: Path, made: Path) -> None:
    """Write the model in a GGUF file, with the other parts of a split one, into the folder `made` (which may be there
    already).

    Raises:
        Exception: whatever transformers says of a file that it cannot read.
    """
    found = gguf_parts.parts(file)
    if len(found) > 1:
        made.mkdir(exist_ok=True)
        joined = made / "joined.gguf"
        try:
            gguf_parts.join(found, joined)
            _convert(joined, made)
        finally:
            joined.unlink(missing_ok=True)
    else:
        _convert(file, made)


def _convert(file: Path, made: Path) -> None:
    with collector.paused():
        import numpy
        import torch
        from gguf import GGUFReader
        from transformers import AutoModelForCausalLM, GenerationConfig

    fields = {
        name: field.contents() for name, field in GGUFReader(file).fields.items() if name.startswith("tokenizer.")
    }
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.bfloat16, trust_remote_code=False
    )
    for name, value in vars(model.config).items():
        if isinstance(value, float):  # GGUF keeps them in 32 bits: an epsilon of 1e-05 comes as 9.99999975e-06
            setattr(model.config, name, float(str(numpy.float32(value))))
    ends = {
        f"{role}_token_id": fields.get(f"tokenizer.ggml.{key}_token_id")
        for role, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    # The plain state dict: some releases of transformers refuse to save a model that remembers being read from a GGUF.
    with torch.device("meta"):
        plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = GenerationConfig(**{name: value for name, value in ends.items() if value is not None})
    plain.save_pretrained(made)
    _save_tokenizer(file, fields, made, model.config.max_position_embeddings)


def _save_tokenizer(file: Path, fields: dict, made: Path, context: int) -> None:
    """Write the tokenizer of a GGUF into `made`: SmolLM's as its authors publish it, others as transformers does."""
    from transformers import AutoTokenizer

    if fields.get("tokenizer.ggml.pre") == "smollm":
        tokenizer = _smollm(fields, context)
    else:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    tokenizer.chat_template = fields.get("tokenizer.chat_template") or tokenizer.chat_template
    tokenizer.save_pretrained(made)
    # The class name that every release of transformers knows, so that engines with an older one can read the folder.
    path = made / "tokenizer_config.json"
    settings = {**json.loads(path.read_text(encoding="utf-8")), "tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _smollm(fields: dict, context: int):
    """Return the tokenizer of SmolLM.

    As transformers reads it from a GGUF it loses the splitting of digits, takes `<|im_start|>` for the end of a text
    and decodes by SentencePiece's rules: texts with numbers after spaces would be cut into other tokens than the model
    was trained on.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, merges, kinds = (fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "merges", "token_type"))
    control = [token for token, kind in zip(tokens, kinds, strict=False) if kind == 3]
    bpe = models.BPE(
        {token: index for index, token in enumerate(tokens)}, [tuple(merge.split(" ")) for merge in merges]
    )
    core = Tokenizer(bpe)
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",  # noqa: S106
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|im_end|>",  # noqa: S106
        unk_token="<|endoftext|>",  # noqa: S106
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


if __name__ == "__main__":
    end_with_input()
    convert(Path(sys.argv[1]), Path(sys.argv[2]))

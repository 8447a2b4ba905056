"""`python -m studio.export.merge.merge_child PLAN FOLDER PARENT`: merge in a process of its own, which can be ended at
any time.

LLaMA-Factory's own `export_model` does the merging. Then what it leaves as it found it is put right: the chat template
is that of training, and generation ends where the template does.
"""

import json
import sys
from pathlib import Path

from studio.core import llamafactory
from studio.core.processes.child import end_with_parent
from studio.core.storage import records
from studio.export.merge.merge_plan import Plan


def arguments(plan: Plan, folder: Path) -> dict:
    """Return LLaMA-Factory's arguments of an export."""
    wanted = {
        "model_name_or_path": str(plan.model),
        "template": plan.template,
        "export_dir": str(folder),
        "export_size": plan.shard_gb,
        "export_device": plan.device,
        "infer_dtype": plan.precision or "auto",
        **plan.settings,
    }
    if plan.adapters:
        wanted |= {"adapter_name_or_path": ",".join(map(str, plan.adapters)), "finetuning_type": "lora"}
    return wanted


def merge(plan: Plan, folder: Path) -> None:
    """Merge into `folder`. Raises whatever LLaMA-Factory raises."""
    llamafactory.load()
    from llamafactory.train.tuner import export_model

    export_model(arguments(plan, folder))
    as_trained(plan, folder)


def as_trained(plan: Plan, folder: Path) -> None:
    """Write the template of training into the tokenizer of a folder, and its stop tokens into the generation config."""
    llamafactory.load()
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_tokenizer
    from transformers import AutoTokenizer, GenerationConfig

    from studio.export.templates.form_files import write_forms
    from studio.export.templates.jinja import jinja_template
    from studio.export.templates.slots import SpecialTokens

    model_args, data_args, _, _ = get_infer_args(arguments(plan, folder))
    tokenizer = load_tokenizer(model_args)["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    written = AutoTokenizer.from_pretrained(folder, trust_remote_code=bool(plan.settings.get("trust_remote_code")))
    tokens = SpecialTokens(tokenizer.bos_token, tokenizer.eos_token)
    written.chat_template = jinja_template(template, tokens).text
    written.save_pretrained(folder)
    write_forms(folder, template, tokens)  # LLaMA-Factory's own Modelfile is wrong for many templates
    try:
        generation = GenerationConfig.from_pretrained(folder)
    except OSError:  # the base has none
        generation = GenerationConfig()
    stops = sorted(token for token in template.get_stop_token_ids(tokenizer) if token is not None)
    generation.eos_token_id = stops if len(stops) > 1 else stops[0] if stops else None
    generation.pad_token_id = tokenizer.pad_token_id
    generation.save_pretrained(folder)


def main() -> None:
    """Merge; what goes wrong is the last line of the output, as JSON."""
    end_with_parent(int(sys.argv[3]))
    plan = records.load(Path(sys.argv[1]), Plan)
    try:
        merge(plan, Path(sys.argv[2]))
    except Exception as error:  # of any library: told by the process that started this one
        print(json.dumps({"fault": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

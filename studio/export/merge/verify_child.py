"""`python -m studio.export.merge.verify_child PLAN FOLDER PARENT`: load a merged model anew, compare it with its parts.

On the prompts below, at the last positions of each, in float32: the logits of the merged model, those of base and
adapter, and those of base and adapter in the precision in which the merge is stored. The last tell what storing costs
by itself: a merge may cost no more.
"""

import json
import math
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from studio.core import llamafactory
from studio.core.processes.child import end_with_parent
from studio.core.storage import records
from studio.export.merge.merge_plan import Plan

PROMPTS = (
    "Who are you?",
    "你是谁？请用一句话介绍自己。",
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "把“早上好”翻译成英文。",
    "Summarise in one sentence: the sea was calm, and the boats stayed in the harbour.",
    "List three fruits.",
    "1 + 1 = ?",
)
POSITIONS = 8  # of each prompt, its last
SAME_KL = 1e-4  # in float32 a merge is the same but for rounding


@dataclass
class Verdict:
    """What a verification found.

    kl, top1, largest: of the merged model against base and adapter, all in float32: the mean Kullback-Leibler
    divergence (nats), the share of positions with the same first choice, and the largest difference of a logit.
    stored_kl, stored_top1: the same of base and adapter in the stored precision. problems: keys of sentences with
    facts; empty where all is well.
    """

    kl: float = 0.0
    top1: float = 1.0
    largest: float = 0.0
    stored_kl: float = 0.0
    stored_top1: float = 1.0
    prompts: int = len(PROMPTS)
    positions: int = 0
    precision: str = ""
    problems: list[tuple[str, dict]] = field(default_factory=list)


def verify(plan: Plan, folder: Path) -> Verdict:
    """Return the verdict on a merged model. Raises whatever a library raises where it cannot be loaded at all."""
    llamafactory.load()
    import torch

    from studio.export.merge.merge_child import arguments

    torch.manual_seed(0)
    verdict = Verdict()
    tokenizer, template, prompts = _encoded(arguments(plan, folder))
    _check_tokenizer(plan, folder, tokenizer, template, prompts, verdict)
    merged, verdict.precision = _merged_logits(plan, folder, prompts)
    exact = _logits(_base_and_adapters(plan, arguments(plan, folder), torch.float32), prompts)
    kls, same, largest = _against(exact, merged)
    verdict.kl, verdict.top1, verdict.largest, verdict.positions = _mean(kls), _mean(same), largest, len(kls)
    if verdict.precision != "float32":
        stored = _logits(_base_and_adapters(plan, arguments(plan, folder), getattr(torch, verdict.precision)), prompts)
        kls, same, _ = _against(exact, stored)
        verdict.stored_kl, verdict.stored_top1 = _mean(kls), _mean(same)
    allowed = max(SAME_KL, 2 * verdict.stored_kl)
    if not math.isfinite(verdict.kl) or verdict.kl > allowed:
        verdict.problems.append(("merge.differs", {"kl": f"{verdict.kl:.2g}", "allowed": f"{allowed:.2g}"}))
    return verdict


def _encoded(settings: dict) -> tuple:
    """Return training's tokenizer and template, and the prompts as token ids."""
    llamafactory.load()
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_tokenizer

    model_args, data_args, _, _ = get_infer_args(settings)
    tokenizer = load_tokenizer(model_args)["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    answer = {"role": "assistant", "content": ""}
    prompts = [
        template.encode_oneturn(tokenizer, [{"role": "user", "content": text}, answer], None, None)[0]
        for text in PROMPTS
    ]
    return tokenizer, template, prompts


def _check_tokenizer(plan: Plan, folder: Path, tokenizer, template, prompts: list[list[int]], verdict: Verdict) -> None:
    """Compare what stands in the folder with training: token ids, the chat template, the stop tokens."""
    llamafactory.load()
    from transformers import AutoTokenizer, GenerationConfig

    written = AutoTokenizer.from_pretrained(folder, trust_remote_code=bool(plan.settings.get("trust_remote_code")))
    for text, ids in zip(PROMPTS, prompts, strict=True):
        if written.encode(text, add_special_tokens=False) != tokenizer.encode(text, add_special_tokens=False):
            verdict.problems.append(("merge.other_tokens", {"text": text}))
            break
        rendered = written.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        if list(rendered) != ids:
            verdict.problems.append(("merge.other_prompt", {"text": text}))
            break
    stops = {token for token in template.get_stop_token_ids(tokenizer) if token is not None}
    ends = GenerationConfig.from_pretrained(folder).eos_token_id
    if stops != set(ends if isinstance(ends, list) else [ends]) - {None}:
        verdict.problems.append(("merge.other_stops", {}))


def _merged_logits(plan: Plan, folder: Path, prompts: list[list[int]]) -> tuple[list, str]:
    """Return the logits of the merged model in float32, and the precision in which it is stored."""
    llamafactory.load()
    import torch
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_model, load_tokenizer

    kept = {"template": plan.template, "trust_remote_code": plan.settings.get("trust_remote_code", False)}
    model_args, _, finetuning_args, _ = get_infer_args({"model_name_or_path": str(folder), **kept})
    model = load_model(load_tokenizer(model_args)["tokenizer"], model_args, finetuning_args)
    precision = str(model.dtype).removeprefix("torch.")
    return _logits(model.to(torch.float32).eval(), prompts), precision


def _base_and_adapters(plan: Plan, settings: dict, precision):
    """Return base and adapters in a precision, the adapters not merged but the last; those below it are as training
    had them.
    """
    llamafactory.load()
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_model, load_tokenizer
    from peft import PeftModel

    plain = {key: value for key, value in settings.items() if key not in ("adapter_name_or_path", "finetuning_type")}
    plain["infer_dtype"] = str(precision).removeprefix("torch.")
    if plan.adapters[:-1]:
        plain |= {"adapter_name_or_path": ",".join(map(str, plan.adapters[:-1])), "finetuning_type": "lora"}
    model_args, _, finetuning_args, _ = get_infer_args(plain)
    model = load_model(load_tokenizer(model_args)["tokenizer"], model_args, finetuning_args).to(precision)
    if plan.adapters:
        model = PeftModel.from_pretrained(model, str(plan.adapters[-1]), autocast_adapter_dtype=False).to(precision)
    return model.eval()


def _logits(model, prompts: list[list[int]]) -> list:
    """Return the logits, [positions, vocabulary] in float32, of the last positions of each prompt."""
    llamafactory.load()
    import torch

    found = []
    with torch.inference_mode():
        for ids in prompts:
            logits = model(input_ids=torch.tensor([ids], device=model.device)).logits[0, -POSITIONS:]
            found.append(logits.float().cpu())
    return found


def _against(exact: list, other: list) -> tuple[list[float], list[float], float]:
    """Return of each position the divergence KL(exact || other) and whether the first choice is the same, and the
    largest difference of a logit.
    """
    llamafactory.load()
    import torch

    kls, same, largest = [], [], 0.0
    for one, two in zip(exact, other, strict=True):
        width = min(one.shape[-1], two.shape[-1])  # a padded vocabulary has rows that no token has
        one, two = one[:, :width], two[:, :width]
        logs, others = torch.log_softmax(one.double(), -1), torch.log_softmax(two.double(), -1)
        kls += (logs.exp() * (logs - others)).sum(-1).tolist()
        same += (one.argmax(-1) == two.argmax(-1)).float().tolist()
        largest = max(largest, (one - two).abs().max().item())
    return kls, same, largest


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def main() -> None:
    """Verify, and print the verdict, or a fault, as the last line."""
    end_with_parent(int(sys.argv[3]))
    plan = records.load(Path(sys.argv[1]), Plan)
    try:
        print("\n" + json.dumps(asdict(verify(plan, Path(sys.argv[2])))), flush=True)
    except Exception as error:  # of any library: told by the process that started this one
        print("\n" + json.dumps({"fault": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

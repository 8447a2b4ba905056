"""Memory as estimated before against the peak that is then measured: small random models of six architectures, and the
starter model.

Measured is what torch's allocator holds at its peak during real steps of LLaMA-Factory's `run_exp` (or during
`generate`), loading
included: on a CPU every allocation as torch's profiler records it, exact to the byte, which the process's own size is
    not (the C
library keeps what was freed); on a GPU `torch.cuda.max_memory_allocated`. The estimate's overhead is left out, as it is
not torch's.
`python -m benchmarks.fit CASES` measures in this process and prints a line of JSON for each case; the benchmark calls
it so.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.commands import MODEL, ROOT
from benchmarks.report import Row
from benchmarks.shapes import SHAPES
from studio.models.memory import fit
from studio.models.memory.model_shape import read_shape
from studio.monitor.readings import snapshot_now

RUNS = 1
REACH = 0.1
METHODS = {"lora": "LoRA", "full": "full", "freeze": "freeze", "inference": "inference"}


@dataclass(frozen=True)
class Case:
    """A model (a family of SHAPES, or the starter model's name) and what is done with it; `extra` are more arguments of
    LLaMA-Factory.
    """

    model: str
    method: str = "lora"
    seq: int = 256
    batch: int = 4
    checkpointing: bool = True
    bits: int | None = None
    steps: int = 2
    extra: dict = field(default_factory=dict)

    def name(self) -> str:
        """Return what the table calls it."""
        model = SHAPES[self.model][0] if self.model in SHAPES else self.model
        kept = "" if self.checkpointing or self.method == "inference" else ", no checkpointing"
        return (
            f"{model}: {METHODS[self.method]}{f' {self.bits} bits' if self.bits else ''}, {self.batch} x {self.seq}"
            f" tokens{kept}"
        )


CASES = [
    Case("llama", "lora", 256, 4, False),
    Case("llama", "lora", 1024, 1),
    Case("llama", "lora", 128, 8),
    Case("llama", "full", 128, 2),
    Case("llama", "full", 256, 4, False),
    Case("llama", "freeze", 256, 4),
    Case("llama", "lora", 256, 2, bits=4),
    Case("llama", "inference", 1024, 1),
    Case("qwen2", "lora", 256, 4, False),
    Case("qwen2", "lora", 1024, 2),
    Case("qwen2", "lora", 512, 1, False),
    Case("qwen2", "full", 128, 4),
    Case("qwen2", "full", 128, 4, False),
    Case("qwen2", "freeze", 512, 2, False),
    Case("qwen2", "lora", 256, 2, False, bits=8),
    Case("qwen2", "inference", 512, 4),
    Case("gemma3_text", "lora", 256, 4, False),
    Case("gemma3_text", "lora", 1024, 1),
    Case("gemma3_text", "full", 128, 4),
    Case("gemma3_text", "full", 512, 2, False),
    Case("gemma3_text", "full", 128, 1),
    Case("gemma3_text", "freeze", 256, 4),
    Case("gemma3_text", "inference", 1024, 2),
    Case("gemma2", "lora", 256, 4, False),
    Case("phi3", "full", 256, 4, False),
    Case("qwen3_moe", "lora", 256, 4, False),
    Case("qwen3_moe", "full", 128, 4),
    Case(MODEL, "lora", 256, 4),
    Case(MODEL, "lora", 128, 2, False),
    Case(MODEL, "full", 128, 1),
    Case(MODEL, "inference", 1024, 1),
]
SHORT = [Case("llama", "lora", 64, 2), Case("gemma3_text", "full", 64, 2, False)]


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure every case `runs` times, each in a fresh process, and return a row for each. The peaks of repeated runs
    hardly differ.
    """
    rows = []
    for case in SHORT if quick else CASES:
        peaks = [peak for _ in range(runs) for peak in measured([case])]
        rows.append(row(case, max(peaks)))
        print("  " + rows[-1].line(), flush=True)
    return rows


def row(case: Case, peak: int) -> Row:
    """Return the row of a case whose measured peak is so many bytes."""
    expected = estimated(case)
    what = f"{case.name()}: estimated peak, against the measured one"
    return Row(
        "fit",
        what,
        f"{expected / 1e6:,.1f} MB",
        f"{peak / 1e6:,.1f} MB",
        f"{expected / peak:.3f}",
        f"within {REACH:.0%}",
        abs(expected / peak - 1) <= REACH,
    )


def estimated(case: Case, whole: bool = False) -> int:
    """Return the bytes that the estimator gives for a case on this machine, without what is not torch's unless the
    `whole` is asked for.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = _folder(case, Path(name))
        if case.model in SHAPES:
            (folder / "config.json").write_text(json.dumps(_config(case)), encoding="utf-8")
        shape = read_shape(folder)
    device = "cuda" if _on_gpu() else "cpu"
    if case.method == "inference":
        plan = fit.Plan(method="inference", bits=case.bits, seq=case.seq, batch=case.batch, device=device)
    else:
        plan = fit.plan_of(_recipe(case, Path("model"), Path("work"), device))
    needed = fit.estimate(shape, replace(plan, device=device))
    return needed.total if whole else needed.total - needed.overhead


def measured(cases: list[Case]) -> list[int]:
    """Return the measured peak of each case, in bytes, from a process of its own. Raises RuntimeError if it fails."""
    figures = measured_each(cases)
    for one in figures:
        if "fault" in one:
            raise RuntimeError(one["fault"])
    return [one["peak"] for one in figures]


def measured_each(cases: list[Case]) -> list[dict]:
    """Return what was measured of each case, one after the other in one process that is not this one.

    Each has {"peak": bytes}, on a GPU also "reserved", what torch's caching allocator held at the most, and "context",
    what the driver says of the process beside that (None where it says nothing); or {"fault": the end of a traceback}.

    Raises:
        RuntimeError: the process ended before its last case.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as work:
        command = [sys.executable, "-m", "benchmarks.fit", json.dumps([asdict(case) for case in cases])]
        environment = os.environ | {"BENCHMARK_FOLDER": work, "HF_DATASETS_CACHE": f"{work}/cache"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    figures = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(('{"peak"', '{"fault"'))]
    if len(figures) != len(cases):
        raise RuntimeError(done.stderr[-2000:])
    return figures


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _folder(case: Case, work: Path) -> Path:
    return work if case.model in SHAPES else ROOT / "models" / case.model


def _config(case: Case) -> dict:
    usual = {"model_type": case.model, "tie_word_embeddings": True, "max_position_embeddings": 4096}
    config = usual | SHAPES[case.model][1]
    return config | {"architectures": [config["model_type"]], "dtype": "bfloat16"}


def _make_model(case: Case, work: Path) -> Path:
    """Return the folder of the case's model; a random one is made, with the starter model's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    if case.model not in SHAPES:
        return _folder(case, work)
    folder = work / case.model
    if not folder.exists():
        config = AutoConfig.for_model(**{**_config(case), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2})
        with torch.device("cuda" if _on_gpu() else "cpu"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.save_pretrained(folder)
        del model
        AutoTokenizer.from_pretrained(ROOT / "models" / MODEL).save_pretrained(folder)
    return folder


def _recipe(case: Case, model: Path, work: Path, device: str) -> dict:
    """Return the arguments of a run whose first row fills the cutoff and whose others are shorter, so that each batch
    is padded.
    """
    return {
        "model_name_or_path": str(model),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": case.method,
        "lora_rank": 8,
        "lora_target": "all",
        "template": "chatml",
        "dataset": "rows",
        "dataset_dir": str(work),
        "cutoff_len": case.seq,
        "per_device_train_batch_size": case.batch,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-4,
        "max_steps": case.steps,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_shuffling": True,
        "output_dir": str(work / "run"),
        "overwrite_output_dir": True,
        "overwrite_cache": True,
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": True,
        "use_cpu": device == "cpu",
        "disable_gradient_checkpointing": not case.checkpointing,
        **({"quantization_bit": case.bits} if case.bits else {}),
        **case.extra,
    }


def _train(case: Case, model: Path, work: Path) -> None:
    from llamafactory.train.tuner import run_exp

    lengths = [2 * case.seq if row % case.batch == 0 else case.seq // 2 for row in range(case.batch * case.steps)]
    rows = [{"instruction": "word " * length, "input": "", "output": "word " * 16} for length in lengths]
    (work / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (work / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}), encoding="utf-8")
    run_exp(_recipe(case, model, work, "cuda" if _on_gpu() else "cpu"))


def _generate(case: Case, model: Path) -> None:
    """Answer with the context full but for four tokens, which are generated."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="auto", device_map="cuda" if _on_gpu() else "cpu")
    prompt = torch.full((case.batch, case.seq - 4), 100, device=loaded.device)
    loaded.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, min_new_tokens=4, do_sample=False)


def _figures(case: Case, work: Path) -> dict:
    """Return {"peak"}, the bytes that torch's allocator held at most while the case was run, and what else is known."""
    import gc

    import torch

    model = _make_model(case, work)
    gc.collect()
    if not _on_gpu():
        return {"peak": _peak_on_cpu(case, model, work)}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _do(case, model, work)
    peak, reserved = torch.cuda.max_memory_allocated() - before, torch.cuda.max_memory_reserved()
    own = [process.memory for gpu in snapshot_now(work).gpus for process in gpu.processes if process.own]
    context = own[0] - torch.cuda.memory_reserved() if own and own[0] else None
    return {"peak": peak, "reserved": reserved, "context": context}


def _do(case: Case, model: Path, work: Path) -> None:
    _generate(case, model) if case.method == "inference" else _train(case, model, work)


def _peak_on_cpu(case: Case, model: Path, work: Path) -> int:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        _do(case, model, work)
    held = peak = 0
    for event in sorted(
        (one for one in profiled.profiler.kineto_results.events() if one.name() == "[memory]"),
        key=lambda one: one.start_ns(),
    ):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def main() -> None:
    """Measure the cases on the command line, in this process, and print their peaks."""
    work = Path(os.environ["BENCHMARK_FOLDER"])
    for said in json.loads(sys.argv[1]):
        # LLaMA-Factory reads the README that an earlier run left in the same output folder.
        shutil.rmtree(work / "run", ignore_errors=True)
        try:
            figures = _figures(Case(**said), work)
        except Exception as error:  # told, and the next case is measured
            figures = {"fault": "".join(traceback.format_exception(error))[-2000:]}
            traceback.clear_frames(error.__traceback__)
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()

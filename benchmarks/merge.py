"""An adapter merged into the starter model as the studio does it, against `llamafactory-cli export`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.commands import FACTORY, MODEL, ROOT, new_workspace
from benchmarks.report import Row, compared, shown
from studio.core.storage import records
from studio.core.storage.atomic import write_json
from studio.core.workspace import Workspace
from studio.export.merge import merge_child, merge_plan
from studio.export.merge.merge_plan import Plan
from studio.train import runs as train_runs

RUNS = 5
REACH = 1.1
REACH_VERIFY_S = 30.0
# Makes an adapter of random numbers, in a process of its own: what measures stays small.
_ADAPTER = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
torch.manual_seed(1)
names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto")
tuned = get_peft_model(model, LoraConfig(r=8, target_modules=names))
for name, parameter in tuned.named_parameters():
    if "lora_B" in name:
        parameter.data.normal_(std=0.02)
tuned.save_pretrained(sys.argv[2])
"""


@dataclass(frozen=True)
class Used:
    """What a process took: seconds, and bytes of memory at its peak."""

    seconds: float
    memory: int


def measure(runs: int, quick: bool) -> list[Row]:
    """Merge with each in turn, verify ours, and return the rows of time, memory and verification."""
    ours, theirs, verified = [], [], []
    with new_workspace() as root, tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        made = Path(name)
        plan = _plan(Workspace(root).prepare())
        for number in range(runs):
            sides = [(ours, _ours), (theirs, _theirs)]
            for used, side in sides if number % 2 else sides[::-1]:
                used.append(side(plan, made / f"{side.__name__}-{number}"))
            verified.append(_used("verify_child", plan, made / f"_ours-{number}"))
            told = [f"{one[-1].seconds:.1f} s, {one[-1].memory / 2**20:.0f} MiB" for one in (ours, theirs)]
            print(f"  ours {told[0]}; theirs {told[1]}; verified in {verified[-1].seconds:.1f} s", flush=True)
    against = ", against `llamafactory-cli export`"
    seconds = [[one.seconds for one in side] for side in (ours, theirs)]
    mib = [[one.memory / 2**20 for one in side] for side in (ours, theirs)]
    proof = [one.seconds for one in verified]
    return [
        compared("merge", f"{MODEL} and an adapter of rank 8, merged and written" + against, *seconds, REACH),
        compared("merge", "peak of memory of that process" + against, *mib, REACH, "MiB"),
        Row(
            "merge",
            "the proof afterwards that it is the same model with the prompt of training",
            shown(proof),
            "",
            "",
            f"at most {REACH_VERIFY_S:g} s",
            max(proof) <= REACH_VERIFY_S,
        ),
    ]


def _plan(workspace: Workspace) -> Plan:
    """Return the merge of a run that nobody trained."""
    run = train_runs.make(workspace, MODEL, "lora", "measured")
    model = workspace.models / MODEL
    subprocess.run([sys.executable, "-c", _ADAPTER, str(model), str(run.folder)], check=True, cwd=ROOT)
    recipe = {"model_name_or_path": str(model), "finetuning_type": "lora", "template": "smollm2", "stage": "sft"}
    run.recipe_file.write_text(yaml.safe_dump(recipe), "utf-8")
    run.say("state", state="finished")
    return merge_plan.plan(workspace, [run.name], "merged")


def _ours(plan: Plan, folder: Path) -> Used:
    return _used("merge_child", plan, folder)


def _used(module: str, plan: Plan, folder: Path) -> Used:
    described = folder.with_suffix(".json")
    write_json(described, json.loads(plan.model_dump_json()))
    used = _run([sys.executable, "-m", f"studio.export.merge.{module}", described, folder, os.getpid()], folder)
    if module == "verify_child" and (faults := _last(folder)["problems"]):
        raise RuntimeError(f"the merged model is another: {faults}")
    return used


def _theirs(plan: Plan, folder: Path) -> Used:
    recipe = folder.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(merge_child.arguments(plan, folder)), "utf-8")
    return _run([FACTORY, "export", recipe], folder)


def _run(command: list[object], folder: Path) -> Used:
    """Run a command to its end, and return what it took. Raises RuntimeError where it fails."""
    with open(folder.with_suffix(".log"), "wb") as log:
        began = time.perf_counter()
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{command} failed:\n{folder.with_suffix('.log').read_text()[-2000:]}")
    return Used(seconds, usage.ru_maxrss * 1024)


def _last(folder: Path) -> dict:
    lines = folder.with_suffix(".log").read_text().strip().splitlines()
    return records.parse_or({}, lines[-1])

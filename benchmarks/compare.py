"""Base and adapters answering in one batch, against one alone: time of the same number of tokens, and memory; and the
pace of a stream.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.commands import MODEL, ROOT, Studio, new_workspace
from benchmarks.report import Row, compared, ratio, ratio_shown, shown

RUNS = 7
REACH_TIME = 1.15
REACH_TIME_OF_FOUR = 1.4
REACH_MEMORY = 1.1
REACH_PACE = 0.95
QUESTION = "Write a long story about a lighthouse keeper who finds a letter on the beach."
TOKENS = 48


def measure(runs: int, quick: bool) -> list[Row]:
    """Train adapters for one step (their cost does not depend on what they learned), ask in turn, and return the rows
    of time and memory.
    """
    two, four, alone, memory = [], [], [], {"tensors": ([], []), "resident": ([], [])}
    with new_workspace() as workspace:
        with Studio(workspace) as studio:
            tuned = [studio.ready().train({"max_steps": 1, "seed": seed}) for seed in range(3)]
            run = tuned[0]
            for number in range(runs + 1):
                seconds = [_asked(studio, chosen) for chosen in ([MODEL, run], [MODEL, *tuned], [run])]
                if number:  # the first of each also lays out the memory
                    for series, value in zip((two, four, alone), seconds, strict=True):
                        series.append(value)
                    print(
                        f"  base and adapter {two[-1]:.2f} s, base and three {four[-1]:.2f} s, adapter alone"
                        f" {alone[-1]:.2f} s",
                        flush=True,
                    )
        for _ in range(min(runs, 3)):
            for side, chosen in enumerate(([MODEL, run], [run])):
                used = _in_fresh_process(workspace, "memory", chosen)
                for kind, sides in memory.items():
                    sides[side].append(used[kind] / 2**20)
            print(
                "  "
                + ", ".join(
                    f"{kind} {sides[0][-1]:.0f} MB and {sides[1][-1]:.0f} MB" for kind, sides in memory.items()
                ),
                flush=True,
            )
        pace = _in_fresh_process(workspace, "pace", [MODEL, str(runs)])
    print(f"  tokens a second: {pace['ours']}, plain generate {pace['plain']}", flush=True)
    return [
        compared(
            "compare",
            f"base and adapter in one batch against the adapter alone, {TOKENS} tokens",
            two,
            alone,
            REACH_TIME,
        ),
        compared(
            "compare",
            f"base and three adapters in one batch against one adapter alone, {TOKENS} tokens",
            four,
            alone,
            REACH_TIME_OF_FOUR,
        ),
        compared("compare", "base and adapter, bytes of all weights", *memory["tensors"], REACH_MEMORY, "MB"),
        compared(
            "compare",
            "the same, growth of resident memory by loading and one answer",
            *memory["resident"],
            REACH_MEMORY,
            "MB",
        ),
        Row(
            "compare",
            f"streaming one column of {TOKENS} tokens against plain `model.generate` (higher is better)",
            shown(pace["ours"], "tokens/s"),
            shown(pace["plain"], "tokens/s"),
            ratio_shown(pace["ours"], pace["plain"]),
            f"at least {REACH_PACE:g}",
            ratio(pace["ours"], pace["plain"]) >= REACH_PACE,
        ),
    ]


def _asked(studio: Studio, chosen: list[str]) -> float:
    """Return the seconds of one question to all of `chosen`, which are loaded before; each must use up its tokens."""
    studio.call("chat_load", chosen[0], chosen[1:], None)
    began = time.perf_counter()
    answers = studio.call(
        "chat_compare", chosen, [{"role": "user", "content": QUESTION}], {"temperature": 0.0, "max_tokens": TOKENS}
    )
    seconds = time.perf_counter() - began
    _check([answer["tokens"] for answer in answers["answers"]])
    return seconds


def _check(tokens: list[int]) -> None:
    if any(count != TOKENS for count in tokens):
        raise RuntimeError(f"answers of {tokens} tokens, not {TOKENS} each, cannot be compared")


def _in_fresh_process(workspace: Path, kind: str, chosen: list[str]) -> dict:
    command = [sys.executable, "-m", "benchmarks.compare", kind, str(workspace), *chosen]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(answer.stderr[-2000:])
    return json.loads(answer.stdout.splitlines()[-1])


def _service(workspace: Path):
    from studio.core import llamafactory
    from studio.core.device_lease import DeviceLease
    from studio.core.workspace import Workspace
    from studio.inference.inference_service import InferenceService

    llamafactory.load()  # the libraries themselves are not what is measured
    return InferenceService(Workspace(workspace), DeviceLease())


def _answer(service, chosen: list[str]) -> None:
    from studio.inference.sampling import Sampling

    talks = {name: [{"role": "user", "content": QUESTION}] for name in chosen}
    *_, answers = service.ask(talks, "", Sampling(temperature=0.0, max_tokens=TOKENS), threading.Event())
    _check([answer.tokens for answer in answers])


def _memory(workspace: Path, *chosen: str) -> dict[str, int]:
    """Load and ask `chosen` in this process; return the bytes of all weights and the growth of resident memory."""
    service, process = _service(workspace), psutil.Process()
    before = process.memory_info().rss
    _answer(service, list(chosen))
    return {"tensors": service.engine.memory_bytes(), "resident": process.memory_info().rss - before}


def _pace(workspace: Path, name: str, runs: str) -> dict[str, list[float]]:
    """Answer the question through the chat and by `model.generate` in turn; return the tokens a second of both, prompt
    included.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from studio.core.processes import thread_team
    from studio.inference.local.base_loading import encoder_of
    from studio.inference.target_names import resolve

    service = _service(workspace)
    (target,) = resolve(service.workspace, [name])
    prompt = torch.tensor([encoder_of(target.base, target).encode([{"role": "user", "content": QUESTION}])])
    _answer(service, [name])
    (model,) = service.engine._models.values()  # the plain one computes in the same number type
    model = AutoModelForCausalLM.from_pretrained(target.model, dtype=next(model._model.parameters()).dtype).eval()

    def plainly() -> None:
        with thread_team.given_back(), torch.inference_mode():  # neither side beside the idle threads of the other
            told = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=TOKENS, pad_token_id=0
            )
        _check([told.shape[1] - prompt.shape[1]])

    plainly()
    taken = [
        [TOKENS / _seconds(work) for work in (lambda: _answer(service, [name]), plainly)] for _ in range(int(runs))
    ]
    return {"ours": [ours for ours, _ in taken], "plain": [plain for _, plain in taken]}


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What `measure` runs in a process of its own, told as JSON.")
    parser.add_argument("kind", choices=("memory", "pace"))
    parser.add_argument("workspace", type=Path)
    parser.add_argument("rest", nargs="+")
    flags = parser.parse_args()
    from studio.__main__ import prepare_process

    prepare_process()
    print(json.dumps({"memory": _memory, "pace": _pace}[flags.kind](flags.workspace, *flags.rest)))

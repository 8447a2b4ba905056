"""Base and adapter answering in one batch, against the adapter alone: time of the same number of tokens, and memory."""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from benchmarks.commands import MODEL, ROOT, Studio, new_workspace
from benchmarks.report import Row, compared

RUNS = 7
REACH_TIME = 1.25
REACH_MEMORY = 1.1
QUESTION = "Write a long story about a lighthouse keeper who finds a letter on the beach."
TOKENS = 48


def measure(runs: int, quick: bool) -> list[Row]:
    """Train an adapter for two steps (its cost does not depend on what it learned), ask in turn, and return the rows of time and memory."""
    alone, both, memory = [], [], {"tensors": ([], []), "resident": ([], [])}
    with new_workspace() as workspace:
        with Studio(workspace) as studio:
            run = studio.ready().train({"max_steps": 2})
            studio.call("chat_load", MODEL, [run], None)
            for number in range(runs + 1):
                seconds = _asked(studio, [MODEL, run]), _asked(studio, [run])
                if number:  # the first of each also lays out the memory
                    both.append(seconds[0])
                    alone.append(seconds[1])
                    print(f"  base and adapter {both[-1]:.2f} s, adapter alone {alone[-1]:.2f} s", flush=True)
        for _ in range(min(runs, 3)):
            for side, chosen in enumerate(([MODEL, run], [run])):
                used = _in_fresh_process(workspace, chosen)
                for kind, sides in memory.items():
                    sides[side].append(used[kind] / 2**20)
            print("  " + ", ".join(f"{kind} {sides[0][-1]:.0f} MB and {sides[1][-1]:.0f} MB" for kind, sides in memory.items()), flush=True)
    return [
        compared("compare", f"base and adapter in one batch against the adapter alone, {TOKENS} tokens", both, alone, REACH_TIME),
        compared("compare", "the same, bytes of all weights", *memory["tensors"], REACH_MEMORY, "MB"),
        compared("compare", "the same, growth of resident memory by loading and one answer", *memory["resident"], REACH_MEMORY, "MB"),
    ]


def _asked(studio: Studio, chosen: list[str]) -> float:
    """Return the seconds of one question to all of `chosen`, each of which must use up its tokens."""
    began = time.perf_counter()
    answers = studio.call("chat_compare", chosen, [{"role": "user", "content": QUESTION}], {"temperature": 0.0, "max_tokens": TOKENS})
    seconds = time.perf_counter() - began
    _check([answer["tokens"] for answer in answers["answers"]])
    return seconds


def _check(tokens: list[int]) -> None:
    if any(count != TOKENS for count in tokens):
        raise RuntimeError(f"answers of {tokens} tokens, not {TOKENS} each, cannot be compared")


def _in_fresh_process(workspace: Path, chosen: list[str]) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.compare", str(workspace), *chosen]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(answer.stderr[-2000:])
    return json.loads(answer.stdout.splitlines()[-1])


def _memory(workspace: Path, chosen: list[str]) -> dict[str, int]:
    """Load and ask `chosen` in this process; return the bytes of all weights and the growth of resident memory."""
    from studio.__main__ import prepare_process

    prepare_process()
    import llamafactory.train.tuner  # noqa: F401  the libraries themselves are not what is measured

    from studio.accelerator import Accelerator
    from studio.chat.answer import Sampling
    from studio.chat.choose import Table
    from studio.workspace import Workspace

    table = Table(Workspace(workspace), Accelerator())
    process = psutil.Process()
    before = process.memory_info().rss
    talks = [[{"role": "user", "content": QUESTION}]] * len(chosen)
    *_, answers = table.ask(chosen, talks, "", Sampling(temperature=0.0, max_tokens=TOKENS), threading.Event())
    _check([answer.tokens for answer in answers])
    return {"tensors": table.chat.memory_bytes(), "resident": process.memory_info().rss - before}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What `measure` runs in a process of its own: the memory of these speakers, as JSON.")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("chosen", nargs="+")
    flags = parser.parse_args()
    print(json.dumps(_memory(flags.workspace, flags.chosen)))

"""Runs and conversations of the workspace made by hand: more kinds for the table of `workspace_files`."""

import json
from collections.abc import Callable
from pathlib import Path

NOW = 1_760_000_000.0
RUN, BOARD, OTHER = "saves/tiny/lora/first-1", "saves/tiny/lora/train_2026", "saves/tiny/lora/second-1"
CHAT, SHEET = "20261125-120000-abcdef", "20261125-130000-abcdef"


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def as_lines(*values: object) -> bytes:
    return b"".join(as_json(value) + b"\n" for value in values)


def event(kind: str, **facts: object) -> dict:
    return {"time": NOW, "event": kind} | facts


STATES = ("queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted")
FACTS = event(
    "facts",
    examples=4,
    epochs=1.0,
    batch=2,
    step=0,
    total_steps=4,
    trainable=1,
    parameters=10,
    device="cpu",
    processes=1,
)
EVENTS = [
    event("state", state="queued", order="0123"),
    event("state", state="preparing", resumed_from=None),
    FACTS,
    event("state", state="running"),
    event(
        "metrics",
        step=1,
        epoch=0.5,
        values={"loss": 1.5, "grad_norm": "nan", "learning_rate": 0.001, "tokens_per_second": 9.0},
    ),
    event("step", step=2),
    event("warning", step=2, key="train.warn_nan", facts={"step": 2}),
    event("metrics", step=3, epoch=1.0, values={"loss": 0.5, "eval_loss": 0.7}),
    event("checkpoint", step=3, name="checkpoint-3"),
    event("probe", step=3, question="Who?", answer="Me.", tokens=2, seconds=0.1),
    event("evict", who="chat"),
    event("error", key="train.out_of_memory", facts={}, sentence="x"),
    event("state", state="failed", saved=False),
]
INFO = {
    "title": "First",
    "note": "a note",
    "label": "a name",
    "star": True,
    "created": NOW,
    "executor": "worker",
    "devices": [0],
    "processes": 1,
    "probes": ["Who?"],
    "parent": "tiny/lora/second-1",
    "sweep": "ab",
    "versions": {"torch": "2"},
    "pid": 1,
    "pid_started": 1.0,
    "host": "elsewhere",
}
RECIPE = b"""model_name_or_path: /models/tiny
stage: sft
finetuning_type: lora
dataset: alpaca
template: llama3
per_device_train_batch_size: 8
metric_for_best_model: eval_loss
enable_thinking: true
"""
BATCH = {"cutoff_len": "64", "model_name_or_path": "tiny", "stage": "sft"}  # what a search for a batch is of
ENTRY = {
    "current_steps": 1,
    "total_steps": 2,
    "loss": 1.0,
    "lr": 0.001,
    "epoch": 0.5,
    "percentage": 50.0,
    "elapsed_time": "0:00:01",
    "remaining_time": "0:00:01",
}
SETTINGS = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64, "seed": 0, "top_k": 0}
FIGURES = {
    "tokens": 3,
    "first_token_s": 0.1,
    "tokens_per_s": 9.0,
    "finished": "stop",
    "prompt_count": 7,
    "parity": {"is": "same", "as": "tiny"},
}
ASKED = {"role": "user", "content": "Hello?", "turn": 1, "images": ["files/0123456789abcdef01234567.png"]}
SAID = {"role": "assistant", "content": "Hi", "turn": 1, "answer": FIGURES}
FELL = {
    "role": "assistant",
    "content": "",
    "turn": 1,
    "calls": [{"name": "tool", "arguments": {"a": 1}}],
    "answer": FIGURES | {"finished": "failed", "fault": {"key": "chat.nobody", "facts": {}}},
}
TALK = {
    "id": CHAT,
    "columns": ["tiny", "served:box/m"],
    "title": "Hello?",
    "created": NOW,
    "changed": NOW,
    "system": "s",
    "tools": "",
    "settings": SETTINGS,
    "bits": 4,
    "messages": {"tiny": [ASKED, SAID], "served:box/m": [ASKED, FELL]},
    "parent": {"id": "20261125-110000-abcdef", "turn": 1},
    "blind": True,
    "revealed": True,
}
VOTE = {
    "conversation": CHAT,
    "turn": 1,
    "columns": ["tiny", "b", "c"],
    "answers": {"tiny": "x", "b": "y", "c": "z"},
    "before": {name: [ASKED] for name in ("tiny", "b", "c")},
    "choice": "tiny",
    "system": "",
    "tools": "",
    "note": "n",
    "blind": False,
    "time": NOW,
}
LIST = {
    "id": SHEET,
    "columns": ["tiny"],
    "prompts": [{"prompt": "Hello?", "system": ""}, {"prompt": "Who?", "system": "s"}],
    "system": "",
    "tools": "",
    "settings": SETTINGS,
    "title": "Hello?",
    "created": NOW,
    "job": "x",
    "bits": None,
}
ANSWER = {
    "text": "Hi",
    "tokens": 3,
    "first_token_s": 0.1,
    "tokens_per_s": 9.0,
    "finished": "length",
    "calls": [{"name": "t", "arguments": "{}"}],
    "fault": {"key": "chat.nobody", "facts": {}},
}

RUN_FILES: dict[str, tuple[str, bytes | Callable[[Path], bytes]]] = {
    "events": (f"{RUN}/events.jsonl", as_lines(*EVENTS)),
    "info of a run": (f"{RUN}/run.json", as_json(INFO)),
    "recipe of a run": (f"{RUN}/recipe.yaml", RECIPE),
    "log of a run": (f"{RUN}/run.log", b"one line\nanother\n"),
    "picture of a run": (f"{RUN}/training_loss.png", b"\x89PNG"),
    "adapter of a run": (
        f"{RUN}/adapter_config.json",
        as_json({"peft_type": "LORA", "init_lora_weights": True, "base_model_name_or_path": "tiny"}),
    ),
    "weights of a run": (f"{RUN}/adapter_model.safetensors", b"\0" * 16),
    "state of a checkpoint": (f"{RUN}/checkpoint-3/trainer_state.json", as_json({"global_step": 3})),
    "weights of a checkpoint": (f"{RUN}/checkpoint-3/adapter_model.safetensors", b"\0" * 16),
    "log of LlamaBoard": (
        f"{BOARD}/trainer_log.jsonl",
        as_lines(ENTRY, ENTRY | {"current_steps": 2, "eval_loss": 0.5}),
    ),
    "recipe of LlamaBoard": (f"{BOARD}/training_args.yaml", RECIPE),
    **{
        f"run that is {state}": (
            f"saves/tiny/lora/{state}-1/events.jsonl",
            as_lines(event("state", state="preparing"), FACTS, event("state", state=state)),
        )
        for state in STATES
    },
    "second events": (f"{OTHER}/events.jsonl", as_lines(*EVENTS[:5])),
    "second recipe": (f"{OTHER}/recipe.yaml", RECIPE),
    "queue": (
        "saves/.queue.json",
        as_json(
            {
                "waiting": [{"run": "tiny/lora/queued-1", "resume": "checkpoint-3", "id": "0123"}],
                "at_work": [{"run": "tiny/lora/second-1"}],
                "keeper": {"pid": 1, "started": 1.0},
            }
        ),
    ),
    "notices": ("saves/.notices.json", as_json({"webhook": "http://127.0.0.1:9/x", "language": "zh"})),
    "kept recipe": ("saves/.recipes/mine.yaml", RECIPE),
    "search for a batch": (
        "saves/.jobs/batch-20261125-120000-abcdef.json",
        as_json(
            {
                "id": "batch-20261125-120000-abcdef",
                "kind": "batch",
                "title": "batch.title",
                "facts": BATCH,
                "state": "finished",
                "progress": 1.0,
                "message": None,
                "result": {"batch": 4, "tried": [{"batch": 4, "seconds": 1.5, "gib": 2.5}], "reason": "enough"},
                "error": None,
                "created": NOW,
                "started": NOW,
                "ended": NOW,
                "pid": 1,
                "pid_started": 1.0,
            }
        ),
    ),
    "conversation": (f"saves/.chats/{CHAT}.json", as_json(TALK)),
    "image of a conversation": ("saves/.chats/files/0123456789abcdef01234567.png", b"\x89PNG"),
    "votes": (
        "saves/.chats/votes.jsonl",
        as_lines(VOTE, VOTE | {"turn": 2, "choice": "tie"}, VOTE | {"turn": 3, "choice": "b"}),
    ),
    "list of prompts": (f"saves/.chats/sheets/{SHEET}.json", as_json(LIST)),
    "answers to a list": (
        f"saves/.chats/sheets/{SHEET}.jsonl",
        as_lines({"row": 0, "answers": {"tiny": ANSWER}}, {"row": 1, "answers": {}}),
    ),
    "servers": ("saves/.chats/endpoints.json", as_json({"box": {"url": "http://127.0.0.1:9/v1"}})),
    "keys": ("saves/.chats/keys.json", as_json({"http://127.0.0.1:9/v1": "secret"})),
}
NAMES = tuple(path.removeprefix("saves/") for path in (RUN, BOARD, OTHER)) + tuple(
    f"tiny/lora/{state}-1" for state in STATES
)
RUN_REGIONS: dict[str, tuple[str, ...]] = {
    "batch": (json.dumps(BATCH, sort_keys=True),),
    "runs": ("", "tiny", "sort:loss", "star"),
    **dict.fromkeys(("run", "samples", "log", "checkpoints", "recipe"), NAMES),
    "compare": ("|".join(NAMES[:3]),),
    "environment": ("ppo",),
    "talks": ("\n", "hi\n", f"\n{CHAT}"),
    **dict.fromkeys(("talk-head", "vote", "memory", "sheet-form"), (CHAT, "")),
    "sheet": ("", SHEET, f"{SHEET}@1"),
}

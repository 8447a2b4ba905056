"""A workspace in which every text, every number and every name of a field is hostile, one after the other: see
test_poisoned_workspace.

It is that of `workspace_files`, whatever kinds of files come to stand there, with the files of runs and of the chat.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import workspace_files
from workspace_files import NOW, as_json, job

# Without a `/`, so that it can be the name of a file too; what it holds must never become an element or an attribute.
PAYLOAD = "\"'><img src=x onerror=window.pwned=1>' onmouseover='window.pwned=2' \"onfocus=window.pwned=3 autofocus x=\""
MARKER = "window.pwned"

CHAT = "20261125-120000-abcdef"
RUN, SECOND, FOREIGN = "tiny/lora/first", "tiny/lora/second", "tiny/lora/board"


def lines(*values: dict) -> bytes:
    return b"".join(as_json(value) + b"\n" for value in values)


def events(*more: dict) -> bytes:
    return lines(
        {"time": NOW, "event": "state", "state": "preparing"},
        {"time": NOW + 1, "event": "state", "state": "running"},
        {
            "time": NOW + 2,
            "event": "facts",
            "step": 0,
            "total_steps": 4,
            "examples": 8,
            "epochs": 1.0,
            "batch": 2,
            "trainable": 10,
            "parameters": 100,
            "device": "cpu",
            "processes": 1,
        },
        {"time": NOW + 2.5, "event": "step", "step": 1},
        {
            "time": NOW + 3,
            "event": "metrics",
            "step": 1,
            "epoch": 0.25,
            "total_steps": 4,
            "values": {"loss": 2.0, "learning_rate": 1e-4},
        },
        {
            "time": NOW + 4,
            "event": "metrics",
            "step": 2,
            "epoch": 0.5,
            "total_steps": 4,
            "values": {"loss": 1.5, "grad_norm": 1.0, "eval_loss": 1.4},
        },
        {
            "time": NOW + 4,
            "event": "warning",
            "step": 2,
            "key": "train.warn_spike",
            "facts": {"step": 2, "loss": 1.5, "usual": 1.0},
        },
        {"time": NOW + 5, "event": "probe", "step": 2, "question": "Who are you?", "answer": "Me."},
        *more,
    )


FAILED = (
    {"time": NOW + 6, "event": "error", "key": "jobs.fault", "facts": {"reason": "x"}},
    {"time": NOW + 6, "event": "state", "state": "failed"},
)
FINISHED = ({"time": NOW + 6, "event": "state", "state": "finished"},)
BATCH = {"cutoff_len": "64", "model_name_or_path": "tiny", "stage": "sft"}  # what a search for a batch is of
RECIPE = {
    "model_name_or_path": "tiny",
    "stage": "sft",
    "finetuning_type": "lora",
    "dataset": "alpaca",
    "template": "default",
    "cutoff_len": 64,
    "learning_rate": 1e-4,
    "output_dir": "x",
    "metric_for_best_model": "eval_loss",
    "new_special_tokens": "a",
}
INFO = {
    "title": "t",
    "label": "l",
    "note": "n",
    "star": True,
    "created": NOW,
    "executor": "process",
    "devices": [0],
    "processes": 1,
    "probes": ["Who?"],
    "parent": "p",
    "sweep": "s",
    "versions": {"torch": "2"},
    "pid": 999_999,
    "pid_started": 1.0,
    "host": "h",
    "python": "/usr/bin/python3",
    "base_stamp": "0123456789abcdef",
    "data_stamps": {"identity_en": "0123456789abcdef"},
}
BOARD = [
    {
        "current_steps": 1,
        "total_steps": 2,
        "loss": 2.0,
        "lr": 1e-4,
        "epoch": 0.5,
        "percentage": 50.0,
        "elapsed_time": "0:00:01",
        "remaining_time": "0:00:01",
    },
    {
        "current_steps": 2,
        "total_steps": 2,
        "loss": 1.0,
        "epoch": 1.0,
        "elapsed_time": "0:00:02",
        "remaining_time": "0:00:00",
    },
]

ANSWER = {
    "tokens": 3,
    "first_token_s": 0.1,
    "tokens_per_s": 9.0,
    "finished": "stop",
    "prompt_count": 7,
    "parity": {"is": "same", "as": "first"},
}
MESSAGES = {
    "tiny": [
        {"role": "user", "content": "Hi **there**", "turn": 1, "images": ["files/0123456789abcdef01234567.png"]},
        {"role": "assistant", "content": "<think>so</think>Hello `x` $a$", "turn": 1, "answer": ANSWER},
        {"role": "user", "content": "Call", "turn": 2},
        {
            "role": "assistant",
            "content": "",
            "turn": 2,
            "calls": [{"name": "weather", "arguments": {"city": "x"}}],
            "answer": ANSWER,
        },
    ],
    "served:local/model": [
        {"role": "user", "content": "Hi", "turn": 1},
        {
            "role": "assistant",
            "content": "Ho",
            "turn": 1,
            "answer": ANSWER | {"finished": "failed", "fault": {"key": "jobs.fault", "facts": {"reason": "r"}}},
        },
        {"role": "user", "content": "Call", "turn": 2},
        {"role": "assistant", "content": "No", "turn": 2, "answer": {}},
        {"role": "tool", "content": "7", "turn": 2},
    ],
}
SETTINGS = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 16, "seed": 1}
CONVERSATION = {
    "id": CHAT,
    "columns": ["tiny", "served:local/model"],
    "title": "Hello",
    "created": NOW,
    "changed": NOW,
    "system": "s",
    "tools": "",
    "settings": SETTINGS,
    "bits": None,
    "messages": MESSAGES,
    "parent": None,
    "blind": False,
    "revealed": False,
}
BRANCH = CONVERSATION | {
    "id": CHAT + "1",
    "title": "Branch",
    "parent": {"id": CHAT, "turn": 1},
    "columns": [SECOND, "served:local/model"],
    "messages": {SECOND: MESSAGES["tiny"], "served:local/model": MESSAGES["served:local/model"]},
}
VOTE = {
    "conversation": CHAT,
    "turn": 1,
    "columns": ["tiny", "served:local/model"],
    "answers": {"tiny": "a", "served:local/model": "b"},
    "before": {"tiny": [{"role": "user", "content": "Hi"}], "served:local/model": [{"role": "user", "content": "Hi"}]},
    "choice": "tiny",
    "note": "n",
    "time": NOW,
}
SHEET = {
    "id": CHAT,
    "columns": ["tiny"],
    "prompts": [{"prompt": "P", "system": "S"}],
    "system": "s",
    "tools": "",
    "settings": SETTINGS,
    "title": "T",
    "created": NOW,
    "job": "chat-sheet-20261125-120000-abcdef",
    "bits": None,
}
CELL = {
    "text": "A *b*",
    "tokens": 3,
    "first_token_s": 0.1,
    "tokens_per_s": 3.0,
    "finished": "length",
    "fault": {"key": "jobs.fault", "facts": {"reason": "r"}},
    "calls": [{"name": "n", "arguments": {"a": 1}}],
}

EVALUATION, BENCHMARK = "20261125-120000-aaaaaa", "20261125-120000-bbbbbb"
REQUEST = {
    "id": EVALUATION,
    "kind": "predict",
    "title": "T",
    "note": "n",
    "created": NOW,
    "targets": ["tiny", f"{SECOND}@checkpoint-1", f"{SECOND}@checkpoint-2"],
    "parts": ["alpaca"],
    "predict": {"rows": 2},
}
TARGETS = REQUEST["targets"]
EVALUATED = [
    {
        "row": number,
        "dataset": "alpaca",
        "source": number,
        "messages": [{"role": "user", "content": "Q"}],
        "system": "s",
        "reference": "R *x*",
        "trained": [SECOND],
        "subject": "law",
        "category": "Other",
    }
    for number in range(2)
]
PREDICTED = [
    {
        "row": number,
        "target": target,
        "text": "A <b>",
        "tokens": 3,
        "seconds": 0.5,
        "finished": "length",
        "cut": True,
        "prompt": "p",
        "label": "l",
        "fault": {"key": "jobs.fault", "facts": {"reason": "r"}},
    }
    for number in range(2)
    for target in TARGETS
]
MEASURED = [
    {"row": number, "target": target, "loss": 1.5, "tokens": 2, "losses": [1.0, 2.0], "pieces": ["a", "b"]}
    for number in range(2)
    for target in TARGETS
]
SCORED = [
    {"row": number, "target": target, "scores": {"f1": 0.5, "own:x": 0.5 * number, "bleu": 20.0}}
    for number in range(2)
    for target in TARGETS
]
SUMMED = [
    {"row": number, "target": target, "sums": {"bleu": [2, 3, 1, 1, 0, 0, 2, 1, 0, 0], "chrf": [3, 3, 1] * 8}}
    for number in range(2)
    for target in TARGETS
]
JUDGED = [
    {"row": number, "target": TARGETS[1], "verdict": "second", "orders": ["second", "tie"], "odd": ["hm"]}
    for number in range(2)
]
HAPPENED = [{"time": NOW, "event": "halved", "key": "evaluate.batch_halved", "facts": {"batch": 4}}]
ASKED = REQUEST | {"id": BENCHMARK, "kind": "benchmark", "predict": None, "benchmark": {}, "targets": ["tiny", SECOND]}
CHOSEN = [
    {"row": 0, "target": target, "choice": "B", "shares": [0.4, 0.6], "asked": "text"} for target in ("tiny", SECOND)
]
QUESTION = EVALUATED[0] | {"task": "t", "choices": ["a", "b"], "answer": "B"}
_EVALUATION, _BENCHMARK = f"saves/.evaluations/{EVALUATION}", f"saves/.evaluations/{BENCHMARK}"
EVALUATIONS = {
    "request": (f"{_EVALUATION}/request.json", as_json(REQUEST)),
    "evaluated rows": (f"{_EVALUATION}/rows.jsonl", lines(*EVALUATED)),
    "predictions": (f"{_EVALUATION}/predictions.jsonl", lines(*PREDICTED)),
    "losses of references": (f"{_EVALUATION}/losses.jsonl", lines(*MEASURED)),
    "scores of rows": (f"{_EVALUATION}/scores.jsonl", lines(*SCORED)),
    "sums of scores": (f"{_EVALUATION}/sums.jsonl", lines(*SUMMED)),
    "judgements": (f"{_EVALUATION}/judgements.jsonl", lines(*JUDGED)),
    "events of an evaluation": (f"{_EVALUATION}/events.jsonl", lines(*HAPPENED)),
    "headline": (
        f"{_EVALUATION}/headline.json",
        as_json({"stamps": [[1, 2, 3]], "metric": "own:x", "target": "tiny", "value": 0.5, "verdict": "one"}),
    ),
    "request of a benchmark": (f"{_BENCHMARK}/request.json", as_json(ASKED)),
    "questions": (f"{_BENCHMARK}/rows.jsonl", lines(QUESTION)),
    "choices": (f"{_BENCHMARK}/predictions.jsonl", lines(*CHOSEN)),
    "benchmark that is fetched": (
        "saves/.jobs/benchmark-20261125-120000-abcdef.json",
        job(
            "benchmark",
            {"name": "mmlu", "source": "modelscope", "endpoint": None, "title": "MMLU", "hub": "ModelScope"},
            title="benchmarks.fetching",
            state="failed",
        ),
    ),
    "job of an evaluation": (
        "saves/.jobs/evaluate-20261125-120000-abcdef.json",
        job("evaluate", {"evaluation": BENCHMARK, "title": "T"}, title="evaluate.job", state="failed"),
    ),
}
MERGE = {"name": "merged", "targets": [RUN], "model": "models/tiny", "template": "default"}
EXPORTED = {
    "name": "tiny",
    "base": "parts",
    "licence": "mit",
    "targets": [RUN, "tiny"],
    "data": ["alpaca"],
    "template": "default",
    "settings": {"default_system": "Be kind."},
    "recipe": {"stage": "sft", "lora_rank": 8},
    "created": NOW,
    "versions": {"peft": "1.0"},
    "verified": {
        "kl": 1e-5,
        "top1": 1.0,
        "largest": 0.1,
        "stored_kl": 0.001,
        "stored_top1": 0.9,
        "prompts": 8,
        "positions": 64,
        "precision": "bfloat16",
    },
}
_COST = {
    "perplexity": 12.5,
    "kl": 0.01,
    "top1": 0.9,
    "tokens_per_s": 80.5,
    "threads": 1,
    "positions": 512,
    "rows": 20,
    "rows_from": "alpaca",
    "measured": NOW,
}
_PARITY = {"kind": "training", "same": 20, "compared": 22, "differs": ["parts"], "seams": ["blanks"]}
FORMS = {
    "source": "tiny",
    "template": "default",
    "forms": [
        {
            "type": "q4_k_m",
            "file": "tiny-Q4_K_M.gguf",
            "size": 1000,
            "answer": "Hi.",
            "importance": True,
            "calibration": "alpaca",
            "fallbacks": 2,
            "parity": _PARITY,
            "cost": _COST,
            "created": NOW,
        },
        {
            "type": "bnb-4bit",
            "size": 1000,
            "answer": "Hi.",
            "fault": {"key": "forms.failed", "facts": {"step": "cost", "reason": "it is cut off"}},
            "created": NOW,
        },
    ],
    "reference": _COST,
    "reference_size": 4000,
}
_FORM_SOURCE = {"name": "merged", "merge": MERGE, "template": "default", "targets": [RUN], "data": ["alpaca"]}
FORM_JOBS = {
    kind: (
        f"saves/.jobs/export_{kind}-20261125-120000-abcdef.json",
        job(f"export_{kind}", {"name": "merged", "source": _FORM_SOURCE} | facts, title=title, state="failed"),
    )
    for kind, title, facts in (
        ("gguf", "gguf_files.job", {"types": ["f16"], "importance": True, "calibration": "alpaca", "adapter": "a"}),
        ("quantize", "quantize.job", {"method": "gptq-4bit", "calibration": "alpaca"}),
        ("cost", "cost.job", {"rows_from": "alpaca"}),
    )
}
MERGING = "export-20261125-120000-abcdef"
PARITY = "export_parity-20261125-120000-abcdef"
COMPARED = {
    "model": "tiny",
    "template": "default",
    "cases": [
        {"form": "jinja", "case": "one_turn", "same": True, "cannot": [], "difference": None},
        {"form": "jinja", "case": "images", "same": None, "cannot": ["images"], "difference": None},
        {
            "form": "jinja",
            "case": "emoji",
            "same": False,
            "cannot": [],
            "difference": {"kind": "other", "at": 3, "token": 1, "before": "abc", "trained": "x\ny", "form": "z"},
        },
    ],
    "stops": [{"form": "jinja", "missing": ["</s>"], "added": ["<end>"]}],
    "texts": {"jinja": "{{ messages }}"},
}
PUSHED = {"name": "tiny", "source": "modelscope", "repo": "me/tiny", "private": True, "hub": "ModelScope"}
EXPORTS = {
    "push": (
        "saves/.jobs/export_push-20261125-120000-abcdef.json",
        job("export_push", PUSHED, title="push.job", state="finished", result={"name": "tiny", "url": "https://x/y"}),
    ),
    "comparison with training": (
        f"saves/.jobs/{PARITY}.json",
        job(
            "export_parity",
            {"model": "tiny", "template": "default", "forms": ["jinja"]},
            title="templates.job",
            state="finished",
            result=COMPARED,
        ),
    ),
    "record of an export": ("models/tiny/export.json", as_json(EXPORTED)),
    "forms of a model": ("models/named/forms.json", as_json(FORMS)),
    **FORM_JOBS,
    "card of an export": ("models/tiny/README.md", b"---\nlicense: mit\n---\n# tiny\n"),
    "modelfile": ("models/tiny/Modelfile", b"FROM .\n"),
    "job of an export": (f"saves/.jobs/{MERGING}.json", job("export", MERGE, title="merge.job", state="failed")),
}
DEPLOYED = "served"
DEPLOYMENTS = {
    "request of a deployment": (
        f"saves/.deployments/{DEPLOYED}/request.json",
        as_json(
            {
                "engine": "llamafactory",
                "target": "tiny",
                "settings": {
                    "name": DEPLOYED,
                    "host": "127.0.0.1",
                    "port": 8100,
                    "devices": [0],
                    "adapters": {"a": SECOND},
                    "adapters_on": ["a"],
                    "precision": "float32",
                },
                "created": NOW,
            }
        ),
    ),
    "state of an engine": (
        f"saves/.deployments/{DEPLOYED}/state.json",
        as_json(
            {
                "state": "failed",
                "since": NOW,
                "began": NOW,
                "port": 8100,
                "ready_s": 1.5,
                "members": [{"pid": 4_000_000, "started": 1.0}],
                "mark": "a",
                "died": [NOW],
                "doing": {"key": "deploy.doing_weights", "facts": {}},
                "error": {"key": "deploy.fault_said", "facts": {"reason": "r"}},
                "remedy": {"port": 0},
                "parity": {"verdict": "differs", "asked": 1, "case": "one_turn", "token": 3, "reason": None},
                "load": {"running": 1, "waiting": 0},
            }
        ),
    ),
    "job of an engine": (
        "saves/.jobs/engine_environment-20261125-120000-abcdef.json",
        job("engine_environment", {"name": "vllm"}, title="deploy.environment_job", state="failed"),
    ),
    "job of a model for Ollama": (
        "saves/.jobs/ollama_pull-20261125-120000-abcdef.json",
        job("ollama_pull", {"name": DEPLOYED, "model": "qwen3:0.6b"}, title="deploy.pull_job", state="failed"),
    ),
    "log of an engine": (f"saves/.deployments/{DEPLOYED}/engine.log", b"Loading weights\nready\n"),
}
TESTED, RECORDED = "20261125-120000-0a0b0c", "20261125-120000-000-0a0b0c"
STEPS = [{"step": at, "target": "served:local/m", "concurrency": 1 + at, "began": NOW} for at in range(2)]
SENT = [
    {"step": at, "number": 0, "ended": NOW, "ttft_s": 0.1, "latency_s": 1.0, "gaps_s": [0.1], "prompt_tokens": 3,
     "tokens": 2, "counted": "usage", "fault": None if at else {"key": "served.cut", "facts": {"place": "p"}}}
    for at in range(2)
]  # fmt: skip
ENDED = [{"step": at, "seconds": 1.0, "sent": 1, "engine_tokens": 2, "memory": 1000} for at in range(2)]
SENT_BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": None, "tool_calls": [{}]}],
    "tools": [{"function": {"name": "t"}}],
    "temperature": 0,
}
RECORDING = {"id": RECORDED, "server": "local", "time": NOW, "method": "POST", "path": "/v1/chat/completions"}
TOOLS_OF_DEPLOY = {
    "request of a load test": (
        f"saves/.load_tests/{TESTED}/request.json",
        as_json(
            {"id": TESTED, "title": "T", "created": NOW, "targets": ["served:local/m"], "settings": {"title": "T"}}
        ),
    ),
    "steps of a load test": (f"saves/.load_tests/{TESTED}/begun.jsonl", lines(*STEPS)),
    "requests of a load test": (f"saves/.load_tests/{TESTED}/requests.jsonl", lines(*SENT)),
    "ends of steps": (f"saves/.load_tests/{TESTED}/ended.jsonl", lines(*ENDED)),
    "job of a load test": (
        "saves/.jobs/load_test-20261125-120000-abcdef.json",
        job("load_test", {"load_test": TESTED, "title": "T"}, title="load_test.job", state="failed"),
    ),
    "recorders": (
        "saves/.recorder/recorders.json",
        as_json({"recorders": {"local": {"port": 8760, "is_on": False, "trained": "tiny"}}}),
    ),
    "recorded request": (
        f"saves/.recorder/requests/{RECORDED}.json",
        as_json(
            RECORDING
            | {"client": "c", "kind": "title", "body": SENT_BODY, "size": 9, "status": 200, "ttft_s": 0.1, "seconds": 1}
            | {"answer": "A", "finished": "stop", "prompt_tokens": 3, "tokens": 4, "fault": "F"}
        ),
    ),
    "running Open WebUI": (
        "saves/.open-webui/running.json",
        as_json(
            {
                "process": {"pid": 4_000_000, "started": 1.0},
                "mark": "a",
                "port": 8080,
                "target": "served:local/m",
                "began": NOW,
            }
        ),  # fmt: skip
    ),
}
MORE: dict[str, tuple[str, bytes | Callable[[Path], bytes]]] = {
    "own metric": ("metrics/mine.py", b"def score(prediction, reference, row):\n    return 1\n"),
    "events": (f"saves/{RUN}/events.jsonl", events(*FAILED)),
    "events of a run that ended": (f"saves/{SECOND}/events.jsonl", events(*FINISHED)),
    "info of a run": (f"saves/{RUN}/run.json", as_json(INFO)),
    "recipe of a run": (f"saves/{RUN}/recipe.yaml", as_json(RECIPE)),
    "second recipe": (f"saves/{SECOND}/recipe.yaml", as_json(RECIPE | {"learning_rate": 2e-4})),
    "log of a run": (f"saves/{RUN}/run.log", b"loss 2.0\n"),
    "checkpoint's adapter": (
        f"saves/{SECOND}/checkpoint-2/adapter_config.json",
        as_json({"base_model_name_or_path": "tiny", "peft_type": "LORA", "r": 8}),
    ),
    "checkpoint's weights": (
        f"saves/{SECOND}/checkpoint-2/adapter_model.safetensors",
        workspace_files.safetensors({"a": [2]}),
    ),
    "checkpoint's state": (
        f"saves/{SECOND}/checkpoint-2/trainer_state.json",
        as_json(
            {
                "global_step": 2,
                "epoch": 0.5,
                "best_metric": 1.4,
                "best_model_checkpoint": "checkpoint-2",
                "log_history": [{"step": 2, "eval_loss": 1.4}],
            }
        ),
    ),
    "run's adapter": (
        f"saves/{SECOND}/adapter_config.json",
        as_json({"base_model_name_or_path": "tiny", "peft_type": "LORA", "r": 8}),
    ),
    "run's weights": (f"saves/{SECOND}/adapter_model.safetensors", workspace_files.safetensors({"a": [2]})),
    "LlamaBoard's log": (f"saves/{FOREIGN}/trainer_log.jsonl", lines(*BOARD)),
    "LlamaBoard's arguments": (f"saves/{FOREIGN}/training_args.yaml", as_json(RECIPE)),
    "LlamaBoard's state": (f"saves/{FOREIGN}/trainer_state.json", as_json({"global_step": 2, "log_history": BOARD})),
    "queue": (
        "saves/.queue.json",
        as_json({"waiting": [{"run": RUN, "resume": None, "id": "a"}], "owner": {"pid": 1, "pid_started": 1.0}}),
    ),
    "notices": ("saves/.notices.json", as_json({"webhook": "https://example.org/hook", "language": "en"})),
    "search for a batch": (
        "saves/.jobs/batch-20261125-120000-abcdef.json",
        job(
            "batch",
            BATCH,
            title="batch.title",
            state="finished",
            error=None,
            result={"tried": [{"batch": 4, "seconds": 1.0, "gib": 2.0}], "failed": 8},
        ),
    ),
    "job of a list": (
        "saves/.jobs/chat-sheet-20261125-120000-abcdef.json",
        job("chat-sheet", {"sheet": CHAT, "title": "T", "count": 1}, state="stopped"),
    ),
    "conversation": (f"saves/.chats/{CHAT}.json", as_json(CONVERSATION)),
    "branch": (f"saves/.chats/{CHAT}1.json", as_json(BRANCH)),
    "votes": (
        "saves/.chats/votes.jsonl",
        lines(
            VOTE,
            VOTE
            | {
                "turn": 2,
                "columns": ["tiny", "b"],
                "answers": {"tiny": "a", "b": "c"},
                "before": {"tiny": [], "b": []},
                "choice": "tie",
            },
        ),
    ),
    "list of prompts": (f"saves/.chats/sheets/{CHAT}.json", as_json(SHEET)),
    "answers to a list": (f"saves/.chats/sheets/{CHAT}.jsonl", lines({"row": 0, "answers": {"tiny": CELL}})),
    "servers": ("saves/.chats/endpoints.json", as_json({"local": {"url": "http://127.0.0.1:9/v1"}})),
    **EVALUATIONS,
    **EXPORTS,
    **DEPLOYMENTS,
    **TOOLS_OF_DEPLOY,
    "keys of servers": ("saves/.chats/keys.json", as_json({"http://127.0.0.1:9/v1": {"key": "k"}})),
}

CHATS, RUNS = (CHAT, CHAT + "1"), (RUN, SECOND, FOREIGN)
# What a person has in hand when a region is drawn. A region that is named nowhere fails the test: say here with what it
# is drawn.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **workspace_files.REGIONS,
    "strip": ("",),
    "activity": ("",),
    "holders": ("",),
    "pace": ("", "run", "work", "chat", "\n"),
    "machine": ("",),
    "machine-sizes": ("",),
    "first-visit": ("",),
    "models-views": ("",),
    "catalogue": ("", "qwen"),
    "coming": ("",),
    "suggested": ("",),
    "datasets": ("", "alpaca"),
    "notices": ("",),
    "batch": ("", json.dumps(BATCH, sort_keys=True)),
    "runs": ("", "tiny sort:loss", PAYLOAD),
    "now": ("",),
    "run": RUNS,
    "log": RUNS,
    "samples": RUNS,
    "checkpoints": RUNS,
    "recipe": RUNS,
    "compare": ("|".join(RUNS), ""),
    "evaluations": ("", "t"),
    "evaluation": (EVALUATION, BENCHMARK),
    "evaluation-summary": (EVALUATION, f"{EVALUATION}\nloss", BENCHMARK),
    "evaluation-rows": (EVALUATION, f"{EVALUATION}\nopen=0", f"{EVALUATION}\nsort=-change:own:x&find=q", BENCHMARK),
    "evaluation-beside": (EVALUATION, f"{EVALUATION}\nother={BENCHMARK}"),
    "evaluation-metrics": ("",),
    "evaluation-tasks": ("",),
    "run-evaluations": RUNS,
    "run-exports": RUNS,
    "exports": ("", "t"),
    **dict.fromkeys(
        (
            "export",
            "export-record",
            "export-card",
            "export-forms",
            "export-same",
            "export-costs",
            "export-push",
            "export-push-form",
        ),
        ("tiny", "named", f"job:{MERGING}"),
    ),
    "export-parity": ("", PARITY),
    "load-test-form": ("",),
    "load-tests": ("",),
    "load-test": ("", TESTED),
    "recorders": ("",),
    "recorded-list": ("",),
    "recorded": ("", RECORDED),
    "open-webui": ("",),
    "program-targets": ("",),
    "programs": ("", "served:local/m"),
    "deployments": ("",),
    "deploy-engines": ("",),
    "deployment": ("", DEPLOYED),
    "deployment-log": ("", DEPLOYED),
    "deployment-models": ("", DEPLOYED),
    "memory": ("", *CHATS),
    "talks": ("\n", f"hi\n{CHAT}"),
    "talk-head": ("", *CHATS),
    "vote": CHATS,
    "prompts": ("", *CHATS),
    "board": ("",),
    "sheet-form": ("", CHAT),
    "sheets": ("",),
    "sheet": (CHAT, f"{CHAT}@0"),
    "servers": ("",),
    "trash": ("",),
}
NAMES = {name: tuple(dict.fromkeys((*found, PAYLOAD))) for name, found in ARGUMENTS.items()}

Document = tuple[object, Callable[[object], bytes]]


def all_files() -> dict[str, tuple]:
    return {**workspace_files.FILES, **MORE}


def path_of(kind: str, root: Path) -> Path:
    path = all_files()[kind][0]
    return root / (path(root) if callable(path) else path)


def good(kind: str, root: Path) -> bytes:
    content = all_files()[kind][1]
    return content(root) if callable(content) else content


def build(root: Path) -> None:
    """Write the workspace with nothing hostile in it."""
    for kind in all_files():
        write(path_of(kind, root), good(kind, root))


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def document(path: Path, content: bytes) -> Document | None:
    """Return what a file says as lists and objects, and how such becomes the file again; None for what is no JSON."""
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in content.splitlines()], lambda value: lines(*value)
        if path.suffix == ".safetensors":
            length = 8 + int.from_bytes(content[:8], "little")
            return json.loads(
                content[8:length]
            ), lambda value: len(as_json(value)).to_bytes(8, "little") + as_json(value) + content[length:]
        return json.loads(content), as_json
    except ValueError:
        return None


def leaves(value: object, at: tuple = ()) -> Iterator[tuple[tuple, bool]]:
    """Yield where each text, number and other value stands in a document, and where each name of a field does (then
    with True).
    """
    if isinstance(value, dict):
        for key, one in value.items():
            yield (*at, key), True
            yield from leaves(one, (*at, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, (*at, number))
    else:
        yield at, False


def with_payload(value: object, at: tuple, is_name: bool) -> object:
    """Return a document in which the value at a place, or its name, is hostile."""
    if not at:
        return PAYLOAD
    if is_name and len(at) == 1:
        return {PAYLOAD if key == at[0] else key: one for key, one in value.items()}
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = with_payload(copy[at[0]], at[1:], is_name)
    return copy


def variants(path: Path, content: bytes) -> list[bytes]:
    """Return a file once for each place in it, with this place hostile."""
    found = document(path, content)
    if found is None:
        return [content + PAYLOAD.encode(), PAYLOAD.encode()]
    value, as_file = found
    return [as_file(with_payload(value, at, is_name)) for at, is_name in leaves(value)]


def named_badly(root: Path) -> None:
    """Put models, data and runs with hostile names into the workspace."""
    for kind in ("config", "weights", "tokenizer", "tokenizer config"):
        write(root / "models" / PAYLOAD / path_of(kind, root).name, good(kind, root))
    write(root / "saves" / "tiny" / "lora" / PAYLOAD / "events.jsonl", events(*FINISHED))
    write(root / "saves" / PAYLOAD / PAYLOAD / PAYLOAD / "events.jsonl", events(*FINISHED))
    write(root / "saves" / SECOND / f"checkpoint-{PAYLOAD}" / "adapter_config.json", as_json({}))
    info = json.loads(good("datasets", root))
    info |= {
        PAYLOAD: {"file_name": f"{PAYLOAD}.jsonl"},
        "odd": {"hf_hub_url": PAYLOAD, "subset": PAYLOAD, "columns": {"prompt": PAYLOAD}},
    }
    write(root / "data" / "dataset_info.json", as_json(info))
    write(root / "metrics" / f"{PAYLOAD}.py", PAYLOAD.encode())
    row = {"instruction": PAYLOAD, "input": PAYLOAD, "output": PAYLOAD, PAYLOAD: PAYLOAD, "number": 1}
    write(
        root / "data" / f"{PAYLOAD}.jsonl",
        lines(row, {"instruction": 5, "output": [PAYLOAD]}) + b"{" + PAYLOAD.encode() + b"\n",
    )
    write(
        root / "data" / "columns.parquet",
        workspace_files.rows_of({"instruction": [PAYLOAD], "input": [PAYLOAD], "output": [PAYLOAD]}, "parquet"),
    )


def texts_poisoned(root: Path) -> None:
    """Make every free text of a person, a model or a server hostile at once, and leave what the files are made of as it
    is.
    """
    free = {
        "title",
        "note",
        "system",
        "content",
        "text",
        "question",
        "answer",
        "prompt",
        "reason",
        "device",
        "output",
        "input",
        "instruction",
        "value",
        "template",
        "version",
        "repo",
        "hub",
        "license",
    }

    def swap(value: object) -> object:
        if isinstance(value, dict):
            return {key: PAYLOAD if key in free and isinstance(one, str) else swap(one) for key, one in value.items()}
        return [swap(one) for one in value] if isinstance(value, list) else value

    for kind in all_files():
        path = path_of(kind, root)
        if found := document(path, good(kind, root)):
            write(path, found[1](swap(found[0])))
    write(root / "models/parts/added_tokens.json", as_json({PAYLOAD: PAYLOAD, "<b>": PAYLOAD}))
    write(root / f"saves/{RUN}/run.log", PAYLOAD.encode())

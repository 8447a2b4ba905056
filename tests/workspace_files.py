"""A small workspace made by hand, with one file of every kind that the studio reads: the table that the tests of bad
files go through.

Every entry is `kind: (path in the workspace, its good content)`. The content is bytes, or a function of the workspace's
folder that returns them, for a file that speaks of others; files are written in the order of the table.
"""

import csv
import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

from workspace_run_files import RUN_FILES, RUN_REGIONS

Content = bytes | Callable[[Path], bytes]
NOW = 1_760_000_000.0


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def safetensors(tensors: dict[str, list[int]]) -> bytes:
    """Return a whole safetensors file of float32 zeros with these shapes."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors.items():
        size = 4
        for number in shape:
            size *= number
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * at


def rows_of(columns: dict[str, list], kind: str) -> bytes:
    """Return a Parquet or Arrow file with these columns."""
    import pyarrow as pa
    import pyarrow.parquet

    table, buffer = pa.table(columns), io.BytesIO()
    if kind == "parquet":
        pa.parquet.write_table(table, buffer)
    else:
        with pa.ipc.new_file(buffer, table.schema) as writer:
            writer.write_table(table)
    return buffer.getvalue()


CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_hidden_layers": 1,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 12,
    "max_position_embeddings": 64,
    "torch_dtype": "float32",
    "tie_word_embeddings": True,
    "rope_scaling": None,
    "eos_token_id": 2,
    "sliding_window": None,
    "layer_types": ["full_attention"],
}
QUANTIZED = CONFIG | {
    "quantization_config": {
        "quant_method": "gptq",
        "bits": 4,
        "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
    },
    "auto_map": {"AutoModel": "modeling.Tiny"},
    "text_config": {"num_hidden_layers": 2, "layer_types": ["sliding_attention"]},
}
TENSORS = {
    "model.embed_tokens.weight": [12, 8],
    "model.layers.0.self_attn.q_proj.weight": [8, 8],
    "model.layers.0.input_layernorm.weight": [8],
}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 2, "content": "</s>", "special": True}],
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "</s>": 2}, "merges": []},
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": "</s>",
    "bos_token": {"content": "<s>", "special": True},
    "chat_template": [{"name": "default", "template": "{{ messages[0]['content'] }}"}],
    "model_max_length": 64,
    "added_tokens_decoder": {"2": {"content": "</s>", "special": True}, "3": {"content": "<s>"}},
}
INFO = {
    "alpaca": {"file_name": "alpaca.json"},
    "lines": {
        "file_name": "lines.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    },
    "table": {"file_name": "table.csv", "columns": {"prompt": "q", "response": "a"}, "num_samples": 2},
    "tabs": {"file_name": "tabs.tsv", "columns": {"prompt": "q", "response": "a"}},
    "plain": {"file_name": "plain.txt", "columns": {"prompt": "text"}},
    "columns": {"file_name": "columns.parquet"},
    "arrow": {"file_name": "columns.arrow"},
    "folder": {"file_name": "parts"},
    "pairs": {
        "file_name": "pairs.json",
        "ranking": True,
        "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"},
    },
    "hub": {"hf_hub_url": "owner/name", "subset": "s", "split": "train", "folder": "f"},
}
ALPACA = [
    {"instruction": "Say hello.", "input": "", "output": "Hello."},
    {"instruction": "Who are you?", "input": "", "output": "{{name}}"},
]
TALK = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "system": "Be kind."}


def job(kind: str, facts: dict, **more: object) -> bytes:
    number = more.pop("id", f"{kind}-20261125-120000-abcdef")
    return as_json(
        {
            "id": number,
            "kind": kind,
            "title": f"{'downloads' if kind == 'download' else 'gguf'}.title",
            "facts": facts,
            "state": "failed",
            "progress": 0.5,
            "message": {"key": "downloads.listing", "facts": {"hub": "ModelScope"}},
            "result": None,
            "error": {"key": "jobs.fault", "facts": {"reason": "x"}},
            "created": NOW,
            "started": NOW,
            "ended": NOW,
            "pid": 1,
            "pid_started": 1.0,
        }
        | more
    )


def _name_of(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]


def _index(root: Path) -> bytes:
    stat = (root / "data" / "lines.jsonl").stat()
    form = "Form(kind='lines', start=0, encoding='UTF-8', columns=())"
    return as_json(
        {
            "file": "lines.jsonl",
            "size": stat.st_size,
            "modified": stat.st_mtime_ns,
            "form": form,
            "count": 1,
            "fault": {"key": "datasets.empty", "facts": {"file": "lines.jsonl"}},
        }
    )


def _journal(root: Path) -> bytes:
    stat = (root / "data" / "alpaca.json").stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    return as_json([{"start": 0, "length": 1, "old": "Ww==", "before": stamp, "after": stamp}])


def _report(root: Path) -> bytes:
    stat = (root / "data" / "alpaca.json").stat()
    lengths = {
        "rows": 2,
        "dropped": 0,
        "cutoff": 64,
        "suggested": 64,
        "longest": 9,
        "median": 5,
        "width": 1,
        "bins": [0, 1],
        "counts": [1, 1],
        "cut": {"512": 0.0},
        "tokens": 10,
        "trained": 5,
        "samples": 2,
    }
    finding = {"row": 1, "field": "output", "kind": "empty_answer", "facts": {}, "problem": None}
    unread = {
        "row": 2,
        "field": "",
        "kind": "unreadable",
        "facts": {},
        "problem": {"key": "datasets.empty", "facts": {"file": "x"}},
    }
    stamp = [json.dumps(INFO["alpaca"]), [str(root / "data" / "alpaca.json"), stat.st_mtime_ns, stat.st_size]]
    return as_json(
        {
            "checked": NOW,
            "stamp": stamp,
            "rows": 2,
            "near_until": 2,
            "bad": {"empty_answer": [1], "unreadable": [2]},
            "findings": [finding, unread],
            "lengths": lengths,
        }
    )


def _table(delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([["q", "a"], ["Hi", "Hello"], ["Who?", "Me"]])
    return text.getvalue().encode()


def _report_place(root: Path) -> str:
    return f"saves/.rows/report-{hashlib.sha256(f'{root}/data/alpaca'.encode()).hexdigest()[:24]}.json"


DOWNLOAD = {
    "source": "modelscope",
    "repo": "owner/name",
    "revision": None,
    "name": "name",
    "endpoint": None,
    "include": [],
    "exclude": [],
    "hub": "ModelScope",
}

# `kind: (path, content)`. A path may be a function of the workspace's folder too.
FILES: dict[str, tuple[str | Callable[[Path], str], Content]] = {
    "config": ("models/tiny/config.json", as_json(CONFIG)),
    "generation config": (
        "models/tiny/generation_config.json",
        as_json({"eos_token_id": [2, 3], "temperature": 0.7, "do_sample": True}),
    ),
    "weights": ("models/tiny/model.safetensors", safetensors(TENSORS)),
    "tokenizer": ("models/tiny/tokenizer.json", as_json(TOKENIZER)),
    "tokenizer config": ("models/tiny/tokenizer_config.json", as_json(TOKENIZER_CONFIG)),
    "special tokens": (
        "models/tiny/special_tokens_map.json",
        as_json({"pad_token": "<pad>", "unk_token": {"content": "<unk>"}}),
    ),
    "origin of a model": (
        "models/tiny/.download.json",
        as_json({"source": "modelscope", "repo": "owner/tiny", "files": {}}),
    ),
    "card": ("models/tiny/README.md", b"---\nlicense: mit\n---\n# Tiny\n"),
    "licence": ("models/tiny/LICENSE", b"MIT License\n"),
    "second config": ("models/parts/config.json", as_json(QUANTIZED)),
    "second tokenizer": ("models/parts/tokenizer.json", as_json(TOKENIZER)),
    "added tokens": ("models/parts/added_tokens.json", as_json({"<extra>": 12})),
    "chat template": ("models/parts/chat_template.jinja", b"{{ messages[0]['content'] }}"),
    "chat template in JSON": ("models/named/chat_template.json", as_json({"chat_template": "{{ messages }}"})),
    "index of weights": (
        "models/parts/model.safetensors.index.json",
        as_json({"metadata": {"total_size": 800}, "weight_map": {name: "a.safetensors" for name in TENSORS}}),
    ),
    "one part of the weights": ("models/parts/a.safetensors", safetensors(TENSORS)),
    "code of a model": ("models/parts/modeling.py", b"print('hello')\n"),
    "third config": ("models/named/config.json", as_json(CONFIG | {"num_hidden_layers": 2})),
    "numbered weights": ("models/named/model-00001-of-00001.safetensors", safetensors(TENSORS)),
    "word list": ("models/named/vocab.json", as_json({"a": 0})),
    "pickle": ("models/pickled/pytorch_model.bin", b"\x80\x02}q\x00."),
    "config of a pickle": ("models/pickled/config.json", as_json(CONFIG)),
    "GGUF": ("models/gguf/tiny.gguf", b"GGUF\x03\0\0\0" + b"\0" * 16),
    "adapter": ("models/adapter/adapter_config.json", as_json({"base_model_name_or_path": "tiny", "r": 8})),
    "what has arrived": (
        "models/.incoming/modelscope--owner--name/verified.json",
        as_json({"a.safetensors": "sha256:0"}),
    ),
    "part of a download": ("models/.incoming/modelscope--owner--name/files/config.json", as_json(CONFIG)),
    "folders and trust": (
        "places.json",
        lambda root: as_json({"folders": [str(root / "elsewhere")], "trusted": {str(root / "models/parts"): "0"}}),
    ),
    "model elsewhere": ("elsewhere/far/config.json", as_json(CONFIG)),
    "model in a hub's cache": ("elsewhere/models--a--b/snapshots/0123/config.json", as_json(CONFIG)),
    "datasets": ("data/dataset_info.json", as_json(INFO)),
    "data folders": ("data/data_folders.json", lambda root: as_json({"folders": [str(root / "other")]})),
    "datasets elsewhere": ("other/dataset_info.json", as_json({"far": {"file_name": "far.json"}})),
    "rows elsewhere": ("other/far.json", as_json(ALPACA)),
    "rows": ("data/alpaca.json", as_json(ALPACA)),
    "rows in lines": ("data/lines.jsonl", as_json(TALK) + b"\n" + as_json(TALK) + b"\n"),
    "rows in a table": ("data/table.csv", _table(",")),
    "rows with tabs": ("data/tabs.tsv", _table("\t")),
    "plain text": ("data/plain.txt", b"One line.\nAnother.\n"),
    "Parquet": (
        "data/columns.parquet",
        rows_of({"instruction": ["a", "b"], "input": ["", ""], "output": ["c", "d"]}, "parquet"),
    ),
    "Arrow": (
        "data/columns.arrow",
        rows_of({"instruction": ["a", "b"], "input": ["", ""], "output": ["c", "d"]}, "arrow"),
    ),
    "rows in a folder": ("data/parts/one.json", as_json(ALPACA)),
    "pairs": ("data/pairs.json", as_json([{"q": "Hi", "good": "Hello", "bad": "Go"}])),
    "index of rows": (lambda root: f"saves/.rows/{_name_of(root / 'data' / 'lines.jsonl')}.json", _index),
    "places of rows": (
        lambda root: f"saves/.rows/{_name_of(root / 'data' / 'lines.jsonl')}.rows",
        struct.pack("<2q", 0, 20),
    ),
    "edits of rows": (lambda root: f"saves/.rows/{_name_of(root / 'data' / 'alpaca.json')}.undo", _journal),
    "report": (_report_place, _report),
    "how a dataset came in": (
        lambda root: f"saves/.rows/intake-{_name_of(root / 'data' / 'alpaca.json')}.json",
        as_json(
            {
                "source": "old.json",
                "left_out": 1,
                "not_taken": ["note"],
                "problems": [{"key": "datasets.empty", "facts": {"file": "old.json"}}],
                "notes": [{"key": "datasets.empty", "facts": {"file": "old.json"}}],
            }
        ),
    ),
    "download": ("saves/.jobs/download-20261125-120000-abcdef.json", job("download", DOWNLOAD)),
    "import": (
        "saves/.jobs/import_gguf-20261125-120000-abcdef.json",
        job("import_gguf", {"file": "/a/b.gguf", "name": "b"}, state="stopped", error=None),
    ),
    "check": (
        "saves/.jobs/check-20261125-120000-abcdef.json",
        job("check", {"name": "alpaca"}, title="datasets.checking"),
    ),
    "what was deleted": (".trash/20261125-120000-abcdef01/0", b"[]"),
    "record of what was deleted": (
        ".trash/20261125-120000-abcdef01/record.json",
        as_json(
            {
                "kind": "dataset",
                "title": "old",
                "stood": ["data/old.json"],
                "when": NOW,
                "bytes": 2,
                "facts": {"name": "old"},
            }
        ),
    ),
    **RUN_FILES,
    "job cut off": (
        "saves/.jobs/convert-20261125-120000-abcdef.json",
        job("convert", {"name": "alpaca", "path": "x"}, state="running", ended=None),
    ),
}

# What a person has in hand when a region is drawn; a region that is not named here is drawn with nothing in hand.
MODELS = ("tiny", "parts", "named", "pickled", "gguf", "far")
DATASETS = (*INFO, "new")
REGIONS: dict[str, tuple[str, ...]] = {
    "models": ("", "llama"),
    "model": MODELS,
    "model-fit": ("tiny", "parts", "named\nbatch=2"),
    "model-inside": MODELS,
    "hello": ("tiny",),
    "entry": ("", "Qwen2.5-0.5B"),
    "dataset": DATASETS,
    "rows": (*DATASETS, "lines\nname=lines&find=hello", "alpaca\nname=alpaca&edit=1"),
    "dataset-entry": ("alpaca", "lines", "hub"),
    "dataset-check": ("alpaca", "lines", "columns"),
    "dataset-tokens": ("alpaca", "lines"),
    "dataset-lengths": ("alpaca", "folder"),
    "dataset-split": ("alpaca", "pairs"),
    "source": ("", "path=alpaca.json", "path=columns.parquet&form=alpaca"),
    "strip": (),
    **RUN_REGIONS,
}


def path_of(kind: str, root: Path) -> Path:
    """Return where the file of a kind stands in a workspace."""
    path = FILES[kind][0]
    return root / (path(root) if callable(path) else path)


def good(kind: str, root: Path) -> bytes:
    """Return the good content of the file of a kind."""
    content = FILES[kind][1]
    return content(root) if callable(content) else content


def build(root: Path) -> None:
    """Write the whole workspace."""
    for kind in FILES:
        path = path_of(kind, root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(good(kind, root))

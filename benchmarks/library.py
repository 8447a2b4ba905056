"""A library of 300 models: how long its list takes, read from disk and again, and how long an inspection takes."""

import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.models.chat_template_match import template_match
from studio.models.library import inspection, library
from studio.models.page.disk import inside
from studio.web.html import render

RUNS = 5
MODELS = 300
REACH_LIST_S = 0.5
REACH_INSPECT_S = 0.3
SAFETENSORS_HEAD = 8


def measure(runs: int, quick: bool) -> list[Row]:
    """Make the folders (sparse files: no weights are written), then list and inspect them; return three rows."""
    template_match.shipped()  # a studio that has stood open for a minute has LLaMA-Factory loaded
    first, again, inspected = [], [], []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        workspace = Workspace(Path(name)).prepare()
        for number in range(20 if quick else MODELS):
            make_model(workspace.models / f"made-up-{number:03}-7B", layers=32, shards=1 + number % 4)
        _inspect(library.models(workspace)[0])  # it has its child process, too, which renders what strangers wrote
        for _ in range(runs):
            library.forget()
            first.append(_seconds(lambda: library.models(workspace)))
            again.append(_seconds(lambda: library.models(workspace)))
            found = library.models(workspace)
            inspected += [_seconds(lambda model=model: _inspect(model)) for model in found[:: max(1, len(found) // 10)]]
            print(
                f"  list {first[-1]:.3f} s, again {again[-1]:.3f} s, inspecting one {max(inspected):.3f} s", flush=True
            )
    return [
        _row(f"list of {len(found)} models, nothing known of them yet", first, REACH_LIST_S),
        _row(f"list of {len(found)} models, files unchanged", again, REACH_LIST_S),
        _row("inspecting a model, slowest of all", inspected, REACH_INSPECT_S),
    ]


def _inspect(model: library.Model) -> None:
    """Do all that the page of a model needs: its files, its template with the reason, and its HTML."""
    seen = inspection.inspect(model)
    template_match.choose(model.path, model.name, model.model_type)
    render(inside.TEMPLATE, Words("en"), inside.parts(model, seen))


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _row(what: str, taken: list[float], reach: float) -> Row:
    worst = max(taken)
    shown = f"{statistics.median(taken):.3f} s (at most {worst:.3f})"
    return Row("library", what, shown, "", "", f"under {reach:g} s", worst < reach)


def make_model(folder: Path, layers: int = 2, shards: int = 1, hidden: int = 4096, chat: bool = True) -> Path:
    """Make a folder with all that a Llama's folder has but numbers: weights are sparse files of the right size."""
    folder.mkdir(parents=True)
    inner, vocabulary = hidden * 8 // 3, 32_000
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 128,
        "num_key_value_heads": max(1, hidden // 512),
        "head_dim": 128,
        "vocab_size": vocabulary,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
    }
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}
    template = {
        "chat_template": (
            "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}[assistant]"
        )
    }
    _write(folder / "tokenizer_config.json", tokens | (template if chat else {}))
    _write(
        folder / "tokenizer.json",
        {"version": "1.0", "added_tokens": [{"id": 1, "content": "<s>"}, {"id": 2, "content": "</s>"}], "model": {}},
    )
    shapes = {
        "model.embed_tokens.weight": [vocabulary, hidden],
        "model.norm.weight": [hidden],
        "lm_head.weight": [vocabulary, hidden],
    }
    small = max(1, hidden // 512) * 128
    for layer in range(layers):
        inside = {
            "input_layernorm": [hidden],
            "post_attention_layernorm": [hidden],
            "self_attn.q_proj": [hidden, hidden],
            "self_attn.o_proj": [hidden, hidden],
            "self_attn.k_proj": [small, hidden],
            "self_attn.v_proj": [small, hidden],
            "mlp.gate_proj": [inner, hidden],
            "mlp.up_proj": [inner, hidden],
            "mlp.down_proj": [hidden, inner],
        }
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in inside.items()}
    names = list(shapes)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        write_sparse(folder / file, {name: shapes[name] for name in names[shard::shards]})
        weight_map |= dict.fromkeys(names[shard::shards], file)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def write_sparse(file: Path, shapes: dict[str, list[int]]) -> None:
    """Write a safetensors file of bfloat16 tensors of these shapes whose numbers are all holes."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(file, "wb") as opened:
        opened.write(len(text).to_bytes(SAFETENSORS_HEAD, "little") + text)
        opened.truncate(SAFETENSORS_HEAD + len(text) + at)


def _write(file: Path, value: dict) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")

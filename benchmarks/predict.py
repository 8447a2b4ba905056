"""Greedy answers to 64 rows: a warm studio, base alone and base with tuned, against `llamafactory-cli train`; and what
a page takes that looks on.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from benchmarks.browser import chromium, new_page
from benchmarks.commands import ENDED, FACTORY, MODEL, PATIENCE_S, Command, Studio, new_workspace
from benchmarks.report import Row, compared

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUNS = 3
# Rows at a time of LLaMA-Factory: that of its own example (examples/extras/nlg_eval/llama3_lora_predict.yaml), and the
# default of transformers' `TrainingArguments`, which it takes where a recipe says nothing.
EXAMPLES_BATCH, DEFAULT_BATCH = 1, 8
ROWS = 64
TOKENS = 64
REACH, REACH_OF_BOTH, REACH_OF_PAGE = 0.4, 0.6, 1.02
SETTLED_MS = 3000  # what a page takes until it stands is measured by `start`
DATASET = "sft_en_zh"
OPTIONS = {"rows": ROWS, "max_tokens": TOKENS, "loss": False, "metrics": ["lf_bleu4", "lf_rougel"]}


def measure(runs: int, quick: bool) -> list[Row]:
    """Ask the rows here and there in turn, in float32 on both sides, and return how the times compare.

    In the checkpoint's bfloat16 the best two tokens are often equal to the last bit, and then the size of a batch
    decides between them, in LLaMA-Factory too.

    Raises:
        AssertionError: the texts are not the same.
    """
    rows = 8 if quick else ROWS
    alone, both, seen = [], [], []
    theirs: dict[int, list[float]] = {EXAMPLES_BATCH: [], DEFAULT_BATCH: []}
    with new_workspace() as workspace:
        _in_float32(workspace / "models" / MODEL)
        with Studio(workspace) as studio, chromium() as browser:
            tuned = studio.ready().train({"max_steps": 1})
            _ask(studio, [MODEL], 1)
            for number in range(runs):
                seconds, texts = _ask(studio, [MODEL], rows)
                alone.append(seconds)
                seconds, _ = _ask(studio, [MODEL, tuned], rows)
                both.append(seconds)
                with new_page(browser) as page:
                    page.goto(f"{studio.url}/#/evaluate")
                    page.locator("#evaluate-models").wait_for()
                    page.wait_for_timeout(SETTLED_MS)
                    seconds, _ = _ask(studio, [MODEL], rows, page)
                    seen.append(seconds)
                for batch, times in theirs.items():
                    seconds, expected = _llamafactory(workspace, workspace / f"cli-{number}-{batch}", rows, batch)
                    times.append(seconds)
                    assert texts == expected, [one for one in zip(texts, expected, strict=True) if one[0] != one[1]][:3]
                shown = ", ".join(f"{times[-1]:.1f} s by {batch}" for batch, times in theirs.items())
                print(f"  base {alone[-1]:.1f} s, base and tuned {both[-1]:.1f} s, LLaMA-Factory {shown}", flush=True)
    page_row = compared(
        "predict", "the same with its page open, against with none: base alone", seen, alone, REACH_OF_PAGE
    )
    return [row for batch, times in theirs.items() for row in _rows_against(batch, times, rows, alone, both)] + [
        page_row
    ]


def _rows_against(batch: int, theirs: list[float], rows: int, alone: list[float], both: list[float]) -> list[Row]:
    command = f"`llamafactory-cli` with `do_predict` by {batch}"
    what = f"{rows} rows, greedy, at most {TOKENS} tokens, the same texts, against {command}, its start included"
    together = f"the same, base and tuned together, against its base alone by {batch}"
    return [compared("predict", what, alone, theirs, REACH), compared("predict", together, both, theirs, REACH_OF_BOTH)]


def _in_float32(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = {name: tensor.float() for name, tensor in load_file(file).items()}
    file.unlink()  # a link to the one copy
    save_file(weights, file, {"format": "pt"})
    config = folder / "config.json"
    values = json.loads(config.read_text()) | {"torch_dtype": "float32", "dtype": "float32"}
    config.unlink()
    config.write_text(json.dumps(values))


def _ask(studio: Studio, targets: list[str], rows: int, page: "Page | None" = None) -> tuple[float, list[str]]:
    """Return the seconds from the question to the last answer, at which `page` looks on, and the texts of the first
    target.
    """
    asked = time.monotonic()
    evaluation = studio.call("evaluate_predict", targets, [DATASET], OPTIONS | {"rows": rows})["evaluation"]
    if page:
        page.evaluate("hash => { location.hash = hash; }", f"#/evaluate?evaluation={evaluation}")
    while studio.call("evaluate_result", evaluation, 0, 1, "")["state"] not in ENDED:
        assert time.monotonic() - asked < PATIENCE_S
        time.sleep(0.1)
    seconds = time.monotonic() - asked
    found = studio.call("evaluate_result", evaluation, 0, rows, "")
    assert found["state"] == "finished", found
    return seconds, [row["answers"][targets[0]]["text"] for row in found["rows"]]


def _llamafactory(workspace: Path, output: Path, rows: int, batch: int) -> tuple[float, list[str]]:
    """Return the seconds of LLaMA-Factory's command from its start to its end, and its texts."""
    output.mkdir()
    recipe = {
        "model_name_or_path": str(workspace / "models" / MODEL),
        "stage": "sft",
        "do_predict": True,
        "predict_with_generate": True,
        "finetuning_type": "lora",
        "eval_dataset": DATASET,
        "dataset_dir": str(workspace / "data"),
        "template": "smollm2",
        "cutoff_len": 2048,
        "max_samples": rows,
        "per_device_eval_batch_size": batch,
        "do_sample": False,
        "max_new_tokens": TOKENS,
        "output_dir": str(output),
        "report_to": "none",
    }
    (output / "predict.yaml").write_text(yaml.safe_dump(recipe))
    with Command([FACTORY, "train", str(output / "predict.yaml")], workspace, output / "log.txt") as command:
        assert command.process.wait(PATIENCE_S) == 0, (output / "log.txt").read_text()[-2000:]
        seconds = time.time() - command.spawned
    lines = (output / "generated_predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return seconds, [json.loads(line)["predict"] for line in lines]

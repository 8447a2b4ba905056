"""Runs that another tool made in the same folder are shown as well."""

import json
import os
import time

from drawn import drawn

from studio.train import runs
from studio.train.page.runs import comparison, run_list


def log(folder, steps, total, loss=lambda step: 3 / step):
    folder.mkdir(parents=True)
    lines = [
        {
            "current_steps": step,
            "total_steps": total,
            "loss": loss(step),
            "lr": 1e-4,
            "epoch": step / 10,
            "elapsed_time": f"0:00:{step:02}",
            "percentage": 100 * step / total,
        }
        for step in range(1, steps + 1)
    ]
    (folder / "trainer_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_finished_run_of_the_command_line_is_listed_with_its_curve(workspace):
    folder = workspace.saves / "Qwen" / "lora" / "train_2026-01-01"
    log(folder, 20, 20)
    (folder / "training_args.yaml").write_text("dataset: identity_en\ntemplate: qwen\nlearning_rate: 0.0001\n")
    run = runs.find(workspace, "Qwen/lora/train_2026-01-01")
    assert [found.name for found in runs.all_runs(workspace)] == [run.name]
    status = runs.status(run)
    assert (status.state, status.step, status.total_steps, status.loss) == ("finished", 20, 20, 0.15)
    assert [point[0] for point in runs.metrics(run).series["loss"]] == list(range(1, 21))
    assert runs.summary(run).dataset == "identity_en"
    assert "train_2026-01-01" in drawn(run_list, run_list.run_list(workspace))


def test_a_run_that_no_longer_grows_is_interrupted_and_one_that_grows_is_running(workspace):
    folder = workspace.saves / "Qwen" / "lora" / "half"
    log(folder, 5, 20)
    run = runs.find(workspace, "Qwen/lora/half")
    assert runs.status(run).state == "running"
    seen = runs.metrics(run).next
    with open(folder / "trainer_log.jsonl", "a") as file:
        file.write(json.dumps({"current_steps": 6, "total_steps": 20, "loss": 0.4, "elapsed_time": "0:00:06"}) + "\n")
    assert runs.metrics(run, seen).reset is True
    os.utime(folder / "trainer_log.jsonl", (time.time() - 900,) * 2)
    with open(folder / "trainer_log.jsonl", "a") as file:
        file.write("\n")
    os.utime(folder / "trainer_log.jsonl", (time.time() - 900,) * 2)
    assert runs.status(run).state == "running", "it has just grown, whatever the calendar says"
    runs.forget()
    assert runs.status(run).state == "interrupted"


def test_runs_side_by_side_show_only_what_differs(workspace):
    for name, rate in (("a", 0.0001), ("b", 0.0002)):
        folder = workspace.saves / "Qwen" / "lora" / name
        log(folder, 4, 4, loss=lambda step, rate=rate: rate * 1e4 / step)
        (folder / "training_args.yaml").write_text(f"dataset: identity_en\nlearning_rate: {rate}\noutput_dir: {name}\n")
    html = drawn(comparison, comparison.comparison(workspace, "Qwen/lora/a|Qwen/lora/b"))
    assert "learning_rate" in html and "0.0002" in html
    assert "identity_en" not in html and "output_dir" not in html
    assert comparison.differences([{"a": 1, "b": 2}, {"a": 1}]) == {"b": [2, None]}

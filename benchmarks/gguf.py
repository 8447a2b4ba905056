"""The starter model as GGUF in six types, with what each costs: from an order to the figures."""

import time

from benchmarks.commands import MODEL, new_workspace
from benchmarks.report import Row
from studio.core.device_lease import DeviceLease
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.export.form_service import FormService
from studio.inference.llama_cpp.toolkit import Toolkit

RUNS = 1
TYPES = ["f16", "q8_0", "q6_k", "q4_k_m", "q3_k_m", "iq3_xxs"]
QUICK = ["f16", "q8_0"]
DATASET = "identity_en"
REACH_S = 180
PATIENCE_S = 1800


def measure(runs: int, quick: bool) -> list[Row]:
    """Make the files with an importance matrix and compare them, and return the seconds and a row for each type."""
    seconds, made, table = [], [], []
    types = QUICK if quick else TYPES
    for _ in range(runs):
        with new_workspace() as folder:
            workspace = Workspace(folder).prepare()
            jobs = Jobs(workspace)
            collection = Collection(workspace, jobs)
            toolkit = Toolkit(jobs)
            _ended(jobs, toolkit.make())  # fetched once for a machine
            service = FormService(workspace, DeviceLease(), jobs, collection, toolkit)
            began = time.monotonic()
            files = _ended(jobs, service.gguf([MODEL], types, importance=True, calibration=DATASET))
            made.append(time.monotonic() - began)
            cost = _ended(jobs, service.cost([MODEL], DATASET))
            seconds.append(time.monotonic() - began)
            table = cost.result["forms"]
            parity = files.result["verified"][0]["parity"]
    what = f"{MODEL} as {len(types)} GGUF files, an importance matrix, each loaded and asked, and their cost"
    told = f"{min(seconds):.0f} s, {min(made):.0f} s of it the files"
    whole = Row("gguf", what, told, "", "", f"under {REACH_S} s", min(seconds) < REACH_S)
    same = f"{parity['same']} of {parity['compared']} the same, {len(parity['seams'])} seam" if parity else "no server"
    return [whole, Row("gguf", "prompts of llama-server against the model's own", same, "", ""), *map(_row, table)]


def _row(form: dict) -> Row:
    cost = form["cost"]
    told = (
        f"{form['size'] / 2**20:.0f} MiB, perplexity {cost['perplexity']:.2f}, KL {cost['kl']:.4f}, "
        f"{100 * cost['top1']:.1f} % equal first choices, {cost['tokens_per_s']:.0f} tokens/s"
    )
    return Row("gguf", f"{form['type']}, {cost['positions']} tokens of {cost['rows_from']}", told, "", "")


def _ended(jobs: Jobs, job: Job) -> Job:
    """Return a job that did its work. Raises AssertionError where it did not."""
    ended = jobs.wait(job.id, PATIENCE_S)
    assert ended.state == "finished", (ended.state, ended.error, jobs.log(ended.id)[-20:])
    return ended

"""A comparison of forms takes minutes, in which other exports end and a person deletes: nothing is lost by it."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SMALL, new_workspace

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.datasets.registry.collection import Collection
from studio.export import child_run, model_forms
from studio.export.cost import cost_child, cost_job, cost_plan
from studio.export.model_forms import Cost, Form, Forms
from studio.inference.llama_cpp.toolkit import Toolkit

BEFORE = Cost(perplexity=9.0, kl=0.5, top1=0.5, tokens_per_s=9.0, positions=9, rows=9, rows_from="before", measured=9.0)


class Desk:
    """A workspace with forms of the small model that are measured in no time: each is that model itself."""

    def __init__(self, folder: Path):
        self.workspace, self.device = new_workspace(folder), DeviceLease()
        self.jobs = Jobs(self.workspace)
        self.collection, self.toolkit = Collection(self.workspace, self.jobs), Toolkit(self.jobs)

    def form(self, name: str, type_: str) -> Path:
        """Make a folder with one form, which was compared before."""
        folder = self.workspace.models / name
        shutil.copytree(self.workspace.models / SMALL, folder)
        form = Form(type=type_, size=9, answer="", cost=BEFORE, created=time.time())
        model_forms.write(folder, Forms(source=SMALL, forms=[form], reference=BEFORE, reference_size=9))
        return folder

    def compared(self, at: dict):
        """Return the job of a comparison; `at` are calls for the moment at which a form is about to be measured."""

        def work(job):
            report = job.report

            def reported(share, key, **facts):
                report(share, key, **facts)
                if call := at.pop(str(facts.get("form")), None):
                    call(job)

            job.report = reported
            plan = cost_plan.plan(self.workspace, [SMALL], "identity_en")
            return cost_job.measure(job, self.workspace, self.device, self.collection, self.toolkit, plan)

        return self.jobs.wait(self.jobs.start("comparison", "cost.job", {}, work=work).id, 600)


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Iterator[Desk]:
    """Measured in this process, which has the libraries; test_quantize.py measures in processes of their own."""
    import torch

    def here(job, module, spec, scratch, look=lambda: None, libraries=()) -> dict:
        look()
        job.check()
        file = scratch / f"{spec.progress.name}.json"
        file.write_text(spec.model_dump_json())
        try:
            return cost_child.measure(file)
        except OSError as error:
            raise Problem("forms.failed", reason=str(error), step="cost") from error

    monkeypatch.setattr(child_run, "run", here)
    threads = torch.get_num_threads()
    yield Desk(tmp_path / "workspace")
    torch.set_num_threads(threads)


def test_what_was_made_or_deleted_meanwhile_is_as_it_is_now(desk):
    gone, kept = desk.form("gone", "bnb-8bit"), desk.form("kept", "bnb-4bit")
    held = []

    def meanwhile(job):
        held.append([one.who for one in desk.device.holders()])
        shutil.rmtree(gone)
        before = model_forms.of_folder(kept)
        new = Form(type="f16", file="new.gguf", size=9, answer="", created=time.time())
        model_forms.write(kept, before.model_copy(update={"forms": [*before.forms, new]}))

    # The newest is measured first: it is done when the other one is begun.
    job = desk.compared({"bnb-8bit": meanwhile})
    assert job.state == "finished", (job.error, desk.jobs.log(job.id)[-20:])
    assert not gone.exists()
    forms = model_forms.of_folder(kept)
    assert [form.type for form in forms.forms] == ["bnb-4bit", "f16"]
    assert forms.reference.rows_from == forms.forms[0].cost.rows_from == "identity_en" and forms.forms[1].cost is None
    assert "new.gguf" in (kept / "README.md").read_text("utf-8")
    # By its own name: another export that ends meanwhile gives back what is its own.
    assert held == [[f"export:{SMALL}"]] and desk.device.holders() == []


def test_a_comparison_that_is_stopped_leaves_the_figures_of_the_last_one(desk):
    folders = [desk.form("first", "bnb-8bit"), desk.form("second", "bnb-4bit")]
    job = desk.compared({"bnb-8bit": lambda job: job.cancelled.set()})
    assert job.state == "stopped"
    for forms in map(model_forms.of_folder, folders):
        assert forms.reference == BEFORE == forms.forms[0].cost


def test_figures_of_two_comparisons_do_not_stand_in_one_table(desk):
    first, second = desk.form("first", "bnb-8bit"), desk.form("second", "bnb-4bit")
    found = model_forms.of_source(desk.workspace, SMALL)
    assert [form.cost for _, form in model_forms.of_one_comparison(found)[1]] == [BEFORE, BEFORE]
    after = BEFORE.model_copy(update={"rows_from": "after", "measured": 10.0})
    forms = model_forms.of_folder(first)
    compared = [form.model_copy(update={"cost": after}) for form in forms.forms]
    model_forms.write(first, forms.model_copy(update={"forms": compared, "reference": after}))
    newest, listed = model_forms.of_one_comparison(model_forms.of_source(desk.workspace, SMALL))
    assert newest.reference == after
    assert {folder.name: form.cost for folder, form in listed} == {"first": after, "second": None}
    assert model_forms.of_folder(second).forms[0].cost == BEFORE  # it is what was measured

"""GGUF files of the real small model: with training's prompt, whole or not there at all."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import SMALL, is_sentence, new_workspace, slow, wait_for
from random_runs import random_run

from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.datasets.registry.collection import Collection
from studio.export import model_forms
from studio.export.form_service import FormService
from studio.export.gguf import gguf_plan, gguf_prompts
from studio.export.gguf.types import TYPES
from studio.export.model_card import FILES
from studio.inference.llama_cpp import toolkit as llama_cpp
from studio.inference.llama_cpp.toolkit import Toolkit

# In the converter's place: notes what the tokenizer that it was given says of BOS, and converts nothing.
NOTES_BOS = """
import json, sys
from pathlib import Path
with open(Path(__file__).with_name("bos"), "a") as notes:
    notes.write(f"{json.loads((Path(sys.argv[1]) / 'tokenizer_config.json').read_text())['add_bos_token']}\\n")
Path(sys.argv[sys.argv.index("--outfile") + 1]).write_bytes(b"GGUF")
"""


class Desk:
    """A workspace with the service on it."""

    def __init__(self, folder, tools=None):
        self.workspace = new_workspace(folder)
        self.jobs = Jobs(self.workspace)
        self.toolkit = Toolkit(self.jobs, tools)
        self.collection = Collection(self.workspace, self.jobs)
        self.service = FormService(self.workspace, DeviceLease(), self.jobs, self.collection, self.toolkit)

    def ended(self, job):
        """Return the job once it is over."""
        return self.jobs.wait(job.id, 600)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(tmp_path_factory.mktemp("gguf") / "workspace")


def fault(desk, *args, **options) -> str:
    """Return the key of the fault of a plan, which both languages tell."""
    with pytest.raises(Problem) as found:
        gguf_plan.plan(desk.workspace, *args, **options)
    assert all(is_sentence(Words(one).tell(found.value)) for one in LANGUAGES)
    return found.value.key


def copied(desk, name: str, **changes) -> Path:
    """Return a copy of the small model with another config."""
    folder = desk.workspace.models / name
    shutil.copytree(desk.workspace.models / SMALL, folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_cannot_be_made_is_said_before_anything_is_loaded(desk):
    assert fault(desk, [], ["f16"]) == "merge.nothing_chosen"
    assert fault(desk, [SMALL], []) == "gguf_files.no_types"
    assert fault(desk, [SMALL], ["f16", "q9"]) == "gguf_files.unknown_type"
    assert fault(desk, [SMALL], ["lora"]) == "gguf_files.lora_of_one"
    assert fault(desk, [SMALL], ["iq2_xs"]) == "gguf_files.no_calibration"
    assert fault(desk, [SMALL], ["q4_k_m"], importance=True) == "gguf_files.no_calibration"
    assert fault(desk, [SMALL], ["f16"], name=SMALL) == "models.name_taken"
    assert fault(desk, [SMALL], ["f16"], name="../out") != "models.name_taken"


def test_a_run_is_merged_first_and_its_data_calibrate(desk):
    run = random_run(desk.workspace, "tuned", dtype="bfloat16")
    made = gguf_plan.plan(desk.workspace, [run.name], ["q4_k_m", "iq2_xs", "lora"])
    assert made.source.merge and made.source.template == "smollm2" and made.measures
    assert made.calibration == "identity_en" and made.adapter == run.folder
    assert gguf_plan.size(desk.workspace, made) > 2 * 2**28


def test_prompts_are_those_of_training(desk):
    model = desk.workspace.models / SMALL
    found = gguf_prompts.prompts(model, "smollm2")
    assert found.kind == "training" and found.begin_with_bos is True and len(found.prompts) > 10
    own = gguf_prompts.prompts(model, "")
    assert own.kind == "transformers" and own.question and own.stops


def test_every_conversion_reads_what_training_says_of_bos(tmp_path):
    tools = tmp_path / "tools" / llama_cpp.NAME
    (tools / "converter").mkdir(parents=True)
    (tools / llama_cpp.STAMP).write_text(llama_cpp.digest())
    (tools / "converter" / "convert_hf_to_gguf.py").write_text(NOTES_BOS)
    desk = Desk(tmp_path / "workspace", tools.parent)
    model = copied(desk, "no-bos")
    config = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": False}))
    assert gguf_prompts.prompts(model, "").begin_with_bos is True
    desk.ended(desk.service.gguf(["no-bos"], ["f16", "bf16"]))  # nothing can answer: no file is made
    assert (tools / "converter" / "bos").read_text().split() == ["True", "True"]


@slow  # fetches llama.cpp's programs
def test_files_are_made_asked_and_compared(desk):
    job = desk.ended(desk.service.gguf([SMALL], ["f16", "q8_0", "q4_k_m", "iq2_xs"], calibration="identity_en"))
    assert job.state == "finished", (job.error, desk.jobs.log(job.id)[-20:])
    folder = Path(job.result["folder"])
    record = model_forms.of_folder(folder)
    made = {model_forms.FILE, *FILES.values(), *(str(form.file) for form in record.forms)}
    assert {one.name for one in folder.iterdir()} == made
    assert [form.type for form in record.forms] == ["f16", "q8_0", "q4_k_m", "iq2_xs"]
    sizes = [form.size for form in record.forms]
    assert sizes == sorted(sizes, reverse=True) and record.forms[3].importance and not record.forms[2].importance
    parity = record.forms[0].parity
    assert parity.kind == "transformers" and parity.same == parity.compared >= 3


@slow  # fetches llama.cpp's programs
def test_a_run_as_gguf_and_its_adapter_alone(desk):
    run = random_run(desk.workspace, "as-gguf", dtype="bfloat16", val_size=0.2)
    job = desk.ended(desk.service.gguf([run.name], ["q8_0", "lora"]))
    assert job.state == "finished", (job.error, desk.jobs.log(job.id)[-20:])
    forms = {form["type"]: form for form in job.result["verified"]}
    parity = forms["q8_0"]["parity"]
    # This release of llama-server writes a line break between the parts of a message.
    assert parity["kind"] == "training" and set(parity["differs"]) <= {"parts"}, parity
    assert parity["seams"] == ["blanks"] and parity["same"] >= parity["compared"] - 2 > 10, parity
    assert forms["lora"]["size"] < forms["q8_0"]["size"] / 10 and forms["lora"]["answer"]
    cost = desk.ended(desk.service.cost([run.name]))
    assert cost.state == "finished", (cost.error, desk.jobs.log(cost.id)[-20:])
    assert cost.result["rows_from"] == f"held-out:{run.name}"
    whole, eight = (one["cost"] for one in cost.result["forms"])
    assert eight["kl"] < 0.2 and eight["top1"] > 0.8 and abs(eight["perplexity"] / whole["perplexity"] - 1) < 0.1
    # The same merge again is the model that is there.
    assert gguf_plan.plan(desk.workspace, [run.name], ["q4_k_m"]).source.merge is None


@slow  # fetches llama.cpp's programs
def test_a_stop_leaves_nothing(desk):
    before = {path.name for path in desk.workspace.models.iterdir()}
    job = desk.service.gguf([SMALL], ["f16", "q8_0"], name="stopped")
    wait_for(lambda: (desk.jobs.find(job.id).message or {}).get("key") == "gguf_files.converting")
    desk.jobs.cancel(job.id)
    assert desk.ended(job).state == "stopped"
    assert {path.name for path in desk.workspace.models.iterdir()} == before
    assert not list((desk.workspace.root / ".writing").iterdir())


def test_every_type_is_known_by_its_number():
    assert len({one.number for one in TYPES.values()}) == len(TYPES)

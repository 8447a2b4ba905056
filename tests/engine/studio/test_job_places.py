"""What jobs of the studio's own kinds read and make stays where it is, and free for them, until they are over."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
import yaml
from conftest import PATIENCE_S, SMALL, free_port, is_sentence, new_workspace

from studio import app
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.processes import process_group
from studio.datasets.page.schemas import NewDataOptions
from studio.datasets.registry import entries
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.load_test.load_settings import LoadSettings
from studio.deploy.supervision.deployment import Request, new_state
from studio.evaluate.settings import BenchmarkSettings, PredictSettings
from studio.models.library import manage
from studio.train import runs
from studio.train.runs import manage_runs
from studio.trash import workspace_trash

SOURCE = {"name": SMALL}
KINDS = {
    "import_gguf": {"name": "Made", "file": "{models}/" + SMALL + "/model.gguf"},
    "download": {"source": "huggingface", "repo": "maker/tiny", "name": "Made", "hub": "Hugging Face"},
    "export": {"name": "Made", "targets": [SMALL], "model": "{models}/" + SMALL, "template": "smollm2"},
    "export_gguf": {"name": "Made", "source": SOURCE, "types": ["f16"], "calibration": "identity"},
    "export_quantize": {"name": "Made", "source": SOURCE, "method": "gptq-4", "calibration": "identity"},
    "export_cost": {"name": SMALL, "source": SOURCE, "rows_from": "identity"},
    "export_push": {"name": SMALL, "source": "huggingface", "repo": "maker/tiny", "hub": "Hugging Face"},
    "export_parity": {"model": SMALL, "template": "smollm2", "forms": ["jinja"]},
    "batch": {"model_name_or_path": SMALL},
    "check": {"name": "identity"},
    "lengths": {"name": "identity"},
    "derive": {"name": "identity", "of": ["alpaca_en_demo", "identity"], "new": "made_train, made"},
    "convert": {"name": "made", "path": "data.json"},
}
MAKES_MODEL = ("import_gguf", "download", "export", "export_gguf", "export_quantize")
READS_MODEL = (*[kind for kind in MAKES_MODEL if kind != "download"], "export_cost", "export_push", "export_parity")
MAKES_SET, READS_SET = ("derive", "convert"), ("export_gguf", "export_quantize", "export_cost", "check", "lengths")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    workspace = new_workspace(tmp_path_factory.mktemp("places") / "workspace")
    for name in ("identity", "alpaca_en_demo"):
        (workspace.data / f"{name}.json").write_text('[{"instruction": "Who are you?", "input": "", "output": "I."}]')
        entries.add(workspace.data, name, {"file_name": f"{name}.json"})
    return app.make(workspace)


@pytest.fixture
def begin(studio):
    """Begins a job of a kind, which is at work until the test is over."""
    over, begun = threading.Event(), []

    def start(kind: str, facts: dict) -> None:
        named = {key: _filled(value, studio) for key, value in facts.items()}
        begun.append(studio.jobs.start(kind, "batch.title", named, lambda job: over.wait(240)).id)

    yield start
    over.set()
    for job in begun:
        assert studio.jobs.wait(job, 240).state == "finished"


def _filled(value: object, studio: app.Studio) -> object:
    return value.format(models=studio.workspace.models) if isinstance(value, str) else value


def refusal(act: Callable) -> str:
    """Return the key of the sentence by which something is refused, which both languages have."""
    with pytest.raises(Problem) as refused:
        act()
    assert all(is_sentence(Words(one).tell(refused.value)) for one in LANGUAGES)
    return refused.value.key


def endpoint(studio: app.Studio, name: str) -> Callable:
    return next(one for one in app.api.all_endpoints(studio, Words("en")) if one.__name__ == name)


@pytest.mark.parametrize("kind", MAKES_MODEL)
def test_no_model_gets_a_name_that_is_being_made(studio, begin, kind):
    begin(kind, KINDS[kind])
    other = studio.workspace.models / "other"
    if not other.is_dir():
        other.mkdir()
        (other / "config.json").write_text('{"model_type": "llama"}')
    rename = lambda: manage.rename(studio.workspace, studio.jobs, "other", "made", lambda _: None)  # noqa: E731
    assert refusal(rename) == "jobs.name_taken"


@pytest.mark.parametrize("kind", READS_MODEL)
def test_a_model_that_is_being_read_is_neither_renamed_nor_deleted(studio, begin, kind):
    begin(kind, KINDS[kind])
    model = studio.workspace, studio.jobs, SMALL
    assert refusal(lambda: manage.rename(*model, "new", lambda _: None)) == "jobs.in_use"
    assert refusal(lambda: manage.delete(*model, lambda _: None)) == "jobs.in_use"


@pytest.mark.parametrize("kind", MAKES_SET)
def test_no_dataset_gets_a_name_that_is_being_made(studio, begin, kind):
    collection, deleted = studio.analysis.collection, {"file_name": "identity.json"}
    entries.add(collection.folder, "made", deleted)
    entries.remove(collection.folder, "made", collection.trash())
    item = collection.trash().list()[0]
    begin(kind, KINDS[kind])
    acts = {
        "rename": lambda: endpoint(studio, "datasets_rename")("identity", "made"),
        "hub": lambda: endpoint(studio, "datasets_register")("hf:maker/rows", "made"),
        "file": lambda: endpoint(studio, "datasets_register")("identity.json", "made"),
        "job": lambda: studio.analysis.sample("identity", 3, "made", 1),
        "trash": lambda: workspace_trash.restore(studio.workspace, studio.jobs, item.id),
    }
    assert {name: refusal(act) for name, act in acts.items()} == dict.fromkeys(acts, "jobs.name_taken")
    assert collection.free_name("made.json") == "made_2"


@pytest.mark.parametrize("path", ["identity.json", "hf:maker/rows"])
def test_a_job_takes_the_name_that_it_makes_itself(studio, path):
    named = NewDataOptions.model_validate({"path": path, "name": "own"})
    assert endpoint(studio, "datasets_bring_in")(named).name == "own"
    endpoint(studio, "datasets_remove")("own")


@pytest.mark.parametrize("kind", READS_SET)
def test_a_dataset_that_is_being_read_is_neither_renamed_nor_removed(studio, begin, kind):
    begin(kind, KINDS[kind])
    assert refusal(lambda: endpoint(studio, "datasets_rename")("identity", "new")) == "jobs.in_use"
    assert refusal(lambda: endpoint(studio, "datasets_remove")("identity")) == "jobs.in_use"


def test_what_is_derived_from_several_sets_keeps_each(studio, begin):
    begin("derive", KINDS["derive"])
    for name in ("alpaca_en_demo", "identity"):
        assert refusal(lambda name=name: endpoint(studio, "datasets_remove")(name)) == "jobs.in_use"


@pytest.mark.parametrize("kind", ["export", "export_gguf", "export_quantize", "evaluate", "benchmark", "chat-sheet"])
def test_what_is_read_of_a_run_stays_with_it_and_its_model(studio, begin, kind):
    run, waits = runs.make(studio.workspace, "m", "lora", "r"), None
    model = studio.workspace.models / SMALL
    run.recipe_file.write_text(
        yaml.safe_dump({"model_name_or_path": str(model), "stage": "sft", "dataset": "identity"})
    )
    run.say("state", state="finished")
    checkpoint = run.folder / "checkpoint-2"
    checkpoint.mkdir()
    (checkpoint / "adapter_config.json").write_text("{}")
    target = f"{run.name}@checkpoint-2"
    merge = KINDS["export"] | {
        "name": "Merged",
        "targets": [target],
        "adapters": [str(checkpoint)],
        "model": str(model),
    }
    if kind in ("evaluate", "benchmark"):
        settings = PredictSettings() if kind == "evaluate" else BenchmarkSettings()
        what = "predict" if kind == "evaluate" else "benchmark"
        made = studio.evaluate.service.evaluations.create(what, [target], ["identity"], settings)
        begin("evaluate", {"evaluation": made.id})
    elif kind == "chat-sheet":
        begin(kind, {"sheet": "gone"})  # so that the other waits
        waits = studio.chat.prompt_lists.start([target], [{"prompt": "Hello", "system": ""}]).id
    elif kind == "export":
        begin(kind, merge)
    else:
        begin(kind, KINDS[kind] | {"source": {"name": "Merged", "merge": merge}})
    assert refusal(lambda: manage_runs.delete(studio.workspace, studio.jobs, run.name)) == "jobs.in_use"
    assert refusal(lambda: manage.delete(studio.workspace, studio.jobs, SMALL, lambda _: None)) == "jobs.in_use"
    assert refusal(lambda: studio.trainer.restart(run.name)) == "jobs.in_use"
    if waits:
        studio.jobs.cancel(waits)


@pytest.fixture
def serve(studio):
    """Lets an engine be looked after that an earlier studio has just started: a process that does not answer yet."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(9999)"])

    def begin(target: str, **settings: object) -> None:
        deployment = studio.deploy.deployments.create("served")
        settings = DeploySettings.model_validate(settings)
        deployment.write_request(Request(engine="llama.cpp", target=target, settings=settings, created=1.0))
        members = [process_group.identity(program.pid)]
        deployment.write_state(new_state(free_port()).model_copy(update={"members": members}))
        studio.deploy._find_again()

    yield begin
    program.kill()
    program.wait()
    studio.deploy.wait("served", PATIENCE_S)
    studio.deploy.delete("served")


@pytest.mark.parametrize("how", ["model", "run", "checkpoint", "adapter", "gguf", "prompt of"])
def test_what_an_engine_serves_stays_until_it_is_stopped(studio, serve, how):
    workspace, model = studio.workspace, studio.workspace.models / SMALL
    run = runs.make(workspace, "m", "lora", "served")
    recipe = {"model_name_or_path": str(model), "stage": "sft", "template": "smollm2", "dataset": "identity"}
    run.recipe_file.write_text(yaml.safe_dump(recipe))
    run.say("state", state="finished")
    for folder in (run.folder, run.folder / "checkpoint-2"):
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text("{}")
        (folder / "adapter_model.safetensors").write_bytes(b"")
    (model / "small.gguf").touch()
    (workspace.models / "other.gguf").touch()
    checkpoint, told = f"{run.name}@checkpoint-2", "models.used_by_engine"
    begun = {
        "model": {"target": SMALL},
        "run": {"target": run.name},
        "checkpoint": {"target": checkpoint},
        "adapter": {"target": SMALL, "adapters": {"first": checkpoint}},
        "gguf": {"target": f"{SMALL}/small.gguf"},
        "prompt of": {"target": "other.gguf", "prompt_of": run.name},
    }
    serve(**begun[how])
    on_model = workspace, studio.jobs, SMALL
    assert refusal(lambda: manage.rename(*on_model, "new", lambda _: None)) == told
    assert refusal(lambda: manage.delete(*on_model, lambda _: None)) == told
    if how not in ("model", "gguf"):
        assert refusal(lambda: manage_runs.delete(workspace, studio.jobs, run.name)) == told
    studio.deploy.stop("served")
    assert studio.deploy.wait("served", PATIENCE_S)
    manage_runs.delete(workspace, studio.jobs, run.name)
    with studio.jobs.moving([model]):
        (model / "small.gguf").unlink()


def test_a_benchmark_that_is_being_asked_is_not_deleted(studio, begin):
    folder = studio.workspace.data / "benchmarks"
    (folder / "rooms").mkdir(parents=True, exist_ok=True)
    (folder / "others").mkdir(exist_ok=True)
    described = {"dataset_kwargs": {"data_files": {"test": "others/rows.json"}}, "output_type": "generate_until"}
    described |= {"doc_to_text": "{{a}}", "doc_to_target": "{{b}}", "metric_list": [{"metric": "acc"}]}
    (folder / "own.yaml").write_text(yaml.safe_dump(described))
    named = ["rooms", "lm-eval:own"]
    made = studio.evaluate.service.evaluations.create("benchmark", [SMALL], named, BenchmarkSettings())
    begin("evaluate", {"evaluation": made.id})
    for name in (*named, "others"):
        assert refusal(lambda name=name: endpoint(studio, "evaluate_task_delete")(name)) == "jobs.in_use"


def test_no_benchmark_gets_a_name_that_is_being_fetched(studio, begin):
    (studio.workspace.data / "brought").mkdir()
    begin("benchmark", {"name": "mmlu", "source": "huggingface", "title": "MMLU", "hub": "Hugging Face"})
    add = endpoint(studio, "evaluate_task_add")
    assert refusal(lambda: add(str(studio.workspace.data / "brought"), "mmlu")) == "jobs.name_taken"


@pytest.mark.parametrize("kind", ["evaluate", "load_test"])
def test_a_dataset_whose_rows_are_asked_is_neither_renamed_nor_removed(studio, begin, kind):
    if kind == "evaluate":
        made = studio.evaluate.service.evaluations.create("predict", [SMALL], ["identity"], PredictSettings())
    else:
        made = studio.tools.load_tests.tests.create(["served:one/two"], LoadSettings(dataset="identity"))
    begin(kind, {"evaluation" if kind == "evaluate" else "load_test": made.id})
    assert refusal(lambda: endpoint(studio, "datasets_rename")("identity", "new")) == "jobs.in_use"
    assert refusal(lambda: endpoint(studio, "datasets_remove")("identity")) == "jobs.in_use"


def test_a_model_that_says_hello_stays_until_it_has(studio, monkeypatch):
    told = []
    delete = lambda: manage.delete(studio.workspace, studio.jobs, SMALL, lambda _: None)  # noqa: E731
    monkeypatch.setattr(studio.smoke_tests, "_run", lambda *_: told.append(refusal(delete)))
    studio.smoke_tests.run(SMALL, "Who?")
    assert told == ["models.used_by_smoke_test"]
    with studio.jobs.moving([studio.workspace.models / SMALL]):
        pass


def test_forms_of_a_run_may_share_the_merge_and_no_other_job_makes_it(studio, begin):
    merge = KINDS["export"] | {"name": "Shared", "model": str(studio.workspace.models / SMALL)}
    source = {"name": "Shared", "merge": merge}
    begin("export_gguf", KINDS["export_gguf"] | {"name": "Shared-GGUF", "source": source})
    begin("export_quantize", KINDS["export_quantize"] | {"name": "Shared-4bit", "source": source})
    for kind, facts in {"export": merge, "download": KINDS["download"] | {"name": "shared"}}.items():
        assert refusal(lambda kind=kind, facts=facts: begin(kind, facts)) == "jobs.name_taken"


def test_a_form_of_a_run_waits_for_the_merge_that_is_being_made(studio, begin):
    merge = KINDS["export"] | {"name": "Before", "model": str(studio.workspace.models / SMALL)}
    begin("export", merge)
    begin("export_gguf", KINDS["export_gguf"] | {"name": "Before-GGUF", "source": {"name": "Before", "merge": merge}})
    assert {job.kind for job in studio.jobs.all() if job.active} == {"export", "export_gguf"}


@pytest.mark.parametrize("state", ["queued", "preparing", "running"])
def test_what_a_run_trains_on_stays_until_it_is_over(studio, state):
    workspace = studio.workspace
    below, run = (runs.make(workspace, "m", "lora", name) for name in ("below", "above"))
    model = workspace.models / SMALL
    recipe = {
        "model_name_or_path": str(model),
        "adapter_name_or_path": f"/nowhere/at/all,{below.folder / 'checkpoint-2'}",
        "dataset": "alpaca_en_demo, identity",
        "dataset_dir": str(workspace.data),
    }
    for one in (below, run):
        one.recipe_file.write_text(yaml.safe_dump(recipe if one is run else {}))
        one.say("state", state="finished")
    run.say("state", state=state)
    run.own()
    acts = {
        "model": lambda: manage.rename(workspace, studio.jobs, SMALL, "new", lambda _: None),
        "model deleted": lambda: manage.delete(workspace, studio.jobs, SMALL, lambda _: None),
        "run below": lambda: manage_runs.delete(workspace, studio.jobs, below.name),
        "dataset": lambda: endpoint(studio, "datasets_rename")("identity", "new"),
        "other dataset": lambda: endpoint(studio, "datasets_remove")("alpaca_en_demo"),
    }
    assert {name: refusal(act) for name, act in acts.items()} == dict.fromkeys(acts, "models.used_by_run")
    run.note(label="the best so far")
    for act in (acts["model"], lambda: manage_runs.delete(workspace, studio.jobs, run.name)):
        with pytest.raises(Problem, match="the best so far") as told:
            act()
        assert run.name not in str(told.value) and "resume" not in str(told.value)
    run.say("state", state="stopped")
    with studio.jobs.moving([model, workspace.data / "identity"]):
        pass
    manage_runs.delete(workspace, studio.jobs, run.name)
    manage_runs.delete(workspace, studio.jobs, below.name)

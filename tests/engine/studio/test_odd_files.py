"""Files and names that are not as they should be: each is one row with its reason, and what works with them works."""

import json
import os
import shutil
import struct
import tempfile
from pathlib import Path

import pytest
import workspace_files
from conftest import costs_at_most
from workspace_files import CONFIG, TENSORS, as_json, safetensors

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.add_data.registering import Registration, register
from studio.datasets.page.analysis_endpoints import endpoints as of_analysis
from studio.datasets.page.endpoints import endpoints as of_datasets
from studio.datasets.registry import dataset_info, entries
from studio.datasets.registry.collection import Collection
from studio.models.hub.download import Downloads
from studio.models.library import library, model_folders
from studio.models.library import model_config as configs
from studio.models.weights import tensor_headers
from studio.web import schema

ODD_NAME = os.fsdecode(b"caf\xe9")
ENGLISH = Words("en")


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    root = tmp_path / "workspace"
    workspace_files.build(root)
    return Workspace(root).prepare()


@pytest.fixture
def collection(workspace) -> Collection:
    return Collection(workspace, Jobs(workspace))


def endpoint(name: str, collection: Collection):
    """Return an endpoint whose result is plain, as a script gets it."""
    functions = [*of_datasets(collection, ENGLISH), *of_analysis(DatasetAnalysis(collection), ENGLISH)]
    function = next(one for one in functions if one.__name__ == name)
    return lambda *args, **named: schema.dumped(function(*args, **named))


def make_model(folder: Path, config: object = CONFIG) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(as_json(config))
    (folder / "model.safetensors").write_bytes(safetensors(TENSORS))
    (folder / "tokenizer.json").write_bytes(b"{}")
    return folder


# Models
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("architectures", 5),
        ("architectures", [5]),
        ("architectures", {}),
        ("model_type", 5),
        ("model_type", ["llama"]),
        ("num_hidden_layers", "12"),
        ("num_hidden_layers", 10**12),
        ("num_hidden_layers", [1]),
        ("hidden_size", True),
        ("hidden_size", 1.5),
        ("hidden_size", 10**30),
        ("vocab_size", {}),
        ("quantization_config", []),
        ("quantization_config", "gptq"),
        ("text_config", 3),
        ("auto_map", "x"),
        ("torch_dtype", 16),
        ("max_position_embeddings", "long"),
        ("sliding_window", "4096"),
    ],
)
@pytest.mark.parametrize("inner", [False, True])
def test_a_field_of_a_wrong_type_is_named_on_the_row(workspace, field, value, inner):
    config = {**CONFIG, "text_config": {**CONFIG, field: value}} if inner else {**CONFIG, field: value}
    make_model(workspace.models / "odd", config)
    (fault,) = library.find(workspace, "odd").faults
    assert fault.key == "models.wrong_field" and fault.facts["field"] == ("text_config." if inner else "") + field
    assert "config.json" in str(fault)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("architectures", None),
        ("num_key_value_heads", None),
        ("sliding_window", False),
        ("sliding_window", 0),
        ("intermediate_size", [16, 16]),
        ("num_hidden_layers", 2.0),
        ("model_max_length", 10**30),
        ("max_position_embeddings", 1e30),
        ("auto_map", {}),
        ("torch_dtype", None),
        ("head_dim", -1),
        ("later", {"deep": [1]}),
    ],
)
def test_what_real_configs_say_is_no_fault(workspace, field, value):
    make_model(workspace.models / "real", {**CONFIG, field: value})
    assert library.find(workspace, "real").faults == ()


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [-1, 8], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": ["1", 8], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": [1, 8], "data_offsets": ["0", "32"]},
        {"dtype": "F32", "shape": [1, 8], "data_offsets": [32, 0]},
        {"dtype": 5, "shape": [1, 8], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": [1, 8], "data_offsets": [0, 999]},
        {"dtype": "F32", "shape": [10**18, 10**18], "data_offsets": [0, 32]},
        {"dtype": "XX", "shape": [10**18] * 60, "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": 8, "data_offsets": [0, 32]},
        {"dtype": "F32"},
        [],
        5,
        None,
        {"dtype": "F32", "shape": [True, 8], "data_offsets": [0, 32]},
    ],
)
def test_a_header_of_weights_that_is_none_is_a_fault_of_the_file(tmp_path, entry):
    text = json.dumps({"whole": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}, "odd": entry}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 1000)
    shard = tensor_headers.read_shard(tmp_path / "a.safetensors")
    assert shard.fault and not shard.tensors


def test_tensors_that_overlap_are_a_fault(tmp_path):
    text = json.dumps(
        {name: {"dtype": "F32", "shape": [8], "data_offsets": [at, at + 32]} for name, at in (("a", 0), ("b", 16))}
    ).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 100)
    fault = tensor_headers.read_shard(tmp_path / "a.safetensors").fault
    assert fault == {"key": "reasons.header_tensor", "facts": {"name": "b"}}


@pytest.mark.parametrize(
    "weight_map",
    [[], 5, {"a": 5}, {"a": ["b"]}, {"a": "../../outside.safetensors"}, {"a": "/etc/passwd"}, {"a": "x\0"}, None],
)
def test_an_index_that_leads_out_or_is_none_is_a_fault(workspace, weight_map):
    (workspace.models / "parts" / "model.safetensors.index.json").write_bytes(as_json({"weight_map": weight_map}))
    assert [fault for fault in library.find(workspace, "parts").faults if "index" in str(fault)]


@pytest.mark.parametrize(
    ("file", "value", "field"),
    [
        ("tokenizer_config.json", {"chat_template": 5}, "chat_template"),
        ("tokenizer_config.json", {"chat_template": [1]}, "chat_template"),
        ("tokenizer_config.json", {"eos_token": 5}, "eos_token"),
        ("tokenizer_config.json", {"eos_token": {"content": 1}}, "eos_token"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"<img>": {"content": "x"}}}, "added_tokens_decoder"),
        ("tokenizer_config.json", {"added_tokens_decoder": []}, "added_tokens_decoder"),
        ("special_tokens_map.json", {"pad_token": 1}, "pad_token"),
        ("added_tokens.json", {"x": "<script>"}, "x"),
        ("added_tokens.json", {"x": True}, "x"),
        ("added_tokens.json", {"x": -1}, "x"),
    ],
)
def test_a_tokenizer_file_is_read_field_by_field(workspace, file, value, field):
    make_model(workspace.models / "odd")
    (workspace.models / "odd" / file).write_bytes(as_json(value))
    (fault,) = library.find(workspace, "odd").faults
    assert fault.facts["field"] == field and file in str(fault)


@pytest.mark.parametrize("name", [ODD_NAME, "two\nlines", "\u202eleft", "tab\tname", "中文模型", "a b", "x" * 200])
def test_a_model_of_any_name_is_listed_and_found_by_it(workspace, name):
    make_model(workspace.models / name)
    (model,) = [one for one in library.models(workspace) if one.path.name == name]
    assert library.find(workspace, model.name).path == workspace.models / name
    json.dumps(model.name, ensure_ascii=False).encode()
    assert "\n" not in model.name and model.faults == ()


def test_two_names_that_look_the_same_are_two_models(workspace):
    for name in (b"caf\xe9", b"caf\xe8"):
        make_model(workspace.models / os.fsdecode(name))
    found = [one for one in library.models(workspace) if one.name.startswith("caf")]
    assert len({one.name for one in found}) == 2
    assert {library.find(workspace, one.name).path for one in found} == {one.path for one in found}


def test_a_linked_model_works_as_it_is_listed(workspace, tmp_path):
    make_model(tmp_path / "big disk" / "far away")
    (workspace.models / "near").symlink_to(tmp_path / "big disk" / "far away")
    assert "near" in [one.name for one in library.models(workspace)]
    assert library.find(workspace, "near").faults == ()


def test_a_link_that_leads_nowhere_and_one_to_itself_are_rows(workspace, tmp_path):
    (workspace.models / "gone").symlink_to(tmp_path / "unplugged" / "model")
    (workspace.models / "circle").symlink_to(workspace.models / "circle")
    found = {one.name: one for one in library.models(workspace)}
    for name in ("gone", "circle"):
        assert found[name].faults and library.find(workspace, name).faults, name
        assert str(found[name].faults[0])


def test_folders_of_a_person_are_whole_paths(workspace):
    for value in ([1], [""], ["."], ["a\0b"], "x", None, {"folders": 5}, {"folders": ["relative"]}):
        (workspace.root / "places.json").write_bytes(as_json(value if isinstance(value, dict) else {"folders": value}))
        assert model_folders.folders(workspace) == [] and model_folders.fault(workspace), value
        assert [one.name for one in library.models(workspace)][-1] == "places.json"


# Jobs
# --------------------------------------------------------------------------------------------------


def record(workspace: Workspace, name: str, **changes: object) -> Path:
    path = workspace.saves / ".jobs" / f"{name}.json"
    path.write_bytes(
        workspace_files.job("download", workspace_files.DOWNLOAD | changes.pop("facts", {}), id=name, **changes)
    )
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../../data/dataset_info"},
        {"state": "eaten"},
        {"created": "yesterday"},
        {"created": 1e400},
        {"created": 1e300},
        {"pid": 2**80},
        {"pid": -1},
        {"progress": "half"},
        {"progress": 7},
        {"message": "text"},
        {"error": {"key": 5}},
        {"facts": {"source": "../.."}},
        {"facts": {"repo": "../../.."}},
        {"facts": {"name": "../../x"}},
        {"facts": {"include": 5}},
        {"facts": {"name": None}},
    ],
)
def test_a_record_of_a_job_that_is_not_sound_is_told_and_has_no_power(workspace, changes):
    path = record(workspace, "download-1")
    content = json.loads(path.read_bytes())
    content |= {"facts": content["facts"] | changes["facts"]} if "facts" in changes else changes
    path.write_text(json.dumps(content))
    jobs = Jobs(workspace)
    Downloads(workspace, jobs)
    assert path in jobs.faults and str(jobs.faults[path])
    assert "download-1" not in [job.id for job in jobs.all()]


def test_a_sentence_of_another_release_is_told_as_that(workspace):
    record(
        workspace,
        "download-1",
        message={"key": "downloads.of_2030", "facts": {}},
        error={"key": "jobs.fault", "facts": {"other": 1}},
    )
    jobs = Jobs(workspace)
    status = jobs.status("download-1", ENGLISH)
    assert "downloads.of_2030" in status.message and "jobs.fault" in status.error


# Datasets
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file_name",
    ["a\0b.json", "../outside.json", "/etc/passwd", "parts/../../outside.json", 5, ["alpaca.json"], {}, True],
)
def test_an_entry_that_leads_out_is_not_written(collection, file_name):
    before = (collection.folder / dataset_info.INFO).read_bytes()
    with pytest.raises(Problem):
        endpoint("datasets_edit_entry", collection)("alpaca", json.dumps({"file_name": file_name}))
    with pytest.raises(Problem):
        entries.add(collection.folder, "other", {"file_name": file_name})
    assert (collection.folder / dataset_info.INFO).read_bytes() == before


@pytest.mark.parametrize("key", ["a,b", "two\nlines", "/whole/path", "", " ", "nul\0"])
def test_a_name_that_cannot_be_used_is_a_row_with_its_reason(collection, key):
    info = json.loads((collection.folder / dataset_info.INFO).read_bytes())
    (collection.folder / dataset_info.INFO).write_bytes(as_json(info | {key: {"file_name": "alpaca.json"}}))
    (row,) = [one for one in collection.datasets(collection.folder) if one.name == key]
    assert str(row.problem)
    assert len(collection.datasets(collection.folder)) == len(info) + 1


def test_a_broken_list_of_data_folders_is_one_row(collection):
    (collection.folder / dataset_info.PLACES).write_text("[1]")
    rows = endpoint("datasets_list", collection)()
    assert rows[-1]["name"] == dataset_info.PLACES and rows[-1]["problem"]
    assert "alpaca" in [row["name"] for row in rows]
    assert not collection.find("alpaca").problem


def test_row_0_is_refused_with_the_range(collection):
    for row in (0, -1, 3):
        with pytest.raises(Problem) as told:
            endpoint("datasets_tokens", collection)("alpaca", row, "tiny", "default")
        assert told.value.key == "datasets.no_row" and "2" in str(told.value)


@pytest.mark.parametrize("name", ["alpaca", "lines", "table", "plain"])
def test_an_empty_file_is_not_good(collection, name):
    collection.find(name).file.write_bytes(b"")
    with pytest.raises(Problem) as told:
        endpoint("datasets_check", collection)(name, lengths=False)
    assert str(told.value)


def test_a_set_that_is_read_where_it_lies_says_how_many_rows_it_has(collection):
    rows = [{"instruction": f"Say {number}.", "input": "", "output": str(number)} for number in range(20)]
    (collection.folder / "twenty.jsonl").write_bytes(b"\n".join(as_json(row) for row in rows) + b"\n")
    assert endpoint("datasets_register", collection)("twenty.jsonl")["rows"] == 20


def test_data_under_a_name_that_is_not_utf8_is_brought_in_read_checked_and_edited(collection):
    (collection.folder / f"{ODD_NAME}.json").write_bytes(as_json(workspace_files.ALPACA))
    made = register(collection, ENGLISH, Registration(f"{ODD_NAME}.json", "odd"))
    assert made.name == "odd" and made.rows == 2
    assert collection.preview("odd").total == 2
    assert endpoint("datasets_check", collection)("odd", lengths=False)["rows"] == 2
    endpoint("datasets_edit_row", collection)("odd", 1, {"instruction": "New.", "input": "", "output": "Yes."})
    endpoint("datasets_undo", collection)("odd")
    assert collection.preview("odd").rows[0] == workspace_files.ALPACA[0]


def test_an_index_of_rows_that_leads_out_of_the_file_is_made_again(workspace):
    for pair in ((-5, 3), (0, 10**15), (9, 3)):
        workspace_files.path_of("places of rows", workspace.root).write_bytes(struct.pack("<2q", *pair))
        rows = Collection(workspace, Jobs(workspace)).rows("lines")
        rows.wait()
        assert [row.value for row in rows.page(0, 5)] == [workspace_files.TALK] * 2


@pytest.mark.parametrize(
    "step", [{"start": -1}, {"length": "x"}, {"old": "not base64 !"}, {"after": 5}, {"after": [1]}]
)
def test_a_journal_of_edits_that_is_not_sound_is_never_written_back(collection, workspace, step):
    journal = workspace_files.path_of("edits of rows", workspace.root)
    (good,) = json.loads(journal.read_bytes())
    journal.write_bytes(as_json([good | step]))
    before = (collection.folder / "alpaca.json").read_bytes()
    assert not collection.editor.can_undo(collection.folder / "alpaca.json")
    with pytest.raises(Problem):
        endpoint("datasets_undo", collection)("alpaca")
    assert (collection.folder / "alpaca.json").read_bytes() == before


def test_the_list_stays_quick(workspace):
    for number in range(60):
        make_model(workspace.models / f"model-{number}")
    library.models(workspace)
    with costs_at_most(5 * 0.5):
        for _ in range(5):
            library.models(workspace)
    assert configs.read(workspace.models / "model-1")[1] == ()


@pytest.fixture
def without_power():
    """Give a folder, and be somebody for whom permissions count while the test lasts: for root they do not."""
    folder = Path(tempfile.mkdtemp(prefix="odd-", dir="/tmp"))
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for path in folder.rglob("*"):
        path.chmod(0o777)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_a_row_with_its_reason(without_power):
    workspace = Workspace(without_power / "workspace").prepare()
    make_model(workspace.models / "closed").chmod(0)
    for file in make_model(workspace.models / "half").iterdir():
        file.chmod(0)
    (workspace.data / dataset_info.INFO).chmod(0)
    (workspace.root / "places.json").write_text("{}")
    (workspace.root / "places.json").chmod(0)
    found = {one.name: one for one in library.models(workspace)}
    assert set(found) == {"closed", "half", "places.json"}
    for model in found.values():
        assert "ermission" in str(model.faults[0]), model.name
        assert library.find(workspace, model.name).faults
    with pytest.raises(Problem, match="ermission"):
        Collection(workspace, Jobs(workspace)).datasets(workspace.data)

"""Which rows a run held out, and which it was trained on, where its data was changed since."""

import json
import os
import shutil

import pytest
from conftest import SHORT, is_sentence

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Job, Jobs
from studio.datasets.files import data_stamp
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.predict import row_sources
from studio.evaluate.predict.row_selection import rows_of, sources
from studio.evaluate.predict.row_sources import HELD_OUT, training_rows
from studio.evaluate.predict.training_overlap import TrainingOverlap
from studio.evaluate.settings import PredictSettings
from studio.train import runs

ROWS = [{"instruction": f"Question {number:03}?", "input": "", "output": f"Answer {number}."} for number in range(100)]


@pytest.fixture
def file(workspace):
    path = workspace.data / "numbered.json"
    path.write_text(json.dumps(ROWS))
    info = json.loads((workspace.data / "dataset_info.json").read_text())
    (workspace.data / "dataset_info.json").write_text(json.dumps(info | {"numbered": {"file_name": path.name}}))
    return path


@pytest.fixture
def collection(workspace) -> Collection:
    return Collection(workspace, Jobs(workspace))


def started(trainer, **recipe) -> runs.Run:
    """Return a run as it stands before its first step, on a hundred rows."""
    run, _ = trainer.nodes(SHORT | {"dataset": "numbered"} | recipe, {}, 2, "127.0.0.1")
    return run


def delete_a_row(collection, file) -> None:
    collection.editor.delete(file, 2)


def add_a_row(collection, file) -> None:
    file.write_text(json.dumps([*ROWS, {"instruction": "New?", "input": "", "output": "Yes."}]))


def another_order(collection, file) -> None:
    file.write_text(json.dumps([*ROWS[50:], *ROWS[:50]]))


def delete_most(collection, file) -> None:
    file.write_text(json.dumps(ROWS[:5]))


def copy(collection, file) -> None:
    shutil.copyfile(file, file.with_name("copy.json"))
    os.replace(file.with_name("copy.json"), file)


CHANGES = [delete_a_row, add_a_row, another_order, delete_most]


def untold(collection, run) -> list[Problem]:
    """Return why it cannot be told what a run held out, and what it was trained on."""
    found = []
    with pytest.raises(Problem) as caught:
        row_sources.find(collection, HELD_OUT + run.name, [])
    found.append(caught.value)
    overlap = TrainingOverlap(collection, [run.name], lambda: None)
    assert not overlap.of(ROWS[0], row_sources.find(collection, "numbered", []).shape)
    return [*found, *overlap.untold.values()]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [0.1, 10])
def test_what_was_held_out_of_changed_data_cannot_be_told(trainer, collection, file, change, size):
    run = started(trainer, val_size=size)
    change(collection, file)
    problems = untold(collection, run)
    assert [one.key for one in problems] == ["evaluate.split_untold"] * 2
    assert all(is_sentence(Words(language).tell(one)) for language in LANGUAGES for one in problems)


def test_data_that_was_copied_is_the_same(trainer, collection, file):
    run = started(trainer, val_size=0.1)
    ((_, trained, held),) = training_rows(collection, run)
    copy(collection, file)
    ((source, *again),) = training_rows(collection, run)
    assert again == [trained, held] and (len(trained), len(held)) == (90, 10)
    overlap = TrainingOverlap(collection, [run.name], lambda: None)
    marked = [number for number, value in source.values(list(range(100))) if overlap.of(value, source.shape)]
    assert marked == trained and not overlap.untold


def test_what_is_a_part_by_its_number_cannot_be_told_of_changed_data(trainer, collection, file):
    run = started(trainer, max_samples=50)
    delete_a_row(collection, file)
    with pytest.raises(Problem) as caught:
        training_rows(collection, run)
    assert caught.value.key == "evaluate.split_untold"


def test_a_run_that_was_trained_on_all_rows_needs_no_numbers(trainer, collection, file):
    run = started(trainer)
    delete_a_row(collection, file)
    ((_, trained, held),) = training_rows(collection, run)
    assert (len(trained), held) == (99, [])


def test_a_run_of_an_earlier_release_is_believed_as_far_as_its_rows_reach(trainer, collection, file):
    run = started(trainer, val_size=10)
    run.note(data_stamps={})
    delete_a_row(collection, file)
    assert len(row_sources.find(collection, HELD_OUT + run.name, []).allowed) == 10
    delete_most(collection, file)
    assert [one.key for one in untold(collection, run)] == ["evaluate.split_untold"] * 2


def test_rows_that_were_chosen_before_are_found_in_changed_data(trainer, workspace, collection, file):
    run = started(trainer, val_size=0.1)
    name = HELD_OUT + run.name
    evaluation = Evaluations(workspace).create("predict", [run.name], [name], PredictSettings())
    job = Job("evaluate-test", "evaluate", "evaluate.job", {})
    job._folder = evaluation.folder
    rows = rows_of(evaluation, collection, job)
    add_a_row(collection, file)
    source = sources(collection, evaluation.request(), are_chosen=True)[name]
    found = dict(source.values([row.source for row in rows]))
    assert [found[row.source]["instruction"] for row in rows] == [row.messages[0]["content"] for row in rows]


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("rows", [10, 100_000])  # read whole, and by blocks
def test_the_stamp_of_data_is_that_of_its_rows(tmp_path, rows, is_folder):
    lines = [f'{{"text": "row {number:09} {number * 7919 % 10007:05} {"-" * 40}"}}\n' for number in range(rows)]

    def stamp(name: str, *parts: list[str]) -> str:
        folder = tmp_path / name
        folder.mkdir()
        if is_folder:
            for number, part in enumerate(parts):
                (folder / f"{name}-{number}.jsonl").write_text("".join(part))
            return data_stamp.of(folder)
        (folder / f"{name}.jsonl").write_text("".join(line for part in parts for line in part))
        return data_stamp.of(folder / f"{name}.jsonl")

    half = rows // 2
    first = stamp("first", lines[:half], lines[half:])
    assert stamp("copy", lines[:half], lines[half:]) == first
    for name, parts in {
        "deleted": (lines[:half], lines[half + 1 :]),
        "moved": (lines[1:half], [*lines[half:], lines[0]]),
        "turned": (lines[half:], lines[:half]),
        "longer": (lines[:half], [*lines[half:], lines[0]]),
    }.items():
        assert stamp(name, *parts) != first, name

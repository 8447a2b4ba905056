"""Tasks of lm-eval: one's own, described in `data/benchmarks/<name>.yaml`, and those that come with it.

Of a file of the workspace only the fields below are taken, as data: it can name no code, its templates run in a
sandbox, and the questions are read by the studio from files inside the data folder.
"""

import contextlib
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders, records, yaml_file
from studio.core.workspace import Workspace, is_safe
from studio.datasets.files.incoming import source
from studio.evaluate.benchmarks.sets import incoming

PREFIX = "lm-eval:"
ENDINGS = (".yaml", ".yml")
# Those of lm-eval's own code that are a number for each question; any other name it would fetch as code from a hub.
METRICS = ("acc", "acc_norm", "acc_bytes", "exact_match", "likelihood")
_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    AssertionError,
    IndexError,
    OSError,
    RuntimeError,
    ImportError,
    NotImplementedError,
    TemplateError,
)


class DataFiles(BaseModel):
    """Where the questions are: a file for each split, beside the description or elsewhere in the data folder."""

    model_config = ConfigDict(extra="forbid")

    data_files: dict[str, str]


class Metric(BaseModel):
    """A metric of lm-eval, with the options that are data."""

    model_config = ConfigDict(extra="forbid")

    metric: Literal[METRICS]
    aggregation: str = "mean"
    higher_is_better: bool = True
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False
    regexes_to_ignore: list[str] = []


class HarnessDescription(BaseModel):
    """A task as a file of the workspace describes it; the fields are lm-eval's."""

    model_config = ConfigDict(extra="forbid")

    task: str = ""
    dataset_path: Literal["json", "csv", "parquet"] = "json"
    dataset_kwargs: DataFiles
    output_type: Literal["multiple_choice", "generate_until", "loglikelihood"]
    test_split: str = "test"
    fewshot_split: str | None = None
    num_fewshot: int | None = None
    description: str = ""
    doc_to_text: str
    doc_to_target: str | int
    doc_to_choice: str | list[str] | None = None
    target_delimiter: str = " "
    fewshot_delimiter: str = "\n\n"
    gen_prefix: str | None = None
    generation_kwargs: dict[str, bool | int | float | str | list[str]] | None = None
    metric_list: list[Metric]
    tag: str | list[str] | None = None
    metadata: dict[str, object] | None = None


def is_task(name: str) -> bool:
    """Tell whether a part of an evaluation is a task of lm-eval; any other is a set of questions."""
    return name.startswith(PREFIX)


def own_files(workspace: Workspace) -> dict[str, Path]:
    """Return the descriptions in the workspace by the name of the part."""
    found = [path for path in folders.entries(incoming.folder_of(workspace)) if path.suffix.lower() in ENDINGS]
    return {PREFIX + path.stem: path for path in found if files.is_file(path)}


def describe(file: Path) -> HarnessDescription:
    """Return what a file of the workspace describes. Raises Problem with the field that is wrong."""
    return records.typed(yaml_file.read(file), HarnessDescription, file.name)


def places(file: Path) -> list[Path]:
    """Return the file that describes a task, and those in which its questions are."""
    with contextlib.suppress(Problem):
        return [file, *(file.parent / name for name in describe(file).dataset_kwargs.data_files.values())]
    return [file]


@cache
def built_in() -> tuple[str, ...]:
    """Return the names of all tasks that come with lm-eval; the first time it reads thousands of files."""
    llamafactory.load()
    from lm_eval.tasks import TaskManager

    return tuple(TaskManager().all_tasks)


def open_tasks(workspace: Workspace, name: str, shots: int) -> dict[str, object]:
    """Return the tasks that a part stands for (`lm_eval.api.task.Task`, by name; a group has several), their questions
    read.

    Raises:
        Problem: there is no such task, its description or its files cannot be used, or the hub that has them is not in
            reach.
    """
    own = own_files(workspace).get(name)
    try:
        _in_a_sandbox()
        return {name: _own(workspace, own, shots)} if own else _built_in(name.removeprefix(PREFIX), shots)
    except Problem:
        raise
    except _FAULTS as error:
        key = "benchmarks.task_broken" if own else "benchmarks.task_out_of_reach"
        raise Problem(key, name=own.name if own else name, reason=reasons.of(error)) from error


def _own(workspace: Workspace, file: Path, shots: int):
    from lm_eval.api.task import ConfigurableTask

    described = describe(file)
    wanted = filter(None, (described.test_split, described.fewshot_split))
    splits = {split: rows_of(workspace, file, described, split) for split in wanted}

    def dataset(**_) -> dict:
        llamafactory.load()
        from datasets import Dataset

        return {split: Dataset.from_list(rows) for split, rows in splits.items()}

    given = described.model_dump(exclude_none=True, exclude={"dataset_path", "dataset_kwargs", "metadata", "tag"})
    given["metric_list"] = [
        one.model_dump(exclude_defaults=True) | {"metric": one.metric} for one in described.metric_list
    ]
    before = described.num_fewshot if described.num_fewshot is not None else shots
    more = {"task": PREFIX + file.stem, "num_fewshot": before if described.fewshot_split else 0}
    return ConfigurableTask(config=given | more | {"custom_dataset": dataset})


def rows_of(workspace: Workspace, file: Path, described: HarnessDescription, split: str) -> list[dict]:
    """Return the rows of a split of the task that `file` describes. Raises Problem where there is no file for it, or it
    lies outside the data folder, or a row is none.
    """
    name = described.dataset_kwargs.data_files.get(split)
    if name is None:
        raise Problem("benchmarks.no_split", file=file.name, split=split)
    path = files.real(file.parent / name)
    if not path.is_relative_to(files.real(workspace.data)):
        raise Problem("workspace.leads_out", name=name)
    found = []
    for row in source.rows(path, workspace.data):
        if row.problem:
            raise row.problem
        found.append(row.value)
    if not found:
        raise Problem("benchmarks.no_questions", names=path.name)
    return found


def _built_in(name: str, shots: int) -> dict[str, object]:
    from lm_eval.tasks import TaskManager

    if not is_safe(name) or name not in built_in():
        raise Problem("benchmarks.no_task", name=name)
    loaded = TaskManager().load([name])["tasks"]
    for task in loaded.values():
        if task.config.num_fewshot is None:
            task.set_config("num_fewshot", shots)
    return loaded


@cache
def _in_a_sandbox() -> None:
    """Let the templates of tasks reach nothing but the fields of a question."""
    llamafactory.load()
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    sandbox.filters |= {"regex_replace": utils.regex_replace}
    utils.env = sandbox

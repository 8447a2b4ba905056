"""The person's own metric: a process of its own, only where allowed, and no fault of it costs more than a row."""

import os
from pathlib import Path

import psutil
import pytest

from studio.core import trust
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Prediction, RowScores
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.scores import own_metric
from studio.evaluate.scores.own_metric import OwnMetric
from studio.evaluate.scores.row_scoring import RowScoring
from studio.evaluate.settings import PredictSettings

EXAMPLE = own_metric.__doc__.split("```")[1].strip("\n")


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv(trust.FOLDER_VARIABLE, str(tmp_path / "config"))
    workspace = Workspace(tmp_path / "workspace")
    workspace.metrics.mkdir(parents=True)
    return workspace


def allowed(workspace: Workspace, text: str, name: str = "mine") -> Path:
    path = workspace.metrics / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    trust.grant(path, trust.code_of(path).digest, name)
    return path


def faults(metric: OwnMetric, rows: int) -> list[str]:
    keys = []
    for row in range(rows):
        try:
            metric.score(row, "", "", {})
        except Problem as problem:
            for language in LANGUAGES:
                assert "mine.py" in Words(language).tell(problem)
            keys.append(problem.key)
        else:
            keys.append("")
    return keys


def test_the_example_of_the_documentation_works(workspace):
    assert EXAMPLE.startswith('"""metrics/mentions.py')
    allowed(workspace, EXAMPLE, "mentions")
    assert own_metric.names(workspace) == ["mentions"]
    with OwnMetric(own_metric.path_of(workspace, "mentions")) as metric:
        assert metric.score(0, "12 and 3", "12 or 4", {}) == 0.5
        assert metric.score(1, "12", "none", {}) is None
        assert metric.score(2, "\ud83d 7 🙂\n", "7", {"messages": [{"role": "user", "content": "\udce9"}]}) == 1.0


def test_it_is_given_the_answer_without_its_thought_which_the_row_has_whole(workspace):
    allowed(
        workspace,
        "def score(prediction, reference, row):\n"
        "    return (prediction, reference, row['text']) == ('42', '42', '12? </think> 42')\n",
    )
    settings = PredictSettings(metrics=["own:mine"])
    evaluation = Evaluations(workspace).create("predict", ["m"], ["d"], settings)
    row = EvaluatedRow(row=0, dataset="d", source=0, reference="<think> 12? </think> 42")
    with RowScoring(evaluation, [row], settings, workspace) as scoring:
        scoring.take([Prediction(row=0, target="m", text="12? </think> 42")])
    assert [one.scores for one in evaluation.read(RowScores)] == [{"own:mine": 1.0}]


def test_code_that_was_not_allowed_does_not_run(workspace, tmp_path):
    mark = tmp_path / "mark"
    text = f"open({str(mark)!r}, 'w')\ndef score(prediction, reference, row): return 1.0\n"
    path = workspace.metrics / "mine.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match="not allowed"):
        OwnMetric(path)
    allowed(workspace, text)
    # A consent to one file is none to another, and none to this one with another byte.
    (workspace.metrics / "other.py").write_text(text + "#", encoding="utf-8")
    with pytest.raises(Problem, match="other.py"):
        OwnMetric(workspace.metrics / "other.py")
    path.write_text(text + "#", encoding="utf-8")
    with pytest.raises(Problem, match="not allowed"):
        OwnMetric(path)
    assert not mark.exists()
    path.write_text(text, encoding="utf-8")
    with OwnMetric(path) as metric:
        path.write_text("raise SystemExit", encoding="utf-8")  # what was allowed was read before
        assert metric.score(0, "", "", {}) == 1.0
    assert mark.exists()


def test_a_fault_is_told_by_row_and_line_and_the_next_row_is_scored(workspace):
    path = allowed(
        workspace,
        "def inner(row):\n"
        "    return 1 / row['by']\n"
        "\n"
        "def score(prediction, reference, row):\n"
        "    print('a metric may print'); input\n"
        "    return inner(row)\n",
    )
    with OwnMetric(path) as metric:
        with pytest.raises(Problem) as raised:
            metric.score(7, "", "", {"by": 0})
        assert raised.value.facts["row"] == 7 and raised.value.facts["line"] == 2
        assert "row 7, line 2" in str(raised.value) and "ZeroDivisionError" in str(raised.value)
        assert metric.score(8, "", "", {"by": 2}) == 0.5


@pytest.mark.parametrize("result", ["'3'", "[1]", "float('nan')", "float('inf')", "{}", "10**400", "object()", "1j"])
def test_what_is_no_number_is_told(workspace, result):
    path = allowed(workspace, f"def score(prediction, reference, row):\n    return {result}\n")
    with OwnMetric(path) as metric, pytest.raises(Problem, match="number"):
        metric.score(0, "", "", {})


@pytest.mark.parametrize(
    "result", ["True", "1", "__import__('numpy').float32(1)", "__import__('fractions').Fraction(1)"]
)
def test_every_number_is_taken(workspace, result):
    path = allowed(workspace, f"def score(prediction, reference, row):\n    return {result}\n")
    with OwnMetric(path) as metric:
        assert metric.score(0, "", "", {}) == 1.0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def score(prediction, reference, row)\n    return 1\n", 1),
        ("import math\nimport no_such_library\n", 2),
        ("x = 1\n", 0),
        ("score = 3\n", 0),
        ("raise SystemExit\n", 1),
    ],
)
def test_a_file_that_is_no_metric_is_told_once_and_for_every_row(workspace, text, line):
    with OwnMetric(allowed(workspace, text)) as metric:
        assert faults(metric, 2) == ["evaluate.own_unfit"] * 2
        assert metric._unfit.facts["line"] == line


def test_one_that_never_returns_is_ended_and_told_and_others_are_scored(workspace):
    path = allowed(
        workspace,
        "import time\n"
        "def score(prediction, reference, row):\n"
        "    while row.get('hang'): time.sleep(9)\n"
        "    return 2.0\n",
    )
    with OwnMetric(path, row_seconds=0.5) as metric:
        with pytest.raises(Problem, match="row 3"):
            metric.score(3, "", "", {"hang": True})
        assert metric.score(4, "", "", {}) == 2.0


def test_one_that_never_returns_at_all_is_not_asked_for_ever(workspace):
    path = allowed(workspace, "def score(prediction, reference, row):\n    while True: pass\n")
    with OwnMetric(path, row_seconds=0.1) as metric:
        assert faults(metric, own_metric.STRIKES) == ["evaluate.own_slow"] * own_metric.STRIKES
        assert faults(metric, 50) == ["evaluate.own_stopped"] * 50


def test_one_that_hangs_while_it_is_loaded(workspace, monkeypatch):
    monkeypatch.setattr(own_metric, "LOAD_SECONDS", 0.1)
    with OwnMetric(allowed(workspace, "while True: pass\n")) as metric:
        assert faults(metric, 3) == ["evaluate.own_slow_loading"] * 3


def test_one_that_takes_all_memory_or_ends_its_process(workspace):
    path = allowed(
        workspace,
        "import os, time\n"
        "def score(prediction, reference, row):\n"
        "    if row['do'] == 'end': os._exit(3)\n"
        "    if row['do'] == 'crash': os.kill(os.getpid(), 11)\n"
        "    if row['do'] == 'take':\n"
        "        held = bytearray(600 * 2**20); time.sleep(30)\n"
        "    return 1.0\n",
    )
    with OwnMetric(path, mib=300) as metric:
        with pytest.raises(Problem, match="code 3"):
            metric.score(0, "", "", {"do": "end"})
        with pytest.raises(Problem, match="SIGSEGV"):
            metric.score(1, "", "", {"do": "crash"})
        assert metric.score(2, "", "", {"do": "nothing"}) == 1.0
        with pytest.raises(Problem, match="memory"):
            metric.score(3, "", "", {"do": "take"})
        assert metric.score(4, "", "", {"do": "nothing"}) == 1.0


def test_its_process_ends_with_it(workspace):
    metric = OwnMetric(
        allowed(workspace, "def score(prediction, reference, row):\n    return __import__('os').getpid()\n")
    )
    number = int(metric.score(0, "", "", {}))
    assert number != os.getpid() and psutil.pid_exists(number)
    metric.close()
    metric.close()
    assert not psutil.pid_exists(number)


def test_names(workspace):
    assert own_metric.names(Workspace(workspace.root / "elsewhere")) == []
    for name in ("b.py", "a.py", ".hidden.py", "notes.txt"):
        (workspace.metrics / name).write_text("", encoding="utf-8")
    (workspace.metrics / "folder.py").mkdir()
    assert own_metric.names(workspace) == ["a", "b"]
    for name in ("none", "../x", "folder"):
        with pytest.raises(Problem):
            own_metric.path_of(workspace, name)

"""One door to the heavy libraries: nothing of the studio imports one of them but after `llamafactory.load()`."""

import ast
import gc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import ROOT

STUDIO = ROOT / "studio"
HEAVY = {"torch", "transformers", "peft", "llamafactory", "trl", "datasets", "modelscope", "accelerate"}
# The door itself with what it puts up, and what runs in processes of its own, where nothing else imports beside it.
ALONE = {
    "core/llamafactory.py",
    "core/code_guard.py",
    "doctor.py",
    "train/execution/executors/worker.py",
    "train/execution/executors/torchrun.py",
    "train/execution/batch_search.py",
    "models/gguf/gguf_import.py",
    "models/starter.py",
    "models/library/tokenizer_trial.py",
    "models/chat_template_match/rendering.py",
    "models/weights/tensor_check.py",
    "models/weights/pickles.py",
    "core/processes/limited_child.py",
    "datasets/registry/modelscope_rows.py",
    "export/quantize/weights_child.py",
    "export/templates/renderers.py",
    "export/transformers_model.py",
}


def names(node: ast.AST) -> list[str]:
    """Return the modules that a node imports, also by their names as texts."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [] if node.level else [node.module or ""]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in (
        "importlib.import_module",
        "import_module",
        "__import__",
        "importlib.util.find_spec",
    ):
        # to look whether LLaMA-Factory is installed imports nothing; to look inside it does
        return [
            arg.value
            for arg in node.args
            if isinstance(arg, ast.Constant) and isinstance(arg.value, str) and "." in arg.value
        ]
    return []


def unguarded(source: str) -> list[int]:
    """Return the lines of heavy imports that no `llamafactory.load()` stands before in their function."""
    tree, found = ast.parse(source), []
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in ast.walk(tree):
        if not any(name.partition(".")[0] in HEAVY for name in names(node)):
            continue
        if any(one.lineno <= node.lineno <= one.end_lineno for one in typed):
            continue
        around = [one for one in functions if one.lineno <= node.lineno <= one.end_lineno]
        inner = max(around, key=lambda one: one.lineno, default=None)
        doors = [
            call.lineno
            for call in ast.walk(inner or ast.Module([], []))
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "llamafactory.load"
        ]
        if not any(line < node.lineno for line in doors):
            found.append(node.lineno)
    return found


def test_heavy_libraries_come_through_the_door():
    found = [
        f"{name}:{line}"
        for path in sorted(STUDIO.rglob("*.py"))
        if (name := str(path.relative_to(STUDIO))) not in ALONE
        and any(library in (source := path.read_text(encoding="utf-8")) for library in HEAVY)
        for line in unguarded(source)
    ]
    assert found == []


def test_the_list_of_those_that_run_alone_is_true_and_the_search_finds():
    assert all((STUDIO / name).is_file() for name in ALONE)
    assert unguarded("import torch") == [1] and unguarded("def f():\n    from peft.x import y") == [2]
    assert unguarded("def f():\n    import transformers.models as m\n    llamafactory.load()") == [2]
    assert unguarded("def f():\n    llamafactory.load()\n    def g():\n        import torch") == [4]
    assert unguarded("def f():\n    llamafactory.load()\n    import torch, os\n    from datasets import x") == []
    assert unguarded("def f():\n    importlib.import_module('llamafactory.data')") == [2]


def run(folder: Path, tuner: str, code: str) -> str:
    """Run code in a process whose LLaMA-Factory is a module of ours."""
    (folder / "llamafactory" / "train").mkdir(parents=True)
    (folder / "llamafactory" / "__init__.py").touch()
    (folder / "llamafactory" / "train" / "__init__.py").touch()
    (folder / "llamafactory" / "train" / "tuner.py").write_text(textwrap.dedent(tuner))
    path = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
    done = subprocess.run(
        [sys.executable, "-c", path + textwrap.dedent(code)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_many_who_ask_at_once_wait_for_one_import_which_leaves_out_what_is_not_needed(tmp_path):
    """A page does not wait; what the libraries are made of is left out of every later collection; and libraries that
    others can do without are not read, and are there afterwards.
    """
    said = run(
        tmp_path,
        """
        import gc, requests.compat, time
        import transformers.utils
        from transformers.utils.import_utils import is_sklearn_available
        print("begun", flush=True)
        time.sleep(1)
        enabled = gc.isenabled()
        kept = [[] for _ in range(12_345)]
        found = [is_sklearn_available(), transformers.utils.is_sklearn_available()]
        for name in ("sklearn", "scipy.stats"):
            try:
                found.append(bool(__import__(name)))
            except ImportError:
                found.append(None)
        whole = True
        """,
        """
        import gc, sys, threading
        from studio.core import llamafactory
        from studio.core.i18n import Problem, Words
        assert gc.isenabled() and gc.get_freeze_count() == 0 and "requests" not in sys.modules
        assert not llamafactory.ready()
        with llamafactory.no_waiting():
            for _ in range(3):
                try:
                    llamafactory.load()
                except Problem as problem:
                    assert problem.key == "app.libraries_loading" and Words("zh").tell(problem)
                else:
                    raise AssertionError
        found = []
        def ask():
            llamafactory.load()
            import llamafactory.train.tuner as tuner
            assert tuner.whole and llamafactory.ready()
            found.append("whole")
        threads = [threading.Thread(target=ask) for _ in range(8)]
        [one.start() for one in threads]
        [one.join() for one in threads]
        with llamafactory.no_waiting():
            llamafactory.load()
        print(*found)
        import llamafactory.train.tuner as tuner
        assert gc.isenabled() and not tuner.enabled and gc.get_freeze_count() > 12_345
        print(tuner.requests.compat.chardet.__name__, "chardet" in sys.modules)
        import transformers.utils, sklearn, scipy.stats
        print(tuner.found, transformers.utils.is_sklearn_available(), sklearn.__name__, scipy.stats.__name__)
    """,
    )
    assert said.splitlines() == [
        "begun",
        "whole " * 7 + "whole",
        "charset_normalizer False",
        "[False, False, None, None] True sklearn scipy.stats",
    ]


@pytest.mark.parametrize(
    "tuner", ["import no_such_library", "raise OSError('libcudart.so.12: cannot open shared object file')", "1 / 0"]
)
def test_a_broken_installation_is_told_in_the_same_sentence_to_all(tmp_path, tuner):
    said = run(
        tmp_path,
        tuner,
        """
        from studio.core import llamafactory
        from studio.core.i18n import Problem
        for _ in range(3):
            for hurried in (False, True):
                try:
                    if hurried:
                        with llamafactory.no_waiting():
                            llamafactory.load()
                    llamafactory.load()
                except Problem as problem:
                    print(problem)
        assert not llamafactory.ready()
    """,
    )
    lines = said.splitlines()
    assert len(lines) == 6 and len(set(lines)) == 1 and "launch.py" in lines[0]


def test_this_process_left_the_libraries_out_of_every_later_collection():
    assert gc.get_freeze_count() > 100_000, "the libraries of this very process"

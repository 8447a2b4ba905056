"""What everything stands on is there once: one class for child processes, one writer that writes whole or not at all,
one cache by files, one reader of a file's end. Whoever makes another one is found here.
"""

import ast
from collections.abc import Callable, Iterator

import pytest
from architecture.source import files, name, tree

Rule = Callable[[ast.Module], Iterator[str]]


def dotted(node: ast.AST) -> str:
    """Return the dotted name of an expression such as `os.replace`, "" for others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else f".{node.attr}"
    return ""


def starts_processes(module: ast.Module) -> Iterator[str]:
    """Yield how a file starts processes by itself; `core/processes/child.py` does."""
    for node in ast.walk(module):
        named = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        for one in [source, *named] if source else named:
            if one.split(".")[0] in ("subprocess", "multiprocessing", "pty"):
                yield f"imports {one}"
        called = dotted(node.func) if isinstance(node, ast.Call) else ""
        if called.startswith(("os.spawn", "os.posix_spawn", "os.exec", "os.fork", "os.system", "os.popen")):
            yield called


def renames(module: ast.Module) -> Iterator[str]:
    """Yield how a file puts files in their places by itself; `atomic.move` does. A text's has two arguments."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = dotted(node.func) or (f".{node.func.attr}" if isinstance(node.func, ast.Attribute) else "")
            if called in ("os.replace", "os.rename", "os.renames", "shutil.move"):
                yield called
            elif (
                called.rpartition(".")[1:] in ((".", "replace"), (".", "rename"))
                and len(node.args) == 1
                and not node.keywords
            ):
                yield called


def looks_at_times(module: ast.Module) -> Iterator[str]:
    """Yield where a file tells by itself whether another one changed; `FileCache` and `files.stamp` do."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in ("st_mtime", "st_mtime_ns", "st_ctime", "st_ctime_ns"):
            yield node.attr


def compares_stamps(module: ast.Module) -> Iterator[str]:
    """Yield uses of the whole stamp of a file, which a cache of one's own compares; its size or its time alone is no
    cache.
    """
    parts = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Subscript)}
    parts -= {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and dotted(node.func) == "files.stamp" and id(node) not in parts:
            yield "files.stamp"


def remembers_by_path(module: ast.Module) -> Iterator[str]:
    """Yield functions whose answers functools remembers by a path: it does not see that the file changed."""
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef):
            continue
        decorators = [dotted(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list]
        if not any(one.split(".")[-1] in ("cache", "lru_cache") for one in decorators):
            continue
        hints = [one.annotation for one in (*node.args.args, *node.args.kwonlyargs) if one.annotation]
        if any("Path" in ast.unparse(hint) or ast.unparse(hint) in ("Model", "ModelTarget") for hint in hints):
            yield node.name


def seeks_ends(module: ast.Module) -> Iterator[str]:
    """Yield where a file looks for the end of another one; `files.tail` does."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and dotted(node.func).endswith(".seek") and len(node.args) == 2:
            if ast.unparse(node.args[1]) in ("2", "os.SEEK_END", "io.SEEK_END"):
                yield "seek"


def looks_for_modules(module: ast.Module) -> Iterator[str]:
    """Yield where a file takes a library that may be half imported; `imported` takes it once it is whole."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and dotted(node.func) == "sys.modules.get":
            yield "sys.modules.get"


def opens_ports(module: ast.Module) -> Iterator[str]:
    """Yield where a file takes a port by itself; `listening.listen` does, so that no small answer is held back."""
    for node in ast.walk(module):
        called = dotted(node.func) if isinstance(node, ast.Call) else ""
        if called == "socket.create_server" or called.endswith(".bind"):
            yield called


# For each rule the files that may, and why.
RULES: dict[Rule, dict[str, str]] = {
    starts_processes: {
        "core/processes/child.py": "it is the one",
        "core/installing.py": "runs on a Python on which nothing is installed, by the standard library alone",
        "core/installing_by_uv.py": "as installing.py, on the same bare Python",
        "doctor.py": "asks a program of the system for a line, and waits for it",
    },
    renames: {
        "core/storage/atomic.py": "it is the one",
        "core/storage/records.py": "puts a damaged record aside",
        "core/storage/trash.py": "moves whole things out of their places and back",
        "core/installing.py": "as above",
        "models/library/manage.py": "a person gives a model another name",
    },
    looks_at_times: {
        "core/storage/files.py": "makes the stamp",
        "core/storage/folders.py": "tells the time of a file",
        "core/storage/atomic.py": "tells how old a leftover is",
        "core/processes/ownership.py": "the beat of an owner on another machine is this time",
        "__main__.py": "tells how old a leftover is",
    },
    compares_stamps: {
        "core/storage/file_cache.py": "it is the one",
        "datasets/files/text_rows.py": "the stamp is kept on disk, with the places of the rows",
        "datasets/files/column_rows.py": "as text_rows",
        "datasets/files/row_edits.py": "the stamp is kept on disk, with the steps that can be undone",
        "datasets/quality/stored_reports.py": "the stamp is kept on disk, with the report",
        "deploy/ollama/joined_parts.py": "the stamps are kept on disk, with what the parts became",
        "models/library/tokenizer_files.py": "`limited` remembers by it what a child found",
        "models/weights/completeness.py": "`limited` remembers by it what a child found",
        "train/recipe/validation/packing.py": "`limited` remembers by it what a child found",
        "evaluate/reports/columns/line_index.py": "reads on where it stopped, unless another file stands there",
        "evaluate/reports/report.py": "shows an older summary while a thread makes the new one",
    },
    opens_ports: {
        "core/network/listening.py": "it is the one",
        "deploy/supervision/ports.py": "looks whether a port is free",
        "inference/llama_cpp/server.py": "looks for a free port",
        "doctor.py": "looks whether a port is free",
    },
    remembers_by_path: {},
    looks_for_modules: {"core/processes/imported.py": "it is the one"},
    seeks_ends: {
        "core/storage/files.py": "it is the one",
        "core/storage/jsonl.py": "appends, and takes back what was not written whole",
        "core/processes/limited.py": "a temporary file without a name",
        "models/hub/hubs.py": "goes on with a download behind its last byte",
        "models/weights/tensor_headers.py": "asks an open file for its size",
    },
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_there_is_one_of_each(rule):
    found = {name(path): sorted(set(rule(tree(path)))) for path in files()}
    found = {file: uses for file, uses in found.items() if uses}
    others = [f"{file}: {', '.join(uses)}" for file, uses in found.items() if file not in RULES[rule]]
    assert not others, "\n".join([f"{rule.__doc__.strip()}", *others])
    assert set(RULES[rule]) <= set(found), f"no longer: {set(RULES[rule]) - set(found)}"


@pytest.mark.parametrize(
    "rule, bad, good",
    [
        (starts_processes, "import subprocess\nsubprocess.Popen([])", "from x.child import Child\nChild([])"),
        (starts_processes, "from subprocess import Popen", "import signal"),
        (starts_processes, "import os\nos.system('ls')", "import os\nos.kill(1, 9)"),
        (renames, "os.replace(a, b)", "atomic.move(a, b)"),
        (renames, "(folder / 'files').rename(target)", "'a'.replace('b', 'c')"),
        (renames, "whole.replace(target)", "replace(one, name='x')"),
        (looks_at_times, "path.stat().st_mtime_ns", "path.stat().st_size"),
        (compares_stamps, "stamp = files.stamp(path)", "size = files.stamp(path)[0]"),
        (compares_stamps, "stamp = files.stamp(path)[:2]", "time = files.stamp(path)[1] / 1e9"),
        (remembers_by_path, "@lru_cache(8)\ndef f(path: Path): ...", "@lru_cache(8)\ndef f(text: str): ..."),
        (remembers_by_path, "@functools.cache\ndef f(m: Path | None): ...", "def f(path: Path): ..."),
        (looks_for_modules, "sys.modules.get('torch')", "imported('torch')"),
        (seeks_ends, "file.seek(0, 2)", "file.seek(0)"),
        (seeks_ends, "file.seek(-9, os.SEEK_END)", "file.seek(start)"),
    ],
)
def test_another_one_is_found(rule, bad, good):
    assert list(rule(ast.parse(bad))) and not list(rule(ast.parse(good)))

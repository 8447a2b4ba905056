"""What can be read in one go: folders, files, functions; and the format, which is ruff's."""

import ast
import subprocess
import sys

from architecture.source import ROOT, STUDIO, files, name, tree

FILES_IN_A_FOLDER, LINES_IN_A_FILE, LINES_IN_A_FUNCTION = 16, 400, 60


def test_no_folder_is_too_full():
    folders = {path.parent for path in files()}
    wrong = {name(one): count for one in folders if (count := len(list(one.glob("*.py")))) > FILES_IN_A_FOLDER}
    assert not wrong


def test_no_file_is_too_long():
    long = {name(path): lines for path in files() if (lines := len(path.read_text().splitlines())) > LINES_IN_A_FILE}
    assert not long


def test_no_function_is_too_long():
    wrong = {
        f"{name(path)}:{node.lineno} {node.name}": lines
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := node.end_lineno - node.lineno + 1) > LINES_IN_A_FUNCTION
        and not _only_holds_functions(node)
    }
    assert not wrong


def _only_holds_functions(node: ast.FunctionDef) -> bool:
    """Tell whether a function is a list of functions that it returns, as the endpoints of a package are."""
    inner = sum(one.end_lineno - one.lineno + 1 for one in node.body if isinstance(one, ast.FunctionDef))
    return node.end_lineno - node.lineno + 1 - inner <= LINES_IN_A_FUNCTION and inner > 0


def test_one_name_for_one_thing():
    parts = {"__init__", "tab", "context", "endpoints", "schemas"}  # each package has one of each in its page
    seen: dict[str, list[str]] = {}
    for path in files():
        if path.stem not in parts:
            seen.setdefault(path.stem, []).append(name(path))
    wrong = {stem: paths for stem, paths in seen.items() if len(paths) > 1}
    assert not wrong


def test_the_format_and_the_lint_are_ruffs():
    for command in (["format", "--check", "-q", "."], ["check", "-q", "--output-format", "concise", "."]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command], cwd=ROOT, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_studio_is_where_it_is_looked_for():
    assert len(files()) > 200 and STUDIO.is_dir()

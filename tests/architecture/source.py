"""The code as these tests read it: files, trees, imports."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDIO = ROOT / "studio"
# From what everything stands on to what puts all together. A package may import those before it, and itself.
ORDER = (
    ("core",),
    ("web",),
    ("monitor",),
    ("models",),
    ("datasets",),
    ("train",),
    ("inference",),
    ("evaluate", "export"),
    ("deploy",),
    ("chat",),
    ("trash",),
    ("demo", "first_visit"),  # and app, api, doctor, opening, shutdown: composition
)


@cache
def files() -> tuple[Path, ...]:
    """Return the Python files of the studio."""
    return tuple(sorted(path for path in STUDIO.rglob("*.py") if "packaged" not in path.parts))


@cache
def tree(path: Path) -> ast.Module:
    """Return a file as a tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    """Return a file as it is named in messages: "chat/page/tab.py"."""
    return path.relative_to(STUDIO).as_posix()


def module(path: Path) -> str:
    """Return the dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level(dotted: str) -> int:
    """Return the place of a module in ORDER."""
    parts = dotted.split(".")
    package = parts[1] if len(parts) > 1 else ""
    return next((at for at, names in enumerate(ORDER) if package in names), len(ORDER) - 1)


def is_page(dotted: str) -> bool:
    """Tell whether a module belongs to a page."""
    return "page" in dotted.split(".")[2:]


@cache
def modules() -> frozenset[str]:
    """Return the dotted names of all modules."""
    return frozenset(map(module, files()))


@cache
def imports(path: Path) -> list[tuple[int, str, bool]]:
    """Return (line, module, whether at load) for each import of a file; those for type checkers are left out."""
    found: list[tuple[int, str, bool]] = []
    for_types = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    at_load = {id(node) for node in _at_load(tree(path))}
    for node in ast.walk(tree(path)):
        if id(node) in for_types:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [full if (full := f"{node.module}.{one.name}") in modules() else node.module for one in node.names]
        found += [(node.lineno, one, id(node) in at_load) for one in names]
    return found


def _at_load(node: ast.AST):
    """Yield what runs when a module is loaded: everything outside of functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _at_load(child)


def strings(path: Path):
    """Yield (line, text) of each constant text in a file that is no docstring."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


HTML = re.compile(
    r"</?(?:a|b|i|p|div|span|button|code|pre|li|ul|ol|table|tr|td|th|h\d|form|input|details|summary|svg|section)[\s>/]"
)

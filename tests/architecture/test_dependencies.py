"""What the studio imports is there wherever it is installed: its libraries are declared, its own modules hold what is
taken from them.
"""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from architecture.source import ROOT, files, imports, module, modules, name, tree
from packaging.requirements import Requirement

# What a person adds where it is wanted; the studio looks for it before it imports it.
OPTIONAL = {"ray", "gptqmodel", "xllamacpp"}


def canonical(distribution: str) -> str:
    """Return the name of a distribution as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def undeclared(imported: set[str], declared: set[str]) -> set[str]:
    """Return those of the packages imported that come from no distribution declared."""
    of = packages_distributions()
    return {one for one in imported if not declared & set(map(canonical, of.get(one, [])))}


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonical(Requirement(line).name) for line in project["dependencies"]}
    known = set(sys.stdlib_module_names) | {"studio"} | OPTIONAL
    places = {one.split(".")[0]: name(path) for path in files() for _, one, _ in imports(path)}
    missing = undeclared(set(places) - known, declared)
    assert not missing, "\n".join(f"{one}, in {places[one]}" for one in sorted(missing))


def test_a_library_that_is_not_declared_is_found():
    assert undeclared({"yaml", "numpy", "launch"}, {"pyyaml"}) == {"numpy", "launch"}


def bound(path) -> set[str]:
    """Return the names that a module binds when it is loaded."""
    names = {"__file__", "__name__", "__doc__"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(one.asname or one.name).split(".")[0] for one in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.TypeAlias if sys.version_info >= (3, 12) else ()):
            names.add(node.name.id)
    return names


def test_what_is_taken_from_a_module_of_the_studio_is_in_it():
    """Also in the programs that no other module imports, and that only some machines can run."""
    of = {module(path): bound(path) for path in files()}
    wrong = []
    for path in files():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").split(".")[0] == "studio":
                continue
            held = of.get(node.module, set())
            wrong += [
                f"{name(path)}:{node.lineno} takes {one.name} from {node.module}"
                for one in node.names
                if one.name not in held and f"{node.module}.{one.name}" not in modules()
            ]
    assert not wrong, "\n".join(wrong)

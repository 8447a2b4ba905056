"""Which package may know which."""

import ast
from pathlib import Path

from architecture import source
from architecture.source import ORDER, ROOT, files, imports, is_page, level, module, name, tree

# Who talks to gradio: the pages' tabs, the page around them, and the composition.
GRADIO = ("app.py", "api.py", "web/")
HEAVY = {"torch", "transformers", "peft", "llamafactory", "trl", "datasets", "modelscope", "accelerate", "bitsandbytes"}


def test_imports_run_one_way():
    wrong = [
        f"{name(path)}:{line} imports {one}"
        for path in files()
        for line, one, _ in imports(path)
        if one.startswith("studio.") and level(one) > level(module(path))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_package_has_a_place_in_the_order():
    packages = {path.parent.name for path in source.STUDIO.glob("*/__init__.py")}
    assert packages <= {one for names in ORDER for one in names}


def test_a_domain_knows_no_page():
    wrong = [
        f"{name(path)}:{line} imports {one}"
        for path in files()
        for line, one, _ in imports(path)
        if one.startswith("studio.")
        and is_page(one)
        and not is_page(module(path))
        and level(module(path)) < len(ORDER) - 1
    ]
    assert not wrong, "\n".join(wrong)


def test_a_page_knows_no_page_of_another_package_but_those_before_it():
    wrong = [
        f"{name(path)}:{line} imports {one}"
        for path in files()
        for line, one, _ in imports(path)
        if one.startswith("studio.") and is_page(one) and is_page(module(path)) and level(one) > level(module(path))
    ]
    assert not wrong, "\n".join(wrong)


def test_gradio_is_known_to_tabs_and_the_page_around_them():
    wrong = [
        f"{name(path)}:{line}"
        for path in files()
        for line, one, _ in imports(path)
        if one.split(".")[0] == "gradio"
        and not name(path).startswith(GRADIO)
        and not (is_page(module(path)) and path.name.startswith("tab"))
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_heavy_is_imported_at_load():
    alone = {"train/"}  # what runs in a process of its own is held by test_heavy_imports
    wrong = [
        f"{name(path)}:{line} imports {one}"
        for path in files()
        for line, one, at_load in imports(path)
        if at_load and one.split(".")[0] in HEAVY and not any(name(path).startswith(one) for one in alone)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_imports_go_in_a_circle():
    edges = {
        module(path): {
            one
            for _, one, _ in imports(path)
            if one.startswith("studio.") and one in source.modules() and one != module(path)
        }
        for path in files()
    }
    found = circles(edges)
    assert not found, "\n".join(" -> ".join(one) for one in found)


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, at load or later (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(one: str) -> None:
        order[one] = low[one] = len(order)
        stack.append(one)
        for next_one in edges.get(one, ()):
            if next_one not in order:
                visit(next_one)
                low[one] = min(low[one], low[next_one])
            elif next_one in stack:
                low[one] = min(low[one], order[next_one])
        if low[one] == order[one]:
            group = stack[stack.index(one) :]
            del stack[stack.index(one) :]
            if len(group) > 1:
                found.append(sorted(group))

    for one in edges:
        if one not in order:
            visit(one)
    return found


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert ast.parse("import a")  # the trees that all of this reads are Python's own


def test_a_unit_test_loads_no_gradio():
    """That takes each process that runs some of them a second; what a test itself imports, `loaded_engine` sees."""
    wrong = [path.name for path in sorted((ROOT / "tests" / "unit").rglob("test_*.py")) if "gradio" in loaded(path)]
    assert not wrong


def loaded(path: Path) -> set[str]:
    """Return the names of all modules that are loaded with a file of tests, as far as they come by ours."""
    ours = {module(one): one for one in files()} | {one.stem: one for one in (ROOT / "tests").glob("*.py")}
    found: set[str] = set()
    following = [path, ours["conftest"]]
    while following:
        for _, one, at_load in imports(following.pop()):
            parts = one.split(".") if at_load else []
            new = {".".join(parts[:count]) for count in range(1, len(parts) + 1)} - found
            found |= new
            following += [ours[each] for each in new if each in ours]
    return found


def test_no_test_imports_the_engine_while_tests_are_collected():
    """At the top of a file it is imported while tests are collected, by each process that runs some of them."""
    engine = {"llamafactory", "transformers", "peft", "trl", "lm_eval"}
    wrong = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in tree(path).body:
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{path.name}: {name}" for name in names if name.partition(".")[0] in engine]
    assert not wrong

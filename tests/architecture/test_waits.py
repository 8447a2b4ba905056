"""A test fails for what is wrong, not for what else its machine does: it waits as long as it takes, and where something
is to be quick, it counts the seconds of a processor (`conftest.costs_at_most`).

Four of the suite's refusals in a row were a bound of 2 to 30 seconds of the clock, on a machine that is three times
slower than the one it was seen on, with two other processes at work.
"""

import ast
from collections.abc import Iterator

from conftest import PATIENCE_S, ROOT

TESTS = ROOT / "tests"
CLOCKS = {"monotonic", "perf_counter", "time"}
STRANGERS = {"Limits", "render", "call"}  # what the studio allows a stranger's work


def files() -> Iterator:
    """Yield the files of tests, but for those of a graphics card, which has a machine to itself."""
    return (file for file in TESTS.rglob("*.py") if TESTS / "gpu" not in file.parents and file.name != "test_waits.py")


def number_of(node) -> float | None:
    """Return the number that an expression of constants says, or None."""
    try:
        value = eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}})
    except (NameError, TypeError, ValueError, SyntaxError, AttributeError):
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_short(seconds: float | None) -> bool:
    """Tell a bound that a busy machine breaks; up to a second it is how often something is asked."""
    return seconds is not None and 1 < seconds < PATIENCE_S


def waits_by_default(function: ast.FunctionDef) -> Iterator[float | None]:
    """Yield the numbers that stand for a time where a call of the function says none."""
    given, named = function.args, ("timeout", "seconds")
    placed = [*given.posonlyargs, *given.args]
    defaults = [*zip(placed[len(placed) - len(given.defaults) :], given.defaults, strict=True)]
    for one, default in [*defaults, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]:
        if one.arg in named and default is not None and function.name not in STRANGERS:
            yield number_of(default)


def short_waits(tree: ast.AST) -> Iterator[int]:
    """Yield the lines of calls that wait for less than the patience of the tests, and of functions that do so where
    nothing else is said.
    """
    for call in ast.walk(tree):
        if isinstance(call, ast.FunctionDef) and any(is_short(one) for one in waits_by_default(call)):
            yield call.lineno
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if call.args and isinstance(call.args[0], ast.List):
            continue  # futures that are waited for as long as it is worth while
        named = [number_of(one.value) or 0 for one in call.keywords if one.arg in ("timeout", "seconds")]
        named = [one / 1000 if one >= 1000 else one for one in named]  # a page's are milliseconds
        placed = [number_of(one) for one in call.args]
        if name in ("wait_for", "ended"):
            named += placed[1:2]
        elif name in ("wait", "join"):
            named += placed[-1:]
        elif name in STRANGERS:
            continue
        if any(is_short(one) for one in named):
            yield call.lineno


def short_clocks(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that assert that less time has gone by than the patience of the tests, or wait until a time that
    is sooner.
    """
    for claim in ast.walk(tree):
        if isinstance(claim, ast.BinOp) and isinstance(claim.op, ast.Add) and is_short(number_of(claim.right)):
            if isinstance(claim.left, ast.Call) and getattr(claim.left.func, "attr", "") in CLOCKS:
                yield claim.lineno
        if not isinstance(claim, ast.Assert):
            continue
        for one in ast.walk(claim.test):
            if isinstance(one, ast.Compare) and any(
                isinstance(node, ast.Attribute) and node.attr in CLOCKS for node in ast.walk(one)
            ):
                for is_less, bound in zip(one.ops, one.comparators, strict=True):
                    seconds = number_of(bound)
                    if isinstance(is_less, ast.Lt | ast.LtE) and seconds is not None and seconds < PATIENCE_S:
                        yield claim.lineno


def test_no_test_waits_for_less_than_a_busy_machine_takes():
    found = []
    for file in files():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found += [f"{file.relative_to(ROOT)}:{line}" for line in {*short_waits(tree), *short_clocks(tree)}]
    assert sorted(found) == []

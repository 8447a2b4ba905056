"""What is put into HTML is escaped: read from the code itself, so that no place can forget it.

Every piece of HTML in the studio is an f-string that holds a `<` or an attribute. What stands between its braces must
be safe by what it *is*: escaped there, a sentence without facts (`words(key)`) or with escaped ones (`words.html(key,
...)`), a figure (a format like `:,`, or `figures`), or what a function returned all of whose returns are safe. A name
is safe if everything that is assigned to it is; a parameter if it is a number by its annotation, or if every call in
the studio gives it something safe. What the reader cannot see through is unsafe: escape it.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

STUDIO = ROOT / "studio"
# What these return is text without any letter that means something in HTML, or is escaped by the library.
SAFE_CALLS = {
    "escape",
    "len",
    "int",
    "round",
    "sum",
    "abs",
    "prod",
    "highlight",
    "self.renderInlineAsText",
    "secrets.token_hex",
    "words.html",
    "Markup",
    "self.words.html",
    "text.count",
    "time.strftime",
    "base64.b64encode(picture.read_bytes()).decode",
    "urlencode",
}
SAFE_RETURNS = {"attribute"}  # between single quotes
NUMBERS = ("int", "float", "bool", "int | None", "float | None", "Markup")
THROUGH = {"sorted", "reversed", "list", "tuple", "set", "dict.fromkeys"}
HTML = re.compile(
    r"</?(a|article|aside|b|button|code|d[dlt]|datalist|details|div|em|figure|footer|form|h\d|header|i|img|input|label|legend|li|main|mark|menu"
    r"|nav|ol|option|p|path|polyline|pre|rect|s|script|section|select|small|span|strong|style|sub|summary|sup|svg|t[dhr]|table|tbody|text|textarea"
    r"|thead|title|u|ul)\b|[a-z]=[\"']"
)
NOT_HTML = {"chat/render/transcript.py"}  # Markdown, in which a `<` of a name is escaped as Markdown has it


class Part(ast.expr):
    """A member of what a loop goes through; of each member, the piece at `path` where the loop takes them apart."""

    def __init__(self, source: ast.expr, path: tuple[int, ...] = ()):
        super().__init__()
        self.source, self.path = source, path


class Reader:
    """Reads one function. `parent` is the function it is written in."""

    def __init__(self, path: Path, function: ast.FunctionDef, house: "House", parent: "Reader | None"):
        self.path, self.function, self.house, self.parent = path, function, house, parent
        self.assigned: dict[str, list[ast.expr]] = {}
        self.asked: set = set()
        arguments = function.args
        self.positional = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        self.annotations = {
            one.arg: one.annotation for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        }
        defaults = dict(zip(reversed(self.positional), reversed(arguments.defaults), strict=False))
        self.defaults = defaults | {
            one.arg: value for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
        }
        self.nodes = list(own_nodes(function))
        for node in self.nodes:
            self.note(node)

    def note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.bind(target, node.value)
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            self.bind(node.target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            self.each(node.target, node.iter, ())
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
            self.bind(node.func.value, ast.List(elts=node.args))

    def bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, []).append(value)
        elif isinstance(target, ast.Tuple):
            for place, one in enumerate(target.elts):
                known = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
                self.bind(one, value.elts[place] if known else Part(ast.List(elts=[value]), (place,)))

    def each(self, target: ast.expr, source: ast.expr, path: tuple[int, ...]) -> None:
        if isinstance(target, ast.Tuple):
            for place, one in enumerate(target.elts):
                self.each(one, source, (*path, place))
        elif isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, []).append(Part(source, path))

    def unsafe(self) -> list[str]:
        found = []
        for node in self.nodes:
            if isinstance(node, ast.JoinedStr) and is_html(node):
                found += [
                    part.value for part in node.values if isinstance(part, ast.FormattedValue) and not self.fits(part)
                ]
            if isinstance(node, ast.Return) and node.value is not None and draws(self):
                parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                found += [part for part in parts if (part is node.value or has_html(part)) and not self.safe(part)]
        return list(dict.fromkeys(f"{self.function.name}:{node.lineno}: {ast.unparse(node)[:160]}" for node in found))

    def fits(self, part: ast.FormattedValue) -> bool:
        """Tell whether what is put in is a figure by its format, or is safe."""
        form = "".join(
            one.value for one in (part.format_spec.values if part.format_spec else []) if isinstance(one, ast.Constant)
        )
        return form.endswith(("d", "f", "g", "e", "%", ",")) or self.safe(part.value)

    def safe(self, node: ast.expr) -> bool:
        return getattr(self, f"safe_{type(node).__name__}", lambda _: False)(node)

    def all_safe(self, *nodes: ast.expr) -> bool:
        return all(self.safe(node) for node in nodes)

    def safe_Constant(self, node) -> bool:
        return node.value is not ...

    def safe_JoinedStr(self, node) -> bool:
        return all(self.fits(part) for part in node.values if isinstance(part, ast.FormattedValue))

    def safe_IfExp(self, node) -> bool:
        return self.all_safe(node.body, node.orelse)

    def safe_BoolOp(self, node) -> bool:
        # `a and b` is `a` only where that is false: "", 0 or nothing.
        return self.all_safe(*(node.values[-1:] if isinstance(node.op, ast.And) else node.values))

    def safe_BinOp(self, node) -> bool:
        if isinstance(node.op, (ast.Add, ast.BitOr)):
            return self.all_safe(node.left, node.right)
        return not isinstance(node.op, ast.Mod) and (
            not isinstance(node.op, ast.Mult) or self.safe(node.left) or self.safe(node.right)
        )

    def safe_Compare(self, node) -> bool:
        return True

    safe_UnaryOp = safe_Compare

    def safe_Subscript(self, node) -> bool:
        return self.members(node.value, ()) or isinstance(node.slice, ast.Slice) and self.safe(node.value)

    def safe_List(self, node) -> bool:
        return self.all_safe(*node.elts)

    safe_Tuple = safe_Set = safe_List

    def safe_Starred(self, node) -> bool:
        return self.members(node.value, ())

    def safe_GeneratorExp(self, node) -> bool:
        return self.safe(node.elt)

    safe_ListComp = safe_GeneratorExp

    def safe_NamedExpr(self, node) -> bool:
        return self.safe(node.value)

    def safe_Attribute(self, node) -> bool:
        return node.attr.isupper()

    def safe_Part(self, node) -> bool:
        return self.members(node.source, node.path)

    def safe_Name(self, node) -> bool:
        return self.known(node.id, lambda value: self.safe(value))

    def known(self, name: str, good) -> bool:
        """Tell whether all that a name can be is good."""
        if name.isupper():
            return True
        if name in self.assigned:
            if (name, id(good.__code__)) in self.asked:
                return True
            self.asked.add((name, id(good.__code__)))
            try:
                return all(good(value) for value in self.assigned[name])
            finally:
                self.asked.discard((name, id(good.__code__)))
        if name in self.annotations:
            return self.parameter(name)
        return self.parent.safe(ast.Name(id=name)) if self.parent else False

    def parameter(self, name: str) -> bool:
        annotation = self.annotations[name]
        if annotation is not None and ast.unparse(annotation) in NUMBERS:
            return True
        return self.house.given(self, name)

    def members(self, node: ast.expr, path: tuple[int, ...]) -> bool:
        """Tell whether every member of `node`, or the piece of it at `path`, is safe."""
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return all(
                self.members(one.value, path) if isinstance(one, ast.Starred) else self.piece(one, path)
                for one in node.elts
            )
        if isinstance(node, ast.Dict):
            return self.all_safe(*(node.values if not path else node.keys))
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return self.piece(node.elt, path)
        if isinstance(node, ast.DictComp):
            return self.safe(node.key if path else node.value)
        if isinstance(node, ast.Name):
            return (
                node.id.isupper()
                or self.known(node.id, lambda value: self.members(value, path))
                and node.id not in self.annotations
            )
        if isinstance(node, ast.Attribute):
            return node.attr.isupper()
        if isinstance(node, ast.IfExp):
            return self.members(node.body, path) and self.members(node.orelse, path)
        if isinstance(node, ast.BinOp):
            return self.members(node.left, path) and self.members(node.right, path)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            return self.members(node.value, path)
        if isinstance(node, Part):
            return self.members(node.source, (*node.path, *path)) if node.path else False
        return isinstance(node, ast.Call) and self.called(node, path)

    def called(self, node: ast.Call, path: tuple[int, ...]) -> bool:
        name = dotted(node.func)
        if name == "range":
            return True
        if name in THROUGH and node.args:
            return self.members(node.args[0], path)
        if name == "enumerate" and path:
            return path[0] == 0 or self.members(node.args[0], path[1:])
        if name == "zip" and path:
            return self.members(node.args[path[0]], path[1:])
        if name == "filter" and len(node.args) > 1:
            return self.members(node.args[1], path)
        if name == "map" and node.args:
            return dotted(node.args[0]) in SAFE_CALLS or self.house.returns_safe(self, dotted(node.args[0]))
        if name.endswith(".items") and path and isinstance(node.func, ast.Attribute):
            return self.pair(node.func.value, path)
        return False

    def pair(self, node: ast.expr, path: tuple[int, ...]) -> bool:
        """Tell whether the keys (path 0) or the values (path 1) of a mapping are safe."""
        if isinstance(node, ast.Name) and node.id.isupper() or isinstance(node, ast.Attribute) and node.attr.isupper():
            return True
        if isinstance(node, ast.Name):
            return self.known(node.id, lambda value: self.pair(value, path)) and node.id not in self.annotations
        if isinstance(node, ast.Dict):
            return all(
                self.piece(value if path[0] else key, path[1:]) if key is not None else self.pair(value, path)
                for key, value in zip(node.keys, node.values, strict=True)
            )
        if isinstance(node, ast.DictComp):
            return self.piece(node.value if path[0] else node.key, path[1:])
        if isinstance(node, ast.BinOp):
            return self.pair(node.left, path) and self.pair(node.right, path)
        return False

    def piece(self, node: ast.expr, path: tuple[int, ...]) -> bool:
        if isinstance(node, ast.Tuple) and path and path[0] >= len(node.elts):
            return False
        if not path:
            return self.safe(node)
        if isinstance(node, ast.Call):
            return self.house.returns_safe_piece(self, dotted(node.func), path)
        return isinstance(node, ast.Tuple) and self.piece(node.elts[path[0]], path[1:])

    def safe_Call(self, node) -> bool:
        name = dotted(node.func)
        last = name.rpartition(".")[2]
        if name == "str" and node.args:
            return self.safe(node.args[0])
        if name in SAFE_CALLS or last in SAFE_RETURNS:
            return True
        if name in ("words", "self.words", "self._words"):
            return not node.keywords
        if isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method == "join" and node.args:
                return self.safe(node.func.value) and (self.members(node.args[0], ()) or self.safe(node.args[0]))
            if method == "get" and node.args:
                return self.members(node.func.value, ()) and self.all_safe(*node.args[1:])
            if method == "replace" and len(node.args) == 2:
                return self.all_safe(node.func.value, node.args[1])
            if node.func.attr in ("strip", "rstrip", "removeprefix"):
                return self.safe(node.func.value)
        if name in ("min", "max"):
            return self.all_safe(*node.args)
        return self.house.returns_safe(self, name)


class House:
    """All functions of the studio."""

    def __init__(self) -> None:
        self.modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(STUDIO.rglob("*.py"))}
        self.readers: dict[Path, list[Reader]] = {}
        self._asked: set[tuple[int, str]] = set()
        self._given: dict[tuple[int, str], bool] = {}
        for path, module in self.modules.items():
            self.readers[path] = []
            self._read(path, module, None)
        self.all = [reader for readers in self.readers.values() for reader in readers]
        self.calls: dict[str, list[tuple[Reader, ast.Call]]] = {}
        for reader in self.all:
            for node in reader.nodes:
                if isinstance(node, ast.Call) and (name := dotted(node.func)):
                    self.calls.setdefault(name.rpartition(".")[2], []).append((reader, node))
        self.imports = {path: imported(module) for path, module in self.modules.items()}
        self.named: dict[str, list[Reader]] = {}
        for reader in self.all:
            self.named.setdefault(reader.function.name, []).append(reader)
        self.returning = {
            id(reader) for reader in self.all if any(isinstance(node, ast.Return) for node in reader.nodes)
        }
        self._settle()

    def _read(self, path: Path, node: ast.AST, parent: Reader | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                reader = Reader(path, child, self, parent)
                self.readers[path].append(reader)
                self._read(path, child, reader)
            elif not isinstance(child, ast.Lambda):
                self._read(path, child, parent)

    def _settle(self) -> None:
        """Find the functions that return what is safe: all are taken for such, and those that do not are struck until
        none is left.
        """
        while True:
            self._given.clear()
            struck = {
                id(reader)
                for reader in self.all
                if id(reader) in self.returning
                and not draws(reader)
                and not says_markup(reader.function)
                and not all(
                    reader.safe(node.value)
                    for node in reader.nodes
                    if isinstance(node, ast.Return) and node.value is not None
                )
            }
            if not struck:
                return
            self.returning -= struck

    def returns_safe(self, caller: Reader, name: str) -> bool:
        """Tell whether what a name calls returns what is safe: the function of the same file, else every one that is
        called so.
        """
        found = self.called(caller, name)
        return bool(found) and all(id(reader) in self.returning for reader in found)

    def returns_safe_piece(self, caller: Reader, name: str, path: tuple[int, ...]) -> bool:
        """Tell whether the piece at `path` of the tuples that a function returns is safe."""
        returned = [
            (reader, node.value)
            for reader in self.called(caller, name)
            for node in reader.nodes
            if isinstance(node, ast.Return)
        ]
        return bool(returned) and all(
            isinstance(value, ast.Tuple) and reader.piece(value, path) for reader, value in returned
        )

    def called(self, caller: Reader, name: str) -> list[Reader]:
        """Return the functions that a name can mean in a file: those of that file, else those it imports, else all that
        are called so.
        """
        before, _, last = name.rpartition(".")
        found = self.named.get(last, [])
        home = self.imports[caller.path].get(before or last, caller.path if before in ("", "self") else None)
        return [reader for reader in found if reader.path == home] or found

    def given(self, reader: Reader, name: str) -> bool:
        """Tell whether every call gives something safe for a parameter; where there is no call, nothing is known."""
        key = (id(reader), name)
        if key in self._given:
            return self._given[key]
        if key in self._asked:
            return True
        self._asked.add(key)
        private = reader.function.name.startswith("_")
        calls = [
            call for call in self.calls.get(reader.function.name, []) if not private or call[0].path == reader.path
        ]
        calls = [(caller, call) for caller, call in calls if reader in self.called(caller, dotted(call.func))]
        answer = bool(calls) and all(self._gives(caller, call, reader, name) for caller, call in calls)
        self._asked.discard(key)
        if not self._asked:
            self._given[key] = answer
        return answer

    def _gives(self, caller: Reader, call: ast.Call, reader: Reader, name: str) -> bool:
        if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
            return False
        names = reader.positional[1:] if reader.positional[:1] == ["self"] else reader.positional
        given = dict(zip(names, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
        if name in given:
            return caller.safe(given[name])
        return name in reader.defaults and reader.safe(reader.defaults[name])


def says_markup(function: ast.FunctionDef) -> bool:
    """Tell whether a function says of itself that it returns HTML."""
    return function.returns is not None and ast.unparse(function.returns) == "Markup"


def own_nodes(function: ast.FunctionDef):
    """Yield what stands in a function but not in another function inside it."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef):
            waiting += ast.iter_child_nodes(node)


def imported(module: ast.Module) -> dict[str, Path]:
    """Return the files of the studio from which a module's names come: that of a module, or of a function in one."""
    found = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("studio"):
            folder = STUDIO.joinpath(*node.module.split(".")[1:])
            for one in node.names:
                inside = folder / f"{one.name}.py"
                found[one.asname or one.name] = inside if inside.is_file() else folder.with_suffix(".py")
    return found


def dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


def is_html(node: ast.JoinedStr) -> bool:
    """Tell whether an element or an attribute of HTML is written in an f-string."""
    return any(isinstance(part, ast.Constant) and HTML.search(part.value) for part in node.values)


def draws(reader: Reader) -> bool:
    """Tell whether a function returns HTML: an f-string with an element stands in what it returns."""
    returned = [node.value for node in reader.nodes if isinstance(node, ast.Return) and node.value is not None]
    return any(map(has_html, returned))


def has_html(node: ast.expr) -> bool:
    return any(isinstance(part, ast.JoinedStr) and is_html(part) for part in ast.walk(node))


@cache
def house() -> House:
    return House()


@pytest.mark.parametrize("path", sorted(STUDIO.rglob("*.py")), ids=lambda path: str(path.relative_to(STUDIO)))
def test_everything_put_into_html_is_escaped(path):
    if str(path.relative_to(STUDIO)) in NOT_HTML:
        return
    found = [line for reader in house().readers[path] for line in reader.unsafe()]
    assert not found, "\n".join(found)

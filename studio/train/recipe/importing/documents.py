"""Mappings of settings in YAML and JSON, and the Markdown around them."""

import ast
import re

import yaml

from studio.core.i18n import Problem
from studio.core.storage import records, yaml_file

_FENCE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<body>.*?)(?:^[ \t]*(?P=fence)[ \t]*$|\Z)",
    re.M | re.S,
)
_SETTING = re.compile(r"^[ \t]*[\w.]+[ \t]*:(?:[ \t]|$)", re.M)
_NAME = re.compile(r"[\w.]+")
_OPTION = re.compile(
    r"(?:^|\s)--?[A-Za-z][\w-]*|llamafactory-cli|\blmf\b|^[ \t]*(?:bash|sh|source|sbatch)["
    r" \t]|\.(?:sh|bat|cmd|ps1|slurm|sbatch)\b",
    re.M,
)


def plain(text: str) -> str:
    """Return a text with one kind of line end, and without the marks that copying leaves in it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\ufeff\u200b\u2060]", "", text).strip("\n")


def blocks(text: str) -> tuple[list[str], list[str]]:
    """Return the fenced blocks of a Markdown text and the words between them; a text without a fence is one block."""
    found = [one["body"] for one in _FENCE.finditer(text)]
    if not found:
        bare = text.strip()
        quoted = len(bare) > 1 and bare[0] == bare[-1] == "`" and "`" not in bare[1:-1]
        return [_dedented(bare.strip("`") if quoted else text)], []
    around = [part.strip() for part in re.split(r"\n{2,}", _FENCE.sub("\n\n", text))]
    return [_dedented(one) for one in found], [part for part in around if part]


def _dedented(text: str) -> str:
    """Return a text without the blanks, or the `> ` of a quotation, that every line of it begins with."""
    lines = [line for line in text.split("\n") if line.strip()]
    if lines and all(line.lstrip().startswith("> ") and ":" in line for line in lines):
        text = re.sub(r"^[ \t]*> ?", "", text, flags=re.M)
        lines = [line for line in text.split("\n") if line.strip()]
    margin = min((len(line) - len(line.lstrip(" \u00a0")) for line in lines), default=0)
    return "\n".join(line[margin:] if line.strip() else "" for line in text.split("\n"))


def settings(text: str) -> dict[str, object] | None:
    """Return the settings that a text is in YAML as it stands, None where it is something else: what their values hold
    is neither Markdown nor a command.

    Raises:
        Problem: a name stands in it twice.
    """
    try:
        found = yaml_file.parse(text)
    except ValueError:
        return None  # the other readers say what is wrong with it
    if not isinstance(found, dict) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in found):
        return None
    _require_once(text)
    return found


def mapping(text: str) -> dict[str, object] | None:
    """Return the mapping of settings that a text is, None where it is something else.

    Raises:
        ValueError: it is meant as one (or as JSON) and cannot be read, with why.
        Problem: it holds no settings, or a name stands in it twice.
    """
    if (found := _python(text)) is not None:
        return found
    try:
        found = _parsed(text)
    except ValueError:
        if looks_like_command(text) and not _reads_as_settings(text):
            return None
        raise
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        if looks_like_command(text):
            return None
        raise Problem("recipe_import.no_settings")
    if looks_like_command(text) and any(" " in name.strip() for name in found):
        return None
    return found


def _python(text: str) -> dict[str, object] | None:
    """Return the settings of `args = dict(stage="sft", ...)`, as LLaMA-Factory's own notebook has them, None where
    there are none.
    """
    if not re.search(r"\bdict\(\s*\w+\s*=|^\w+\s*=\s*\{", text, re.M):
        return None
    try:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "dict"
                and node.keywords
            ):
                return {one.arg: ast.literal_eval(one.value) for one in node.keywords if one.arg}
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Dict)
                and all(isinstance(key, ast.Constant) for key in node.value.keys)
            ):
                return {
                    str(key.value): ast.literal_eval(value)
                    for key, value in zip(node.value.keys, node.value.values, strict=True)
                }
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None  # no Python, or values that only running it would tell: the other readers say what is wrong
    return None


def _parsed(text: str) -> object:
    bare = text.strip()
    if bare.startswith(("{", "[")):
        try:
            return records.parse(bare)
        except ValueError:
            if bare.startswith('{"'):
                raise
    text = text.replace("\u00a0", " ")
    found = yaml_file.parse(text)
    _require_once(text)
    return found


def _require_once(text: str) -> None:
    """Raise Problem for a name that stands twice among the settings, as LLaMA-Factory's reader does; the first would be
    lost.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    names = (
        [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if isinstance(node, yaml.MappingNode)
        else []
    )
    twice = next((name for name in names if names.count(name) > 1 and name != "<<"), None)
    if twice:
        raise Problem("recipe_import.twice", field=twice)


def looks_like_command(text: str) -> bool:
    """Tell whether lines that are no comments hold options of a command line or the name of LLaMA-Factory's program."""
    return bool(_OPTION.search("\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))))


def _reads_as_settings(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    return bool(lines) and sum(bool(_SETTING.match(line)) for line in lines) > len(lines) / 2

"""LLaMA-Factory's own table of supported models, searchable, with what a person asks of each before a download."""

import ast
import importlib.util
import re
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import folders, records
from studio.core.storage.records import Record
from studio.core.workspace import Workspace

SOURCE_FILE = ".download.json"  # in the folder of a downloaded model: where it came from
_STATEMENTS = (
    "DownloadSource",
    "DEFAULT_TEMPLATE",
    "MULTIMODAL_SUPPORTED_MODELS",
    "SUPPORTED_MODELS",
    "register_model_group",
)
_BYTES = {"fp8": 1.05, "int8": 1.05, "8bit": 1.05, "int4": 0.7, "4bit": 0.7, "awq": 0.7, "gptq": 0.7, "mxfp4": 0.6}
_MILLION, _BILLION, _TRILLION = 10**6, 10**9, 10**12
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([MBT])(\d)?(?![A-Za-z0-9])", re.IGNORECASE)


class Origin(Record):
    """Where a downloaded model came from, as SOURCE_FILE says it."""

    repo: str


@dataclass(frozen=True)
class Entry:
    """A model that LLaMA-Factory knows.

    `huggingface` and `modelscope` are its addresses there (owner/name). `chat` is True where LLaMA-Factory trains it
    with a template of its own (`template`); a base model (False) has learnt no turns of talk yet, and any template can
    be given to it. `params` is read from the name and `bytes` is about what a download brings; both None where the name
    does not say.
    """

    name: str
    huggingface: str | None
    modelscope: str | None
    template: str | None
    chat: bool
    multimodal: bool
    params: int | None
    bytes: int | None

    def address(self, source: str) -> str | None:
        """Return its address on "modelscope" or "huggingface", None where it is not there."""
        return self.modelscope if source == "modelscope" else self.huggingface


# Python 3.11 can fail with a SystemError where two threads parse source at once.
_parsing = threading.Lock()


@cache
def entries() -> tuple[Entry, ...]:
    """Return the whole table in LLaMA-Factory's order. Some 50 ms the first time; torch and transformers are not
    imported.

    Raises:
        Problem: this release of LLaMA-Factory keeps its table in another way.
    """
    with _parsing:
        table = _table()
    return tuple(_entry(name, paths, table) for name, paths in table["SUPPORTED_MODELS"].items())


def _table() -> dict:
    """Return the names that LLaMA-Factory's `extras/constants.py` defines for its models.

    Importing that file costs seconds, for it imports peft and transformers only to name a few file names. The
    statements that make the table need nothing but the standard library, so just those are run, from the installed file
    itself.
    """
    package = importlib.util.find_spec("llamafactory")
    path = Path(package.submodule_search_locations[0]) / "extras" / "constants.py" if package else None
    if path is None or not path.is_file():
        raise Problem(
            "catalogue.no_table",
            reason=Reason("reasons.of_file", file="extras/constants.py", reason=Reason("reasons.not_there")),
        )
    body = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if _makes_table(node)]
    names: dict = {}
    try:
        exec(compile(ast.Module(body, type_ignores=[]), str(path), "exec"), names)  # noqa: S102 (the installed package's own code)
        return {
            "SUPPORTED_MODELS": names["SUPPORTED_MODELS"],
            "DEFAULT_TEMPLATE": names["DEFAULT_TEMPLATE"],
            "MULTIMODAL": names["MULTIMODAL_SUPPORTED_MODELS"],
        }
    except (NameError, KeyError, TypeError) as error:
        raise Problem("catalogue.no_table", reason=reasons.of(error)) from error


def _makes_table(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) in (
            "os",
            "collections",
            "enum",
        )
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return getattr(node.value.func, "id", "") in _STATEMENTS
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(getattr(target, "id", "") in _STATEMENTS for target in targets)
    return isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in _STATEMENTS


def _entry(name: str, paths: dict, table: dict) -> Entry:
    hubs = {str(source): path for source, path in paths.items()}
    template = table["DEFAULT_TEMPLATE"].get(name)
    params = params_in(name)
    return Entry(
        name=name,
        huggingface=hubs.get("hf"),
        modelscope=hubs.get("ms"),
        template=template,
        chat=bool(template),
        multimodal=name in table["MULTIMODAL"],
        params=params,
        bytes=params and int(params * bytes_per_param(name)),
    )


def params_in(name: str) -> int | None:
    """Return the parameters that a model's name says (0.5B, 135M, 7B1, 30B-A3B, 8x7B), None where it says none.

    The experts of a name like 8x7B share what is not an expert, so the whole is about five sixths of the product:
    Mixtral 8x7B has 46.7 billion and 8x22B 141 billion, by their model cards. In 30B-A3B the first is the whole;
    17B-16E says only what is active.
    """
    match = _SIZE.search(name)
    if not match or re.match(r"-\d+E\b", name[match.end() :]):
        return None
    experts, number, unit, decimal = match.groups()
    one = (
        float(f"{number}.{decimal}" if decimal else number)
        * {"M": _MILLION, "B": _BILLION, "T": _TRILLION}[unit.upper()]
    )
    return round(one * int(experts) * 5 / 6 if experts else one)


def bytes_per_param(name: str) -> float:
    """Return the bytes a parameter takes on the hub: 2 (bfloat16), less where the name says that it is quantised
    (scales included).
    """
    return next((size for dtype, size in _BYTES.items() if dtype in name.lower()), 2.0)


def search(query: str = "", chat: bool | None = None, multimodal: bool | None = None, limit: int = 100) -> list[Entry]:
    """Return the entries with every word of `query` in their name, addresses or template; those with it in the name
    come first.

    `chat` and `multimodal` keep only models that are (True) or are not (False). Raises Problem as `entries` does.
    """
    words = [_word(one) for one in query.lower().split()]
    found = [
        entry
        for entry in entries()
        if chat in (None, entry.chat)
        and multimodal in (None, entry.multimodal)
        and all(word in _text(entry) for word in words)
    ]
    found.sort(key=lambda entry: not all(word in entry.name.lower() for word in words))
    return found[:limit]


def _word(word: str) -> str:
    """Return a word to search for; of a model's address on a hub that was pasted, owner/name."""
    _, found, place = word.partition("://")
    parts = [one for one in place.partition("?")[0].split("/")[1:] if one and one != "models"]
    return "/".join(parts[:2]) if found and len(parts) > 1 else word


def _text(entry: Entry) -> str:
    return " ".join(filter(None, (entry.name, entry.huggingface, entry.modelscope, entry.template))).lower()


def on_disk(workspace: Workspace) -> dict[str, str]:
    """Return {entry's name: model's name under `models/`} of the entries that are on disk.

    A downloaded model says where it came from; of any other, the folder's name is compared with the last part of the
    addresses.
    """
    by_origin: dict[str, str] = {}
    for config in folders.matching(workspace.models, "*/config.json"):
        folder = config.parent
        by_origin[_origin(folder) or folder.name.lower()] = folder.name
    by_entry = {}
    for entry in entries():
        addresses = [address.lower() for address in (entry.huggingface, entry.modelscope) if address]
        for known in [*addresses, *(address.rpartition("/")[2] for address in addresses)]:
            if known in by_origin:
                by_entry.setdefault(entry.name, by_origin[known])
    return by_entry


def _origin(folder: Path) -> str | None:
    try:
        return records.load(folder / SOURCE_FILE, Origin).repo.lower()
    except Problem:
        return None  # not downloaded here; what the model is called says what it is

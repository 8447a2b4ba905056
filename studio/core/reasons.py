"""Why a library failed, as a part of a sentence in the language of the page.

A `Problem` often ends in a reason that comes from elsewhere: the system, a parser of JSON or YAML, the check of a
record. `of(error)` is the one way by which it gets into the sentence: the frequent kinds have words of their own in the
room `reasons`; of all others the library's own text is quoted as what it is.
"""

import errno
import json
import re
import signal
import socket

from studio.core.i18n import Problem, Reason
from studio.core.processes.imported import imported

LONGEST = 300  # characters of a library's own words
OS_KINDS = {
    errno.ENOENT: "not_there",
    errno.EACCES: "not_allowed",
    errno.EPERM: "not_allowed",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "quota",
    errno.EROFS: "read_only",
    errno.EISDIR: "is_folder",
    errno.ENOTDIR: "no_folder",
    errno.EEXIST: "exists",
    errno.ENOTEMPTY: "not_empty",
    errno.ENAMETOOLONG: "name_too_long",
    errno.ELOOP: "links_in_circle",
    errno.EFBIG: "too_large",
    errno.EIO: "device_fails",
    errno.ESTALE: "device_gone",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.EXDEV: "other_disk",
    errno.EMFILE: "too_many_files",
    errno.ENFILE: "too_many_files",
    errno.ENOMEM: "no_memory",
    errno.EAGAIN: "too_many_processes",
    errno.ENOEXEC: "no_program",
    errno.EADDRINUSE: "address_in_use",
    errno.EADDRNOTAVAIL: "no_such_address",
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_cut",
    errno.EPIPE: "connection_cut",
    errno.ETIMEDOUT: "timed_out",
    errno.EHOSTUNREACH: "no_way",
    errno.ENETUNREACH: "no_way",
}
JSON_KINDS = {
    "Expecting value": "json_value",
    "Expecting ',' delimiter": "json_comma",
    "Expecting ':' delimiter": "json_colon",
    "Expecting property name enclosed in double quotes": "json_name",
    "Illegal trailing comma before end of object": "json_last_comma",
    "Illegal trailing comma before end of array": "json_last_comma",
    "Extra data": "json_more",
    "Unterminated string starting at": "json_open_text",
    "Invalid control character at": "json_control",
    "Invalid \\escape": "json_escape",
    "Invalid \\uXXXX escape": "json_escape",
    "Unexpected UTF-8 BOM (decode using utf-8-sig)": "json_mark",
}
YAML_KINDS = (
    (r"mapping values are not allowed", "yaml_colon"),
    (r"could not find expected ':'", "yaml_no_colon"),
    (r"found character '\\t'", "yaml_tab"),
    (r"found character '(.)' that cannot start", "yaml_character"),
    (r"unexpected end of stream", "yaml_open"),
    (r"expected ',' or '[]}]'", "yaml_open_bracket"),
    (r"expected <block end>", "yaml_indent"),
    (r"expected the node content, but found", "yaml_value"),
    (r"found undefined alias", "yaml_alias"),
    (r"found duplicate anchor", "yaml_anchor"),
    (r"could not determine a constructor", "yaml_tag"),
    (r"unknown escape character", "yaml_escape"),
    (r"special characters are not allowed", "characters"),
    (r"expected a single document", "yaml_documents"),
)
FIELD_KINDS = {
    "missing": "field_missing",
    "extra_forbidden": "field_unknown",
    "model_type": "field_object",
    "model_attributes_type": "field_object",
    "dict_type": "field_object",
    "dataclass_type": "field_object",
    "list_type": "field_list",
    "tuple_type": "field_list",
    "string_type": "field_text",
    "string_unicode": "characters",
    "string_pattern_mismatch": "field_pattern",
    "string_too_long": "field_long",
    "string_too_short": "field_short",
    "too_long": "field_long",
    "too_short": "field_short",
    "int_type": "field_whole",
    "int_parsing": "field_whole",
    "int_parsing_size": "field_whole",
    "int_from_float": "field_whole",
    "float_type": "field_number",
    "float_parsing": "field_number",
    "finite_number": "field_finite",
    "bool_type": "field_bool",
    "bool_parsing": "field_bool",
    "none_required": "field_none",
    "greater_than": "field_above",
    "greater_than_equal": "field_least",
    "less_than": "field_below",
    "less_than_equal": "field_most",
    "literal_error": "field_one_of",
    "enum": "field_one_of",
    "recursion_loop": "nested",
}
# By what the system, or a person, ends a program that could not say so itself. One that ends by abort() has said why.
END_KINDS = {
    "SIGKILL": "killed",
    "SIGILL": "other_processor",
    "SIGSEGV": "crashed",
    "SIGBUS": "crashed",
    "SIGFPE": "crashed",
    "SIGTERM": "ended_outside",
    "SIGINT": "ended_outside",
    "SIGHUP": "ended_outside",
}
_SHELL = 128  # a shell ends with so many more than the number of the signal that ended its program
# Errors whose text says by itself what is wrong; of a KeyError or a TypeError the name of its class is half of it.
_SAY_IT = (ValueError, RuntimeError, AssertionError, ImportError, OSError, Warning)
_BOUNDS = ("gt", "ge", "lt", "le", "expected", "max_length", "min_length", "pattern")


def of(error: BaseException) -> Reason:
    """Return why something failed, whatever threw it: the system, json, YAML, pydantic, or any other library."""
    if own := _own(error):
        return own
    for read in (_of_system, _of_json, _of_text, _of_yaml, _of_record):
        if found := read(error):
            return found
    return original(str(error)) if isinstance(error, _SAY_IT) and str(error) else _with_kind(error)


def of_fault(error: BaseException) -> Reason:
    """Return why work failed in a way that nobody foresaw: as `of`, but what a library said comes with the kind of its
    error, as its traceback ends: `ValueError: seven`.
    """
    reason = of(error)
    return _with_kind(error) if reason.key == "reasons.original" else reason


def _with_kind(error: BaseException) -> Reason:
    return original(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def kind(error: BaseException) -> Reason:
    """Return the reason as `of` does, without the line and column of JSON or YAML: the sentence itself names them."""
    found = of(error)
    return found.facts["reason"] if found.key == "reasons.at" else found


def network(error: BaseException) -> Reason:
    """Return why something on a network was not reached: what the system said below the client's own error, which often
    says no more than its class; else the status that was answered, or the name of that class.
    """
    seen, below = [], error
    while below is not None and below not in seen:
        seen.append(below)
        below = below.__cause__ or below.__context__
    for one in reversed(seen):
        if isinstance(one, socket.gaierror):
            return Reason("reasons.name_unknown")
        if isinstance(one, OSError) and (found := OS_KINDS.get(one.errno or 0)):
            return Reason(f"reasons.{found}")
    if any(isinstance(one, TimeoutError) or "Timeout" in type(one).__name__ for one in seen):
        return Reason("reasons.timed_out")
    status = getattr(getattr(error, "response", None), "status_code", None)
    return original(f"HTTP {status}" if status else type(error).__name__)


def of_end(code: int | None, said: str = "") -> Reason:
    """Return why a program ended, or does not answer: the signal by which it was ended, of which its last words know
    nothing; else those words; else its code.

    Args:
        code: as `Child.code`.
        said: what it printed last.
    """
    if code is None:
        return original(said) if said else Reason("reasons.timed_out")
    return of_signal(code) or (original(said) if said else Reason("reasons.exit_code", code=code))


def of_signal(code: int) -> Reason | None:
    """Return by what signal a program was ended that could not say so itself, None where it ended otherwise."""
    number = -code if code < 0 else code - _SHELL
    known = {int(getattr(signal, name)): name for name in END_KINDS if hasattr(signal, name)}
    name = known.get(number)
    return Reason(f"reasons.{END_KINDS[name]}", signal=name) if name else None


def original(text: str) -> Reason:
    """Return the words of a library as what they are: a quotation, on one line."""
    line = " ".join(text.split())
    return Reason("reasons.original", text=line if len(line) <= LONGEST else f"{line[:LONGEST]} …")


def field(error: BaseException) -> tuple[str, Reason]:
    """Return the field, `a.0.b`, that is wrong in a pydantic ValidationError, the first, and why; "-" for the whole."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(part) for part in first["loc"])[:100] or "-", _of_field(first)


def _own(error: BaseException) -> Reason | None:
    """Return the reason of the studio's own: a Problem, or what an error of a common kind was given, as in
    `ValueError(Reason(...))`.
    """
    if isinstance(error, Problem):
        return Reason(error.key, **error.facts)
    return next((one for one in error.args if isinstance(one, Reason)), None)


def _of_system(error: BaseException) -> Reason | None:
    if not isinstance(error, OSError):
        return None
    if isinstance(error.strerror, Reason):
        return error.strerror
    if isinstance(error, TimeoutError):
        return Reason("reasons.timed_out")
    if known := OS_KINDS.get(error.errno or 0):
        return Reason(f"reasons.{known}")
    return original(error.strerror) if error.strerror else None


def _of_json(error: BaseException) -> Reason | None:
    if not isinstance(error, json.JSONDecodeError):
        return None
    known = JSON_KINDS.get(error.msg.partition(": line")[0])
    return _at(error.lineno, error.colno, Reason(f"reasons.{known}") if known else original(error.msg))


def _of_text(error: BaseException) -> Reason | None:
    if isinstance(error, UnicodeDecodeError):
        return Reason("reasons.not_utf8", place=error.start + 1)
    if isinstance(error, RecursionError):
        return Reason("reasons.nested")
    return Reason("reasons.no_memory") if isinstance(error, MemoryError) else None


def _of_yaml(error: BaseException) -> Reason | None:
    if not _is_of(error, "yaml", "YAMLError"):
        return None
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    text = problem or getattr(error, "context", None) or getattr(error, "reason", None) or str(error)
    reason = next((Reason(f"reasons.{key}") for sign, key in YAML_KINDS if re.search(sign, text)), None)
    reason = reason or original(text)
    return _at(mark.line + 1, mark.column + 1, reason) if mark else reason


def _of_record(error: BaseException) -> Reason | None:
    if not _is_of(error, "pydantic", "ValidationError"):
        return None
    name, reason = field(error)
    return Reason("reasons.of_field", field=name, reason=reason)


def _of_field(first: dict) -> Reason:
    given = first.get("ctx") or {}
    known = FIELD_KINDS.get(first["type"])
    bound = next((given[name] for name in _BOUNDS if name in given), None)
    if known:
        return Reason(f"reasons.{known}", **({} if bound is None else {"bound": bound}))
    inner = given.get("error")  # a ValueError of a check of the studio's own
    return (isinstance(inner, Exception) and _own(inner)) or original(first["msg"].removeprefix("Value error, "))


def _at(line: int, column: int, reason: Reason) -> Reason:
    return Reason("reasons.at", line=line, column=column, reason=reason)


def _is_of(error: BaseException, package: str, name: str) -> bool:
    """Tell whether an error is of a class of a package, without importing that: launch.py tells reasons too."""
    module = imported(package)
    return module is not None and isinstance(error, getattr(module, name))

"""What a server says of an error, in whatever form, and numbers that it tells."""

import json
import re

from studio.inference.remote.wire import WireReader

LENGTH = 200
MOST = 2**53  # beyond it no count is one
_DEPTH = 8
_MAX_LETTERS = 20_000  # letters of a page
_FIELDS = (
    "message",
    "detail",
    "error",
    "msg",
    "error_msg",
    "errormessage",
    "errors",
    "error_message",
    "error_description",
    "status_msg",
    "reason",
    "title",
    "description",
    "text",
    "innererror",
    "type",
    "code",
)


class ServerFault(Exception):
    """A server says, within its answer, that something went wrong; `words` are its own."""

    def __init__(self, words: str):
        super().__init__(words)
        self.words = words


def count_of(value: object) -> int | None:
    """Return a count that a server tells, also as 3.0 or "3"; None where it is none."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else None


def words_of(value: object, depth: int = 0) -> str:
    """Return the words in what a server says of an error: text, an object of any common form, or a list of these."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool) or depth > _DEPTH:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (words_of(one, depth + 1) for one in value)))
    if not isinstance(value, dict):
        return str(value)
    fields = {str(name).lower(): one for name, one in value.items()}
    words = next(filter(None, (words_of(fields.get(name), depth + 1) for name in _FIELDS)), "")
    where, raw = fields.get("loc"), fields.get("metadata")
    if words and isinstance(where, list) and where:  # pydantic's, of servers that check their requests
        words = f"{where[-1]}: {words}"
    if isinstance(raw, dict) and (
        behind := words_of(raw.get("raw"), depth + 1)
    ):  # what a router was told by the server behind it
        words = f"{words}: {behind}" if words else behind
    return words or (_as_text(value) if value and not depth else "")


def _as_text(value: dict) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def fault_in(value: dict, event: str = "") -> str:
    """Return what a message of a stream says of an error, "" where it tells of none."""
    for name in ("error", "errors"):
        if (error := value.get(name)) and error is not True:
            return words_of(value if isinstance(error, int | float) else {"error": error}) or words_of(value)
    status = value.get("base_resp")
    if isinstance(status, dict) and count_of(status.get("status_code")) != 0 and status.get("status_code") is not None:
        return words_of(status)
    if event == "error" or value.get("object") == "error" or value.get("type") == "error" or value.get("error") is True:
        return words_of(value) or "error"
    if value.get("choices") or isinstance(value.get("message"), dict):
        return ""
    error = next(
        (value[name] for name in ("detail", "message", "msg", "error_msg", "error_message") if value.get(name)), None
    )
    return words_of(value) if error and not isinstance(error, bool) else ""


def of_body(body: object) -> str:
    """Return the words in the body of an HTTP error, which may be JSON, an event stream, a page or nothing."""
    if isinstance(body, str):
        reader = WireReader()
        try:
            values = [
                event.value
                for part in (reader.feed(body.encode("utf-8", "replace")), reader.finish())
                for event in part
            ]
        except ValueError:
            values = []
        return words_of(values) or body
    return words_of(body)


def in_one_line(words: str, key: str = "") -> str:
    """Return a server's words in one short line without marks of HTML, and without the key."""
    text = re.sub(
        r"<!--.*?-->|<(head|style|script)\b.*?</\1>|<[a-zA-Z/!][^>]*>",
        " ",
        words[:_MAX_LETTERS],
        flags=re.DOTALL | re.IGNORECASE,
    )
    text = " ".join((text.replace(key, "***") if key else text).split())
    return text[: LENGTH - 1] + "…" if len(text) > LENGTH else text

"""What form rows have, and which of their fields say what: recognised from a sample, and put right by the person where it must be.

A mapping names a form and, by LLaMA-Factory's own column names, the fields of the incoming rows. `convert` writes them in the form
that LLaMA-Factory reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from studio.interface.language import Problem

# The columns of each form, by LLaMA-Factory's names; those marked * must be given. `score` is the studio's own.
FORMS = {
    "alpaca": ("prompt*", "query", "response*", "system", "history"),
    "chat": ("messages*", "system", "tools", "images"),
    "preference": ("prompt*", "query", "chosen*", "rejected*", "system"),
    "chat_preference": ("messages", "chosen*", "rejected*", "system", "tools"),
    "kto": ("prompt*", "query", "response*", "kto_tag*", "system"),
    "chat_kto": ("messages*", "kto_tag*", "system", "tools"),
    "text": ("prompt*",),
    "scores": ("prompt*", "response*", "score*", "system"),
    "scored_pairs": ("prompt*", "response*", "score*", "system"),
}
STAGES = {"text": "pt", "preference": "dpo", "chat_preference": "dpo", "scored_pairs": "dpo", "kto": "kto", "chat_kto": "kto"}
# What the fields are called out in the world, the likeliest first.
_NAMES = {
    "prompt": ("instruction", "prompt", "question", "query", "problem", "input", "user", "human", "q", "指令", "问题", "提问", "title"),
    "query": ("input", "context", "输入", "上下文"),
    "response": ("output", "response", "answer", "completion", "reply", "solution", "target", "assistant", "a", "输出", "回答", "答案", "回复"),
    "system": ("system", "system_prompt", "系统"),
    "history": ("history", "历史"),
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns"),
    "tools": ("tools", "functions"),
    "images": ("images", "image", "image_path"),
    "chosen": ("chosen", "preferred", "accepted", "winner", "better", "chosen_response", "response_chosen", "positive"),
    "rejected": ("rejected", "dispreferred", "loser", "worse", "rejected_response", "response_rejected", "negative"),
    "kto_tag": ("label", "kto_tag", "desirable", "is_good", "feedback", "thumbs_up", "标签"),
    "score": ("helpfulness", "overall", "score", "rating", "quality", "correctness", "评分"),
}
_TEXT_NAMES = ("text", "content", "raw_content", "body", "document", "article", "正文", "内容", "文本")
USERS = ("user", "human", "prompter", "问")
ASSISTANTS = ("assistant", "gpt", "model", "bot", "chatgpt", "bing", "答")
SYSTEMS = ("system", "developer")
OBSERVATIONS = ("tool", "observation", "function", "ipython", "tool_response")
CALLS = ("function_call", "tool_call")
GOOD = (True, 1, "1", "true", "yes", "good", "chosen", "up", "desirable", "positive", "👍", "好")
BAD = (False, 0, "0", "false", "no", "bad", "rejected", "down", "undesirable", "negative", "👎", "差")


@dataclass(frozen=True)
class Mapping:
    """How to read incoming rows. `columns` are {LLaMA-Factory's column: field of the row}; `tags` name the role and content of a message.

    `known` is the name under which people know this form ("openai", "pairs", "helpsteer" ...), only to be shown. `min_score` is the least
    score of rows that are kept, of the form "scores" alone.
    """

    form: str
    columns: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    known: str = ""
    min_score: float | None = None

    @property
    def stage(self) -> str:
        """The stage that the rows are for: pt, sft, dpo or kto."""
        return STAGES.get(self.form, "sft")

    def missing(self) -> list[str]:
        """Return the columns that must be given and are not."""
        return [column[:-1] for column in FORMS[self.form] if column.endswith("*") and not self.columns.get(column[:-1])]


def fields_of(rows: Iterable[dict]) -> list[str]:
    """Return the names of the fields of some rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def recognise(rows: Sequence[dict]) -> Mapping:
    """Return the likeliest mapping of some rows; one whose `missing()` is not empty where it is for the person to say.

    Raises:
        Problem: there is no row to look at.
    """
    if not rows:
        raise Problem("datasets.nothing_to_recognise")
    names = fields_of(rows)
    found = {column: _named(names, choices) for column, choices in _NAMES.items()}
    pair = (found["chosen"], found["rejected"]) if found["chosen"] and found["rejected"] else ()
    messages = next((name for name in names if name not in pair and _all(rows, name, _is_talk)), "")
    if pair:
        return _preference(rows, found, messages)
    label = next((name for name in names if name.casefold() in _NAMES["kto_tag"] and _all(rows, name, _is_label)), "")
    extra = {column: found[column] for column in ("system", "tools", "images") if found[column] and found[column] != messages}
    if messages:
        tags = _tags(rows, messages)
        known = "openai" if tags["role_tag"] == "role" else "sharegpt"
        if label:
            return Mapping("chat_kto", {"messages": messages, "kto_tag": label, **_without(extra, "images")}, tags, known)
        return Mapping("chat", {"messages": messages, **extra}, tags, known)
    return _one_turn(rows, names, found, label)


def _one_turn(rows: Sequence[dict], names: list[str], found: dict[str, str], label: str) -> Mapping:
    prompt, response, system = found["prompt"], found["response"], found["system"]
    query = found["query"] if found["query"] not in (prompt, response) else ""
    columns = {name: value for name, value in (("prompt", prompt), ("query", query), ("response", response), ("system", system)) if value}
    scores = [name for name in names if name.casefold() in _NAMES["score"] and _all(rows, name, _is_number)]
    if prompt and response and prompt != response:
        if label:
            return Mapping("kto", {**columns, "kto_tag": label}, known="kto")
        if scores:
            best = next(name for choice in _NAMES["score"] for name in scores if name.casefold() == choice)
            top = max(row[best] for row in rows if isinstance(row.get(best), int | float))
            return Mapping("scores", {**_without(columns, "query"), "score": best}, known="helpsteer", min_score=round(0.75 * top, 2))
        if found["history"]:
            columns["history"] = found["history"]
        return Mapping("alpaca", columns, known="alpaca" if (prompt, response) == ("instruction", "output") else "pairs")
    text = _named(names, _TEXT_NAMES) or (names[0] if len(names) == 1 else "")
    if text:
        return Mapping("text", {"prompt": text}, known="text")
    return Mapping("alpaca", columns)


def _preference(rows: Sequence[dict], found: dict[str, str], messages: str) -> Mapping:
    chosen, rejected = found["chosen"], found["rejected"]
    columns = {"chosen": chosen, "rejected": rejected} | ({"system": found["system"]} if found["system"] else {})
    talks = _all(rows, chosen, _is_talk)
    spoken = _all(rows, chosen, lambda text: isinstance(text, str) and "\n\nHuman:" in text and "\n\nAssistant:" in text)
    whole = talks and any(str(_first_role(row.get(chosen))).casefold() in USERS + SYSTEMS for row in rows)
    if messages and not whole and not spoken:
        more = {"tools": found["tools"]} if found["tools"] else {}
        return Mapping("chat_preference", {"messages": messages, **columns, **more}, _tags(rows, messages), "sharegpt")
    if talks or spoken:
        return Mapping("chat_preference", columns, _tags(rows, chosen) if talks else {}, "ultrafeedback" if talks else "hh")
    prompt = {"prompt": found["prompt"]} if found["prompt"] else {}
    query = {"query": found["query"]} if found["query"] and found["query"] != found["prompt"] else {}
    return Mapping("preference", {**prompt, **query, **columns}, known="preference")


def with_choices(mapping: Mapping, columns: dict[str, str] | None, tags: dict[str, str] | None, options: dict | None) -> Mapping:
    """Return `mapping` with what a person chose instead: columns, tags, and of `options` the form and the least score.

    Raises:
        Problem: the form is unknown, or it has no such column.
    """
    said = options or {}
    form = said.get("form") or mapping.form
    if form not in FORMS:
        raise Problem("datasets.unknown_form", form=form, known=", ".join(FORMS))
    allowed = [column.rstrip("*") for column in FORMS[form]]
    chosen = {name: value for name, value in mapping.columns.items() if name in allowed} | {
        name: value for name, value in (columns or {}).items() if value is not None
    }
    if strange := [name for name in chosen if name not in allowed]:
        raise Problem("datasets.unknown_column", column=strange[0], form=form, known=", ".join(allowed))
    least = said.get("min_score", mapping.min_score)
    return replace(mapping, form=form, columns={name: value for name, value in chosen.items() if value}, tags={**mapping.tags, **(tags or {})},
                   known=mapping.known if form == mapping.form else "", min_score=least)


def _named(names: list[str], choices: tuple[str, ...]) -> str:
    """Return the name that is the likeliest of `choices`, "" where none is there."""
    small = {name.casefold().strip(): name for name in reversed(names)}
    return next((small[choice] for choice in choices if choice in small), "")


def _without(columns: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in columns.items() if name not in names}


def _all(rows: Sequence[dict], name: str, is_so) -> bool:
    values = [row[name] for row in rows if row.get(name) is not None]
    return bool(values) and all(is_so(value) for value in values)


def _is_talk(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value) and (not value or len(_role_and_content(value[0])) == 2)


def _first_role(talk: list[dict] | None) -> object:
    tags = _role_and_content(talk[0]) if talk else []
    return talk[0].get(tags[0]) if tags else None


def _is_label(value: object) -> bool:
    return (value.casefold() if isinstance(value, str) else value) in GOOD + BAD


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _role_and_content(message: dict) -> list[str]:
    pairs = (("from", "value"), ("role", "content"), ("role", "value"), ("from", "content"), ("speaker", "text"), ("role", "text"))
    return next(([role, content] for role, content in pairs if role in message and (content in message or "tool_calls" in message)), [])


def _tags(rows: Sequence[dict], name: str) -> dict[str, str]:
    """Return what messages call their role and content, and the people in them, with LLaMA-Factory's own names where nobody speaks."""
    messages = [message for row in rows for message in row.get(name) or []]
    role, content = (_role_and_content(messages[0]) if messages else None) or ["from", "value"]
    seen = [str(message.get(role)) for message in messages]

    def called(choices: tuple[str, ...], otherwise: str) -> str:
        return next((each for each in seen if each.casefold() in choices), otherwise)

    return {
        "role_tag": role, "content_tag": content, "user_tag": called(USERS, "human"), "assistant_tag": called(ASSISTANTS, "gpt"),
        "observation_tag": called(OBSERVATIONS, "observation"), "function_tag": called(CALLS, "function_call"),
        "system_tag": called(SYSTEMS, "system"),
    }


def described(mapping: Mapping) -> dict:
    """Return the part of an entry of `dataset_info.json` that says how rows are read as they are: formatting, ranking, columns, tags."""
    said: dict = {"formatting": "sharegpt"} if mapping.form.startswith("chat") else {}
    if mapping.stage == "dpo":
        said["ranking"] = True
    said["columns"] = dict(mapping.columns)
    if mapping.form.startswith("chat") and mapping.tags:
        said["tags"] = dict(mapping.tags)
    return said


def entry_as_it_is(mapping: Mapping, rows: Sequence[dict]) -> dict | None:
    """Return what an entry says of rows that LLaMA-Factory reads as they are, None where they must be converted first."""
    if mapping.form in ("scores", "scored_pairs"):
        return None
    columns = mapping.columns
    for row in rows:
        if any(name not in row for name in columns.values()):
            return None
        for column, name in columns.items():
            if not _reads_as_it_is(column, row[name], mapping):
                return None
    return described(mapping)


def _reads_as_it_is(column: str, value: object, mapping: Mapping) -> bool:
    if column == "kto_tag":
        return isinstance(value, bool)
    if column == "history":
        return value is None or isinstance(value, list)
    if column == "images":
        return isinstance(value, list)
    if column == "messages":
        return isinstance(value, list) and bool(value) and all(_message_reads(message, mapping) for message in value)
    if mapping.form == "chat_preference" and column in ("chosen", "rejected"):
        return isinstance(value, dict) and _message_reads(value, mapping) and "messages" in mapping.columns
    return isinstance(value, str)


def _message_reads(message: object, mapping: Mapping) -> bool:
    tags = mapping.tags
    known = [tags.get(tag) for tag in ("user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")]
    return (
        isinstance(message, dict) and message.get(tags.get("role_tag")) in known and isinstance(message.get(tags.get("content_tag")), str)
        and not message.get("tool_calls")
    )

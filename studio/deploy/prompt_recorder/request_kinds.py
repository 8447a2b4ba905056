"""What a recorded request is: a question of the person, or one of those that clients send by themselves."""

import re
from typing import Literal

Kind = Literal[
    "chat", "title", "tags", "follow_up", "search", "autocomplete", "emoji", "completion", "embedding", "other"
]
# The words of Open WebUI's own prompts, LibreChat's, LobeChat's and Dify's. They stand at the beginning of the task.
_TASKS: tuple[tuple[Kind, str], ...] = (
    (
        "title",
        r"\b(?:generate|provide|create|write|summari[sz]e|name)\b.{0,120}\btitle\b|(?:生成|总结|概括|起).{0,40}标题",
    ),
    ("tags", r"\bgenerate\b.{0,60}\btags\b"),
    ("follow_up", r"\bfollow-?ups?\b|\bpredict\b.{0,40}\bmessages this user\b|\bnext questions\b|后续问题|追问"),
    ("search", r"\bgenerat\w+ (?:\w+ ){0,4}search quer(?:y|ies)\b|\bnecessity of generating\b"),
    ("autocomplete", r"\bautocompletion system\b"),
    ("emoji", r"\bfacial expression through\b.{0,40}\bemoji\b"),
)
_PATTERNS = tuple((kind, re.compile(words, re.IGNORECASE | re.DOTALL)) for kind, words in _TASKS)
# A person who asks for a title of something gives no transcript of a conversation.
_OF_A_TALK = re.compile(r"chat[ _]history|conversation|<text>|\bmessage: ```|对话|聊天|会话", re.IGNORECASE)
_HEAD = 600  # characters in which a task is told
_PATHS: tuple[tuple[str, Kind], ...] = (
    ("/chat/completions", "chat"),
    ("/api/chat", "chat"),
    ("/responses", "chat"),
    ("/completions", "completion"),
    ("/completion", "completion"),
    ("/api/generate", "completion"),
    ("/embeddings", "embedding"),
    ("/api/embed", "embedding"),
)


def kind_of_path(path: str) -> Kind | None:
    """Return what a path of an engine is asked for; None for what takes no prompt."""
    return next((kind for end, kind in _PATHS if path.rstrip("/").endswith(end)), None)


def kind_of(path: str, body: object) -> Kind:
    """Return what a request is, by its path and by the words of its last message or its system prompt.

    Args:
        body: what was sent, as JSON.
    """
    kind = kind_of_path(path) or "other"
    messages = body.get("messages") if isinstance(body, dict) else None
    if kind != "chat" or not isinstance(messages, list) or not messages:
        return kind
    heads = [messages[-1], *(one for one in messages[:1] if _role(one) == "system")]
    texts = [text_of(one.get("content")) for one in heads if isinstance(one, dict)]
    if not any(map(_OF_A_TALK.search, texts)):
        return kind
    for text in texts:
        for task, pattern in _PATTERNS:
            if pattern.search(text[:_HEAD]):
                return task
    return kind


def text_of(content: object) -> str:
    """Return the text of a message, also where it stands in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (one.get("text") for one in content if isinstance(one, dict))
    return "\n".join(part for part in parts if isinstance(part, str))


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None

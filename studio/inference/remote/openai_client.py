"""Connections to OpenAI-compatible servers: keys that stay in memory, the studio's messages in OpenAI's form, faults as
sentences.
"""

import base64
import ipaddress
import json
import mimetypes
import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage.records import parse
from studio.inference.messages import Message, ToolCall
from studio.inference.reasoning import without_reasoning
from studio.inference.remote.error_text import in_one_line, of_body

CONNECT_S = 5.0
READ_S = 5.0  # for what a person waits for, a list of models or of tokens; an answer has its own limit
_keys: dict[str, str] = {}  # of this process, by the address they may be sent to


def set_key(url: str, key: str) -> None:
    """Remember, until the process ends, the key to send to `url`; "" forgets it."""
    _keys[url] = key


def key_of(url: str) -> str:
    """Return the key for `url`, "" where there is none."""
    return _keys.get(url, "")


def client(url: str, key: str = ""):
    """Return an `openai.OpenAI` for `url` that does not wait long; `key` stands for the remembered one."""
    import openai

    timeout = openai.Timeout(READ_S, connect=CONNECT_S)
    return openai.OpenAI(**_settings(url, key), timeout=timeout, http_client=openai.DefaultHttpxClient(**_network(url)))


def async_client(url: str):
    """Return an `openai.AsyncOpenAI` for `url` that gives up connecting by itself, but never waiting."""
    import openai

    timeout = openai.Timeout(None, connect=CONNECT_S)
    return openai.AsyncOpenAI(
        **_settings(url, ""), timeout=timeout, http_client=openai.DefaultAsyncHttpxClient(**_network(url))
    )


def _settings(url: str, key: str) -> dict:
    import openai

    # The variables OPENAI_... are about another server: neither its key nor its organization may go to this one.
    foreign = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
    return {"base_url": url, "api_key": key or key_of(url) or "none", "max_retries": 0, "default_headers": foreign}


def _network(url: str) -> dict:
    parts = urlsplit(url)
    # Reading the certificates takes longer than many an engine's first token; http needs none, and a redirect to https
    # is not followed.
    return {"verify": parts.scheme == "https", "follow_redirects": False, "trust_env": not is_near(parts.hostname)}


def is_near(host: str) -> bool:
    """Tell whether a host is this machine or in its own network; no proxy stands before those."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".internal"))


def problem(error: Exception, url: str, model: str = "", key: str = "") -> Problem:
    """Return what a person should read of an error of a server. The key is in none of it, even where the server repeats
    it.
    """
    import openai

    facts = {"place": urlsplit(url).netloc, "model": model}
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        if re.search("Connect|Proxy|Protocol$", type(cause).__name__):
            return Problem("served.unreachable", **facts, reason=reasons.of(cause))
        return (
            Problem("served.silent", **facts, seconds=round(READ_S))
            if "Timeout" in type(cause).__name__
            else Problem("served.cut", **facts)
        )
    if not isinstance(error, openai.APIError):
        return Problem("served.garbage", **facts)
    status = getattr(error, "status_code", None)
    facts |= {"status": status, "reason": _reason(error, key or key_of(url))}
    if status is not None and (status == 404 and not model or 300 <= status < 400):
        return Problem("served.no_api", **facts)
    names = {None: "broke", 401: "bad_key", 403: "bad_key", 404: "no_such_model", 429: "too_many"}
    return Problem("served." + names.get(status, "server_error" if status and status >= 500 else "refused"), **facts)


def problem_in_answer(words: str, url: str, model: str) -> Problem:
    """Return what a person should read of an error that a server tells within an answer."""
    return Problem(
        "served.broke",
        place=urlsplit(url).netloc,
        model=model,
        status=None,
        reason=reasons.original(in_one_line(words, key_of(url))),
    )


def _reason(error, key: str) -> str:
    """Return the server's own words in one short line, what its status means where it says nothing."""
    words = in_one_line(of_body(error.body), key)
    try:
        return words or HTTPStatus(error.status_code).phrase
    except (AttributeError, ValueError):
        return words or in_one_line(error.message, key)


def as_messages(messages: list[Message], system: str) -> list[dict]:
    """Return the studio's messages in the form of OpenAI's chat completions.

    Args:
        messages: {"role": "user" | "assistant" | "tool", "content"} with "images" (files) of a user and "calls"
            ({"name", "arguments"})
            of an assistant where there are any. Its reasoning is not sent back, as no template would (see `thoughts`).
        system: the system prompt; "" sends none, and then the engine's template puts in its own where it has one.

    Raises:
        Problem: an image cannot be read.
    """
    converted: list[dict] = [{"role": "system", "content": system}] if system else []
    calls = results = 0
    for message in messages:
        role, content = message["role"], message.get("content") or ""
        if role == "assistant":
            converted.append({"role": role, "content": without_reasoning(content)})
            if made := message.get("calls"):
                converted[-1] |= {
                    "content": converted[-1]["content"] or None,
                    "tool_calls": [_call(calls + index, call) for index, call in enumerate(made)],
                }
                results, calls = calls, calls + len(made)
        elif role == "tool":
            converted.append({"role": role, "tool_call_id": _call_id(results), "content": content})
            results += 1
        elif images := message.get("images"):
            converted.append({"role": role, "content": [*map(_image, images), {"type": "text", "text": content}]})
        else:
            converted.append({"role": role, "content": content})
    return converted


def _call_id(number: int) -> str:
    return f"call{number:05d}"  # Mistral's templates take nine letters and digits and nothing else


def _call(number: int, call: ToolCall) -> dict:
    arguments = call["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": _call_id(number), "type": "function", "function": {"name": call["name"], "arguments": text}}


def _image(file: str) -> dict:
    try:
        data = base64.b64encode(Path(file).read_bytes()).decode()
    except OSError as error:
        raise Problem("served.no_image", file=Path(file).name) from error
    kind = mimetypes.guess_type(file)[0] or "image/png"
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}


def as_tools(tools: str) -> list[dict]:
    """Return JSON of tools in OpenAI's form; each may stand there bare, {"name", "description", "parameters"}. Raises
    Problem for other text.
    """
    if not tools.strip():
        return []
    try:
        listed = parse(tools)
        listed = listed if isinstance(listed, list) else [listed]
        bare = [tool.get("function", tool) for tool in listed]
        defaults = {"description": "", "parameters": {"type": "object", "properties": {}}}
        return [{"type": "function", "function": defaults | {"name": tool["name"]} | tool} for tool in bare]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise Problem("served.bad_tools") from error

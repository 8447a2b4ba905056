"""Programs that ask a served model, to be pasted as they are: the right address, name and key, streaming and not.

The key stands in none of them: it is taken from the variable KEY_VARIABLE.
"""

import json
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from studio.core.storage.records import parse_or
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServedTarget

KEY_VARIABLE = "ENGINE_API_KEY"
QUESTION = "What is a fox?"
WAIT_S = 2.0


@dataclass(frozen=True)
class Snippet:
    """A program. name: of its form; needs: what it needs to be installed first, "" for nothing."""

    name: str
    streams: bool
    language: str
    needs: str
    code: str


def snippets(target: ServedTarget, has_key: bool, is_ollama: bool = False) -> list[Snippet]:
    """Return the programs for a served model.

    Args:
        target: its address (with /v1) and its name.
        has_key: whether the server wants a key.
        is_ollama: whether it has Ollama's own API too (see `is_ollama`).
    """
    forms = [_curl, _python, _javascript_fetch, _javascript_openai, _langchain]
    if is_ollama:
        forms += [_ollama_chat, _ollama_generate]
    return [form(target, has_key, streams) for form in forms for streams in (False, True)]


def is_ollama(url: str) -> bool:
    """Tell whether an Ollama answers at an address (with /v1): only it tells its version beside it."""
    near = openai_client.is_near(urlsplit(url).hostname or "")
    try:
        answer = httpx.get(_root(url) + "/api/version", timeout=WAIT_S, trust_env=not near)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
        return False
    told = parse_or({}, answer.content)
    return answer.status_code == 200 and isinstance(told, dict) and isinstance(told.get("version"), str)


def _root(url: str) -> str:
    return url.rsplit("/v1", 1)[0]


def _script(value: object) -> str:
    """Return a value as Python and JavaScript both write it."""
    return json.dumps(value, ensure_ascii=True)


def _messages() -> list[dict]:
    return [{"role": "user", "content": QUESTION}]


def _shell_call(url: str, body: dict, has_key: bool, streams: bool) -> str:
    lines = [f"curl {'-N ' if streams else ''}{shlex.quote(url)}", "-H 'Content-Type: application/json'"]
    lines += [f'-H "Authorization: Bearer ${KEY_VARIABLE}"'] if has_key else []
    lines.append("-d " + shlex.quote(json.dumps(body, ensure_ascii=False)))
    return " \\\n  ".join(lines)


def _curl(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    body = {"model": target.model, "messages": _messages()} | ({"stream": True} if streams else {})
    return Snippet("curl", streams, "bash", "", _shell_call(f"{target.url}/chat/completions", body, has_key, streams))


def _ollama_chat(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    body = {"model": target.model, "messages": _messages(), "stream": streams}
    code = _shell_call(_root(target.url) + "/api/chat", body, has_key, streams)
    return Snippet("Ollama /api/chat", streams, "bash", "", code)


def _ollama_generate(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    body = {"model": target.model, "prompt": QUESTION, "stream": streams}
    code = _shell_call(_root(target.url) + "/api/generate", body, has_key, streams)
    return Snippet("Ollama /api/generate", streams, "bash", "", code)


def _python(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    key = f'os.environ["{KEY_VARIABLE}"]' if has_key else '"none"'
    call = f"""    model={_script(target.model)},
    messages=[{{"role": "user", "content": {_script(QUESTION)}}}],
"""
    begin = f"""{"import os" + chr(10) + chr(10) if has_key else ""}from openai import OpenAI

client = OpenAI(base_url={_script(target.url)}, api_key={key})
"""
    if streams:
        rest = f"""stream = client.chat.completions.create(
{call}    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
"""
    else:
        rest = f"answer = client.chat.completions.create(\n{call})\nprint(answer.choices[0].message.content)\n"
    return Snippet("Python (openai)", streams, "python", "pip install openai", begin + rest)


def _javascript_fetch(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    key = f"\n    Authorization: `Bearer ${{process.env.{KEY_VARIABLE}}}`," if has_key else ""
    call = f"""const response = await fetch({_script(target.url + "/chat/completions")}, {{
  method: "POST",
  headers: {{
    "Content-Type": "application/json",{key}
  }},
  body: JSON.stringify({{
    model: {_script(target.model)},
    messages: [{{ role: "user", content: {_script(QUESTION)} }}],{" stream: true," if streams else ""}
  }}),
}});
if (!response.ok) throw new Error(await response.text());
"""
    if streams:
        call += """let rest = "";
for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + part).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    if (!line.startsWith("data: ") || line.startsWith("data: [DONE]")) continue;
    process.stdout.write(JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "");
  }
}
"""
    else:
        call += "console.log((await response.json()).choices[0].message.content);\n"
    return Snippet("JavaScript (fetch)", streams, "javascript", "", call)


def _javascript_openai(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    key = f"process.env.{KEY_VARIABLE}" if has_key else '"none"'
    question = f"""  model: {_script(target.model)},
  messages: [{{ role: "user", content: {_script(QUESTION)} }}],
"""
    code = f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: {_script(target.url)}, apiKey: {key} }});
"""
    if streams:
        code += f"""const stream = await client.chat.completions.create({{
{question}  stream: true,
}});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
"""
    else:
        code += f"""const answer = await client.chat.completions.create({{
{question}}});
console.log(answer.choices[0].message.content);
"""
    return Snippet("JavaScript (openai)", streams, "javascript", "npm install openai", code)


def _langchain(target: ServedTarget, has_key: bool, streams: bool) -> Snippet:
    key = f'os.environ["{KEY_VARIABLE}"]' if has_key else '"none"'
    code = f"""{"import os" + chr(10) + chr(10) if has_key else ""}from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model={_script(target.model)},
    base_url={_script(target.url)},
    api_key={key},
)
"""
    if streams:
        code += f"""for chunk in model.stream({_script(QUESTION)}):
    print(chunk.content, end="", flush=True)
print()
"""
    else:
        code += f"print(model.invoke({_script(QUESTION)}).content)\n"
    return Snippet("LangChain", streams, "python", "pip install langchain-openai", code)

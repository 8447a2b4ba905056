"""The prompt that a serving engine itself makes of a conversation, for comparison with the one of training."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from studio.inference.messages import Message
from studio.inference.remote import openai_client
from studio.inference.remote.error_text import count_of
from studio.inference.remote.servers import ServedTarget

_NO_SUCH_PATH = (
    401,
    403,
    404,
    405,
    501,
)  # how servers say that they have no such path; those in the cloud ask for another key

_LARGEST_ID = 2**31 - 1
COUNT_S = 60.0  # an engine may be busy with somebody's answer


@dataclass(frozen=True)
class EnginePrompt:
    """What goes into the model: the text, None where the engine does not tell it, and the token ids."""

    text: str | None
    ids: list[int]


def engine_prompt(
    target: ServedTarget, messages: list[Message], system: str = "", tools: str = ""
) -> EnginePrompt | None:
    """Return what the engine makes of the conversation, None where it has no way to tell (LLaMA-Factory's API, Ollama,
    most in the cloud).

    llama.cpp is asked through `/apply-template` and `/tokenize`, vLLM through `/tokenize` with messages; both stand
    beside `/v1`. Arguments as for `served.ask`.

    Raises:
        Problem: the engine cannot be reached, or refuses the conversation.
    """
    return of_messages(target, openai_client.as_messages(messages, system), openai_client.as_tools(tools))


def of_messages(target: ServedTarget, messages: list[dict], tools: list[dict] | None = None) -> EnginePrompt | None:
    """Return what the engine makes of messages and tools in OpenAI's form, None where it has no way to tell.

    Raises:
        Problem: the engine cannot be reached, or refuses the conversation.
    """
    import openai

    question: dict = {"model": target.model, "messages": messages}
    if tools:
        question["tools"] = tools
    root = target.url.rsplit("/v1", 1)[0]
    with openai_client.client(target.url) as client:

        def post(path: str, body: dict) -> dict:
            return client.post(root + path, body=body, cast_to=object)

        for engine in (_of_llama_cpp, _of_vllm):
            try:
                return engine(post, question)
            except openai.APIStatusError as error:
                if error.status_code not in _NO_SUCH_PATH:
                    raise openai_client.problem(error, target.url, target.model) from error
            except openai.APIConnectionError as error:
                raise openai_client.problem(error, target.url, target.model) from error
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # a page, or another server's answer: not this engine
    return None


def counted(target: ServedTarget, messages: list[dict]) -> int | None:
    """Return how many tokens the engine counts in its prompt for messages in OpenAI's form, None where it does not say.
    It answers with one token for it.

    Raises:
        Problem: the engine cannot be reached, or refuses the conversation.
    """
    import openai

    try:
        with openai_client.client(target.url) as client:
            answer = client.chat.completions.create(
                model=target.model, messages=messages, max_tokens=1, temperature=0, timeout=COUNT_S
            )
            return count_of(answer.usage.prompt_tokens)
    except openai.APIError as error:
        raise openai_client.problem(error, target.url, target.model) from error
    except (AttributeError, ValueError, TypeError):
        return None


def compare(ours: list[int], theirs: list[int]) -> int | None:
    """Return the index of the first token that differs, the length of the shorter where it is the other's beginning,
    None for the same.
    """
    if ours == theirs:
        return None
    pairs = zip(ours, theirs, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))


def _of_llama_cpp(post: Callable[[str, dict], dict], question: dict) -> EnginePrompt:
    text = _text(post("/apply-template", question))
    # as its server tokenizes a chat's prompt before it answers: marks are marks, and the vocabulary says whether a text
    # begins with one
    ids = _ids(post("/tokenize", {"content": text, "add_special": True, "parse_special": True}))
    return EnginePrompt(text, ids)


def _of_vllm(post: Callable[[str, dict], dict], question: dict) -> EnginePrompt:
    ids = _ids(
        post("/tokenize", question | {"messages": [_with_arguments_as_text(one) for one in question["messages"]]})
    )
    return EnginePrompt(_text(post("/detokenize", {"model": question["model"], "tokens": ids})), ids)


def _with_arguments_as_text(message: dict) -> dict:
    """Return a message whose calls have their arguments as JSON, the one form that vLLM takes."""
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        arguments = call["function"]["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        calls.append(call | {"function": call["function"] | {"arguments": text}})
    return message | {"tool_calls": calls}


def _text(answer: dict) -> str:
    """Return the prompt that an engine tells. Raises ValueError where it is no text."""
    if not isinstance(answer["prompt"], str):
        raise ValueError("a prompt that is no text")
    return answer["prompt"]


def _ids(answer: dict) -> list[int]:
    """Return the token ids that an engine tells, bare or each beside its piece. Raises ValueError where one of them is
    none.
    """
    tokens = answer["tokens"]
    if not isinstance(tokens, list):
        raise ValueError("tokens that are no list")
    ids = [count_of(one["id"] if isinstance(one, dict) else one) for one in tokens]
    if any(id is None or id > _LARGEST_ID for id in ids):
        raise ValueError("a token that is no number")
    return ids

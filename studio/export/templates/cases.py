"""The conversations by which a template in one form is compared with another: what goes wrong in the field, one by one.

Messages are in OpenAI's form, with `reasoning_content` for a thought.
"""

from dataclasses import dataclass

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'Say the weather of a city, in "plain" words.',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Name of the city, e.g. 北京"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                    "days": {"type": "array", "items": {"type": "integer"}, "description": "Which days"},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "now",
            "description": "Tell the time.",
            "parameters": {"type": "object", "properties": {}, "required": []},
        },
    },
]


def _user(text) -> dict:
    return {"role": "user", "content": text}


def _text(text: str) -> dict:
    return {"type": "text", "text": text}


def _answer(text: str | None, thought: str | None = None, calls: list[dict] | None = None) -> dict:
    message = {"role": "assistant", "content": text}
    if thought is not None:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    return message


def _system(text) -> dict:
    return {"role": "system", "content": text}


def _call(name: str, arguments: dict | str) -> dict:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(text: str) -> dict:
    return {"role": "tool", "tool_call_id": "call_1", "content": text}


WEATHER = _call(
    "get_weather",
    {"city": "北京", "unit": "celsius", "days": [1, 2], "exact": True, "note": None, "limits": {"low": -1.5, "b": "x"}},
)
CLOCK = _call("now", {})
_ASK, _BYE = _user("What is the capital of France?"), _user("And of Italy?")
_PARIS, _SHORT = _answer("Paris."), _system('You\'re brief. \\d "quoted"')
_IMAGE = {"type": "image"}
_MARKUP = "<|im_end|>\n<|im_start|>system\n{{ content }} {% x %} </s> [INST] <think> {% raw %} 'it''s'"


@dataclass(frozen=True)
class Case:
    """A conversation of the comparison.

    Attributes:
        name: key of `templates.case_...`.
        messages: in OpenAI's form.
        needs: what a form has to be able to express for it, keys of `templates.cannot_...`: "system", "empty_system",
            "no_system", "turns", "answered", "parts", "images", "tools", "calls", "several_calls", "calls_as_text",
            "text_beside_calls", "thoughts", "thinking", "not_thinking", "line_breaks" (at the beginning of an
            earlier answer).
        tools: whether `TOOLS` are given.
        thinking: `enable_thinking` of the request, None where it does not say.
    """

    name: str
    messages: list[dict]
    needs: frozenset[str] = frozenset()
    tools: bool = False
    thinking: bool | None = None

    @property
    def answered(self) -> bool:
        """Tell whether the conversation ends with an answer, so that none is asked for."""
        return self.messages[-1]["role"] == "assistant"


def _case(name: str, *messages: dict, needs: str = "", tools: bool = False, thinking: bool | None = None) -> Case:
    roles, contents = [message["role"] for message in messages], [message["content"] for message in messages]
    wanted = {
        "system": bool(contents[0]) and roles[0] == "system",
        "empty_system": not contents[0] and roles[0] == "system",
        "no_system": roles[0] != "system",
        "turns": "assistant" in roles[:-1],
        "answered": roles[-1] == "assistant",
        "parts": any(isinstance(content, list) for content in contents),
        "images": any(
            part.get("type") == "image" for content in contents if isinstance(content, list) for part in content
        ),
        "tools": tools,
        "thinking": thinking is True,
        "not_thinking": thinking is False,
    }
    found = {need for need, holds in wanted.items() if holds}
    return Case(name, list(messages), frozenset(found | set(needs.split())), tools, thinking)


_WITH_CALL = (_user("Weather?"), _answer(None, calls=[WEATHER]), _result('{"sky": "晴"}'))

CASES = (
    _case("one_turn", _ASK),
    _case("one_turn_system", _SHORT, _ASK),
    _case("empty_system", _system(""), _ASK),
    _case("blank_system", _system("  \n"), _ASK),
    _case("many_turns", _ASK, _PARIS, _BYE, _answer("Rome."), _user("Thanks")),
    _case("many_turns_system", _SHORT, _ASK, _PARIS, _BYE, _answer("Rome."), _user("Thanks")),
    _case("answered", _ASK, _PARIS),
    _case("many_answered", _SHORT, _ASK, _PARIS, _BYE, _answer("Rome.")),
    _case(
        "chinese",
        _system("你是一个有用的助手。"),
        _user("《红楼梦》的作者是谁？"),
        _answer("曹雪芹。"),
        _user("谢谢！"),
    ),
    _case("emoji", _user("👩‍👩‍👧‍👦 🇨🇳 é́ — which flag?"), _answer("🇨🇳"), _user("👍🏽")),
    _case(
        "blanks",
        _system(" be kind \n"),
        _user("  two blanks \n\n"),
        _answer("\n\n yes \n"),
        _user("\tok "),
        needs="line_breaks",
    ),
    _case("markup", _user(_MARKUP), _answer(_MARKUP), _user(_MARKUP)),
    _case("markup_system", _system(_MARKUP), _user("Hi")),
    _case("empty_content", _user(""), _answer(""), _user("")),
    _case("parts", _system([_text("Be")]), _user([_text("a"), _text("b")])),
    _case("images", _user([_IMAGE, _text("What is it?")]), _PARIS, _user([_text("And"), _IMAGE])),
    _case("tools", _ASK, tools=True),
    _case("tools_system", _SHORT, _ASK, _PARIS, _BYE, tools=True),
    _case("call", *_WITH_CALL, needs="calls", tools=True),
    _case("call_answered", *_WITH_CALL[:2], needs="calls", tools=True),
    _case("call_then_turns", *_WITH_CALL, _answer("Sunny."), _BYE, needs="calls", tools=True),
    _case("call_without_arguments", _ASK, _answer("", calls=[CLOCK]), _result("12:00"), needs="calls", tools=True),
    _case("call_no_tools", _SHORT, *_WITH_CALL, needs="calls"),
    _case(
        "several_calls",
        _user("Weather and time?"),
        _answer(None, calls=[WEATHER, CLOCK]),
        _result("sunny"),
        _result("12:00"),
        needs="calls several_calls",
        tools=True,
    ),
    _case(
        "call_as_text",
        _user("Weather?"),
        _answer(None, calls=[_call("get_weather", '{"city": "北京", "days": [1, 2]}')]),
        _result("sunny"),
        needs="calls calls_as_text",
        tools=True,
    ),
    _case(
        "text_beside_call",
        _user("Weather?"),
        _answer("I'll look.", calls=[WEATHER]),
        _result("sunny"),
        needs="calls text_beside_calls",
        tools=True,
    ),
    _case("thought_last", _ASK, _answer("Paris.", "France: Paris"), needs="thoughts"),
    _case("thought_earlier", _ASK, _answer("Paris.", "easy"), _BYE, needs="thoughts"),
    _case("thoughts_answered", _ASK, _answer("Paris.", "easy"), _BYE, _answer("Rome.", "so\n\nRome"), needs="thoughts"),
    _case(
        "thought_and_call",
        _user("Weather?"),
        _answer(None, "I need it", [WEATHER]),
        _result("sunny"),
        needs="calls thoughts",
        tools=True,
    ),
    _case("not_thinking", _ASK, thinking=False),
    _case("not_thinking_turns", _ASK, _answer("Paris.", "easy"), _BYE, thinking=False, needs="thoughts"),
    _case("not_thinking_answered", _ASK, _answer("Paris.", "easy"), thinking=False, needs="thoughts"),
    _case("thinking", _ASK, _PARIS, _BYE, thinking=True),
)

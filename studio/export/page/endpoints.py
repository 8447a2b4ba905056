"""What a script, and the page, can do with exports."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.jobs import Job, sentence_text
from studio.core.sentences import Sentence
from studio.export import record
from studio.export.merge import merge_plan as plans
from studio.export.model_card import FILES as CARDS
from studio.export.page.context import ExportContext
from studio.export.page.exported import card_view, form_view
from studio.export.page.form_endpoints import chosen_sources, form_endpoints
from studio.export.page.listing.export_list import unfinished
from studio.export.page.schemas import (
    CaseResult,
    DifferenceResult,
    FileResult,
    ForgottenResult,
    JobResult,
    ListedExport,
    MergeOptions,
    MergePlanResult,
    ParityJobResult,
    ParityResult,
    PushJobResult,
    PushOptions,
    StopResult,
    VerifiedResult,
)
from studio.export.record import ExportRecord
from studio.export.template_forms.parity_record import ComparisonRecord
from studio.export.templates.form_files import FILES
from studio.inference import target_names
from studio.models.library import library


def endpoints(context: ExportContext, words: Words) -> list[Callable]:
    """Return the endpoints of exports."""
    return [*_merging(context), *_looking(context, words), *_parity(context, words), *form_endpoints(context, words)]


def _merging(context: ExportContext) -> list[Callable]:
    def export_merge(
        model: str, adapter: str | list[str] | None = None, options: MergeOptions | None = None
    ) -> JobResult:
        """Merge a run, `run@checkpoint`, or a list of them one after another, into their base, in the background; null
        writes the model anew. It is verified before it is listed.

        `model` may be "" where an adapter says it.
        """
        wanted = options or MergeOptions()
        job = context.service.merge(chosen_sources(context, model, adapter), **wanted.model_dump())
        return JobResult(job=job.id)

    def export_plan(
        model: str, adapter: str | list[str] | None = None, options: MergeOptions | None = None
    ) -> MergePlanResult:
        """Return what `export_merge` would make, and the bytes that it needs on the disk."""
        wanted = options or MergeOptions()
        plan = plans.plan(context.workspace, chosen_sources(context, model, adapter), **wanted.model_dump())
        room = plans.size(context.workspace, plan)
        return MergePlanResult(
            name=plan.name,
            base=library.title(plan.model),
            template=plan.template,
            adapters=len(plan.adapters),
            needed_bytes=room.needed,
            free_bytes=room.free,
            from_quantized=plan.from_quantized,
        )

    def export_forget(job: str) -> ForgottenResult:
        """Take an export off the list that is over and made no model."""
        context.jobs.forget(job)
        return ForgottenResult(job=job)

    def export_push(name: str, source: str, repo: str, options: PushOptions | None = None) -> PushJobResult:
        """Send a model to "modelscope" or "huggingface" as `repo` (owner/name), in the background; what is there
        already is not sent again.
        """
        wanted = options or PushOptions()
        is_private = wanted.visibility == "private"
        return PushJobResult(job=context.pushes.start(name, source, repo, wanted.token, wanted.endpoint, is_private).id)

    return [export_merge, export_plan, export_forget, export_push]


def _looking(context: ExportContext, words: Words) -> list[Callable]:
    def export_list() -> list[ListedExport]:
        """Return what is being exported, and every exported model, newest first."""
        made = [_listed(model, found, words) for model, found in record.exported(context.workspace)]
        return [*(_waiting(job, words) for job in unfinished(context)), *made]

    def export_card(name: str, language: str = "en") -> FileResult:
        """Return the model card of an exported model in "en" or "zh"."""
        if language not in CARDS:
            raise Problem("export.no_card", language=language, known=", ".join(CARDS))
        return _file(card_view.card_of(library.find(context.workspace, name), language))

    def export_template(model: str, template: str = "", form: str = "jinja") -> FileResult:
        """Return LLaMA-Factory's `template` with the tokenizer of a model, a run or a checkpoint, in one form: "jinja",
        "ollama" or "lmdeploy". "" takes its own; of an exported model that is the file beside its weights.
        """
        if form not in FILES:
            raise Problem("export.no_form", form=form, known=", ".join(FILES))
        if not template and not target_names.is_run(model):
            found = library.find(context.workspace, model)
            if record.of_model(found.path):
                return _file(form_view.form_file(found, form))
        return FileResult(name=FILES[form], text=context.templates.text(model, template, form))

    return [export_list, export_card, export_template]


def _parity(context: ExportContext, words: Words) -> list[Callable]:
    def export_parity(model: str, template: str = "", forms: list[str] | None = None) -> ParityResult:
        """Compare forms of a template ("jinja", "ollama", "lmdeploy", or "own", which the model came with) with what
        training encodes, in all kinds of conversations. null takes all that this machine can render.
        """
        found = context.templates.compare(context.templates.require(model, template, forms))
        return ParityResult(
            same=found.same,
            template=found.template,
            cases=[_case(one, words) for one in found.cases],
            stops=[StopResult(**one.model_dump()) for one in found.stops],
        )

    def export_parity_start(model: str, template: str = "", forms: list[str] | None = None) -> ParityJobResult:
        """Do what `export_parity` does in the background."""
        return ParityJobResult(job=context.templates.start(model, template, forms).id)

    return [export_parity, export_parity_start]


def _case(one: ComparisonRecord, words: Words) -> CaseResult:
    difference = one.difference
    told = None
    if difference:
        told = DifferenceResult(**difference.model_dump(), sentence=one.comparison().tell(words))
    return CaseResult(form=one.form, case=one.case, same=one.same, cannot=list(one.cannot), difference=told)


def _file(found: card_view.Card | form_view.FormFile) -> FileResult:
    if found.problem:
        raise found.problem
    return FileResult(name=found.file, text=found.text)


def _waiting(job: Job, words: Words) -> ListedExport:
    return ListedExport(
        name=Sentence(key=job.title, facts=job.facts).tell(words),
        job=job.id,
        state=job.state,
        progress=job.progress,
        sources=[str(one) for one in job.facts.get("targets") or []],
        base="",
        created=job.created,
        size_bytes=0,
        verified=None,
        problem=sentence_text(job.error, words),
    )


def _listed(model: library.Model, found: ExportRecord | Problem, words: Words) -> ListedExport:
    facts = {"name": model.name, "job": None, "progress": None, "size_bytes": model.size_bytes}
    if isinstance(found, Problem):
        nothing = {"sources": [], "base": "", "created": None, "verified": None}
        return ListedExport(state="unreadable", problem=words.tell(found), **facts, **nothing)
    return ListedExport(
        state="finished",
        sources=found.targets,
        base=found.base,
        created=found.created,
        verified=VerifiedResult(**found.verified.model_dump()) if found.verified else None,
        problem=None,
        **facts,
    )

"""What a script, and the page, can do with other forms of a model: GGUF files, quantised weights, what they cost."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.export import model_forms
from studio.export.model_forms import Cost
from studio.export.page.context import ExportContext
from studio.export.page.schemas import CostOptions, CostResult, FormResult, GgufOptions, JobResult, QuantizeOptions
from studio.inference import target_names
from studio.models.library import library

Adapter = str | list[str] | None


def chosen_sources(context: ExportContext, model: str, adapter: Adapter) -> list[str]:
    """Return what is to be merged: the adapters, or the model by itself where there are none.

    Raises:
        Problem: an adapter is gone, or belongs to another model.
    """
    adapters = [adapter] if isinstance(adapter, str) else list(adapter or [])
    adapters = [one for one in adapters if one]
    if not adapters:
        return [model] if model else []
    for one in adapters if model else ():
        (target,) = target_names.resolve(context.workspace, [one])
        if target.model.resolve() != library.find(context.workspace, model).path.resolve():
            raise Problem("merge.not_its_base", adapter=one, model=model, base=library.title(target.model))
    return adapters


def form_endpoints(context: ExportContext, words: Words) -> list[Callable]:
    """Return the endpoints of forms."""

    def export_gguf(
        model: str, adapter: str | list[str] | None = None, options: GgufOptions | None = None
    ) -> JobResult:
        """Make GGUF files of a model, or of a run, `run@checkpoint` or a list of them, which is merged first. Each is
        loaded by llama.cpp and asked before it is listed. What llama.cpp needs is fetched where it is missing.

        `model` may be "" where an adapter says it.
        """
        wanted = options or GgufOptions()
        job = context.forms.gguf(chosen_sources(context, model, adapter), **wanted.model_dump())
        return JobResult(job=job.id)

    def export_quantize(
        model: str, adapter: str | list[str] | None = None, options: QuantizeOptions | None = None
    ) -> JobResult:
        """Quantise the weights of a model, or of a run, which is merged first; they are loaded anew and asked before
        they are listed.
        """
        wanted = options or QuantizeOptions()
        job = context.forms.quantize(chosen_sources(context, model, adapter), **wanted.model_dump())
        return JobResult(job=job.id)

    def export_cost(
        model: str, adapter: str | list[str] | None = None, options: CostOptions | None = None
    ) -> JobResult:
        """Compare all forms of a model with its 16 bits: perplexity, divergence, equal first choices, tokens a second
        here. The figures are kept with the forms.
        """
        wanted = options or CostOptions()
        job = context.forms.cost(chosen_sources(context, model, adapter), wanted.dataset)
        return JobResult(job=job.id)

    def export_forms(model: str) -> list[FormResult]:
        """Return all forms of a model with what they cost; its 16 bits come first where they were measured."""
        source = library.find(context.workspace, model).name
        newest, found = model_forms.of_one_comparison(model_forms.of_source(context.workspace, source))
        forms = [
            FormResult(
                type=form.type,
                folder=folder.name,
                file=form.file,
                size_bytes=form.size,
                cost=_cost(form.cost),
                problem=form.fault.tell(words) if form.fault else None,
            )
            for folder, form in found
        ]
        if newest is None:
            return forms
        facts = {"folder": model, "file": "", "size_bytes": newest.reference_size}
        return [FormResult(type="16-bit", cost=_cost(newest.reference), **facts), *forms]

    return [export_gguf, export_quantize, export_cost, export_forms]


def _cost(cost: Cost | None) -> CostResult | None:
    return CostResult(**cost.model_dump(exclude={"measured"})) if cost else None

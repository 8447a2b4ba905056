"""What a script can ask of the catalogue and of downloads."""

from collections.abc import Callable

from studio.core.i18n import Words
from studio.core.jobs import Job, sentence_text
from studio.models.hub import catalogue
from studio.models.hub.download import Request
from studio.models.models_context import ModelsContext
from studio.models.page import schemas
from studio.web.shared_results import JobResult, StateResult


def hub_endpoints(context: ModelsContext, words: Words) -> list[Callable]:
    """Return the endpoints of getting models; what went wrong with a download is told in `words`."""
    return [*_getting(context, words), *_of_one_download(context)]


def _getting(context: ModelsContext, words: Words) -> list[Callable]:
    def models_catalogue(query: str = "", limit: int = 100) -> list[schemas.CatalogueResult]:
        """Return the models that LLaMA-Factory knows: [{name, huggingface, modelscope, template, chat, multimodal,
        params, bytes, on_disk}].
        """
        here = catalogue.on_disk(context.workspace)
        entries = catalogue.search(query, limit=limit)
        return [schemas.CatalogueResult(**vars(entry), on_disk=here.get(entry.name)) for entry in entries]

    def models_download(
        source: str, repo: str, revision: str = "", options: schemas.DownloadOptions | None = None
    ) -> JobResult:
        """Begin to download a model and return {job}. Options: include, exclude (patterns, with spaces between), token,
        endpoint, name.
        """
        options = options or schemas.DownloadOptions()
        request = Request(
            source,
            repo,
            revision or None,
            options.name.strip() or None,
            options.endpoint.strip() or None,
            include=_patterns(options.include),
            exclude=_patterns(options.exclude),
        )
        return JobResult(job=context.downloads.start(request, options.token.strip() or None).id)

    def models_downloads() -> list[schemas.DownloadResult]:
        """Return the downloads, newest first: [{job, source, repo, name, state, progress, message, error}]."""
        return [_download(job, words) for job in context.jobs.all("download")]

    return [models_catalogue, models_download, models_downloads]


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _download(job: Job, words: Words) -> schemas.DownloadResult:
    # The facts of a job stand in a file, and may be anything.
    facts = {key: None if job.facts.get(key) is None else str(job.facts[key]) for key in ("source", "repo", "name")}
    return schemas.DownloadResult(
        job=job.id,
        **facts,
        state=job.state,
        progress=job.progress,
        message=sentence_text(job.message, words),
        error=sentence_text(job.error, words),
    )


def _of_one_download(context: ModelsContext) -> list[Callable]:
    downloads, jobs = context.downloads, context.jobs

    def models_pause(job: str) -> StateResult:
        """Pause a download, keeping what arrived, and return {state}."""
        return StateResult(state=downloads.pause(job).state)

    def models_resume(job: str, token: str = "") -> StateResult:
        """Go on with a download that was paused, failed or interrupted, and return {state}."""
        return StateResult(state=downloads.resume(job, token.strip() or None).state)

    def models_cancel(job: str) -> StateResult:
        """Stop a download, remove what arrived, and return {state}."""
        return StateResult(state=downloads.cancel(job).state)

    def models_forget(job: str) -> JobResult:
        """Take a download or import that is over off the list, with what arrived of an unfinished one, and return
        {job}.
        """
        if jobs.find(job).kind == "download" and jobs.find(job).state != "finished":
            downloads.cancel(job)
        jobs.forget(job)
        return JobResult(job=job)

    return [models_pause, models_resume, models_cancel, models_forget]

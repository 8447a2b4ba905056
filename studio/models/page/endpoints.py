"""What a script can ask of the models."""

from collections.abc import Callable
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem, Words
from studio.core.jobs import told
from studio.models.chat_template_match import template_match
from studio.models.gguf import gguf_import
from studio.models.hub import catalogue
from studio.models.hub.download import Request
from studio.models.library import inspection, library, manage, model_config, model_folders
from studio.models.library.library import Model
from studio.models.memory import fit
from studio.models.models_context import ModelsContext
from studio.models.page.disk.own_code import read_text
from studio.models.weights import completeness


def endpoints(context: ModelsContext, words: Words) -> list[Callable]:
    """Return the endpoints of this room; problems inside their results are told in `words`."""
    return [*_reading(context, words), *_changing(context), *_of_downloads(context, words)]


def _reading(context: ModelsContext, words: Words) -> list[Callable]:
    workspace = context.workspace

    def models_list() -> list:
        """Return the models on disk: [{name, folder, params, dtype, template, size_bytes, architecture, quantization,
        context, licence, ...}].
        """
        found = completeness.checked(library.models(workspace))
        chosen = template_match.of_all([(model.path, model.name, model.model_type) for model in found])
        return [_as_json(model, template, words) for model, template in zip(found, chosen, strict=True)]

    def models_inspect(name: str) -> dict:
        """Return {config, params, dtype, context, template, memory, ...} of a model; memory is [{method, bits, bytes,
        fits, ...}].
        """
        model = completeness.checked([library.find(workspace, name)])[0]
        seen, choice = inspection.inspect(model), template_match.of(model.path, model.name, model.model_type)
        return _as_json(model, choice.template, words) | {
            "config": model_config.read(model.path)[0],
            "generation": seen.generation,
            "special_tokens": seen.special,
            "template_reason": words(f"models.template_{choice.reason}", **choice.facts),
            "chat": choice.chat,
            "template_problem": words.tell(choice.fault) if choice.fault else None,
            "template_differences": [vars(one) for one in choice.differences],
            "chat_template": seen.template.source if seen.template else None,
            "layers": [
                {
                    "name": one.name,
                    "numbers": list(one.numbers),
                    "params": one.params,
                    "bytes": one.bytes,
                    "tensors": [vars(tensor) for tensor in one.tensors],
                }
                for one in seen.layers
            ],
            **_memory(context, model, words),
        }

    def models_code(name: str) -> dict:
        """Return {digest, files: [{file, sha256, text}], trusted, problem} of the code that a model brings; nothing of
        it runs.
        """
        model = library.find(workspace, name)
        code = trust.code_of(model.path)
        return {
            "digest": code.digest,
            "trusted": trust.allows(model.path),
            "problem": words.tell(code.fault) if code.fault else None,
            "files": [
                {"file": file, "sha256": one, "text": _code_text(model.path / file, words)}
                for file, one in code.files.items()
            ],
        }

    return [models_list, models_inspect, models_code]


def _changing(context: ModelsContext) -> list[Callable]:
    workspace = context.workspace

    def models_rename(name: str, new: str) -> dict:
        """Give a model a new name and return {name, folder}."""
        model = manage.rename(workspace, name, new, context.guard, context.runs_on(library.find(workspace, name)))
        return {"name": model.name, "folder": str(model.path)}

    def models_delete(name: str) -> dict:
        """Move a model into the trash and return {freed_bytes}, which come free when that is emptied."""
        return {"freed_bytes": manage.delete(workspace, name, context.guard)}

    def models_import(file: str, name: str = "") -> dict:
        """Begin to import a GGUF file as a model and return {job}; the job's result is {name, folder}."""
        return {"job": gguf_import.start(workspace, context.jobs, file, name).id}

    def models_add_folder(folder: str) -> dict:
        """Look for models in one more folder, and return {folders}."""
        model_folders.add(workspace, folder)
        return {"folders": [str(one) for one in model_folders.folders(workspace)]}

    def models_remove_folder(folder: str) -> dict:
        """Look no more for models in a folder, and return {folders}; nothing in it is touched."""
        model_folders.remove(workspace, folder)
        return {"folders": [str(one) for one in model_folders.folders(workspace)]}

    def models_trust(name: str, allowed: bool, digest: str = "") -> dict:
        """Allow the code of a model to run (`trust_remote_code`), or forbid it again, and return {trusted}.

        To allow it, `digest` names the files that the person read, as `models_code` or the page gave it.
        """
        model = library.find(workspace, name)
        if allowed:
            trust.grant(model.path, digest, model.name)
        else:
            trust.revoke(model.path)
        return {"trusted": trust.allows(model.path)}

    return [models_rename, models_delete, models_import, models_add_folder, models_remove_folder, models_trust]


def _of_downloads(context: ModelsContext, words: Words) -> list[Callable]:
    downloads = context.downloads

    def models_catalogue(query: str = "", limit: int = 100) -> list:
        """Return the models that LLaMA-Factory knows: [{name, huggingface, modelscope, template, chat, multimodal,
        params, bytes, on_disk}].
        """
        here = catalogue.on_disk(context.workspace)
        return [vars(entry) | {"on_disk": here.get(entry.name)} for entry in catalogue.search(query, limit=limit)]

    def models_download(source: str, repo: str, revision: str = "", options: dict | None = None) -> dict:
        """Begin to download a model and return {job}. Options: include, exclude (patterns, with spaces between), token,
        endpoint, name.
        """
        said = {key: str(value).strip() for key, value in (options or {}).items()}
        if unknown := set(said) - {"include", "exclude", "token", "endpoint", "name"}:
            raise Problem("models.bad_option", options=", ".join(sorted(unknown)))
        patterns = {key: tuple(said.get(key, "").replace(",", " ").split()) for key in ("include", "exclude")}
        request = Request(
            source, repo, revision or None, said.get("name") or None, said.get("endpoint") or None, **patterns
        )
        return {"job": downloads.start(request, said.get("token") or None).id}

    def models_downloads() -> list:
        """Return the downloads, newest first: [{job, source, repo, name, state, progress, message, error}]."""
        return [
            {
                "job": job.id,
                "source": job.facts.get("source"),
                "repo": job.facts.get("repo"),
                "name": job.facts.get("name"),
                "state": job.state,
                "progress": job.progress,
                "message": told(job.message, words),
                "error": told(job.error, words),
            }
            for job in context.jobs.all("download")
        ]

    def models_pause(job: str) -> dict:
        """Pause a download, keeping what arrived, and return {state}."""
        return {"state": downloads.pause(job).state}

    def models_resume(job: str, token: str = "") -> dict:
        """Go on with a download that was paused, failed or interrupted, and return {state}."""
        return {"state": downloads.resume(job, token.strip() or None).state}

    def models_cancel(job: str) -> dict:
        """Stop a download, remove what arrived, and return {state}."""
        return {"state": downloads.cancel(job).state}

    def models_forget(job: str) -> dict:
        """Take a download or import that is over off the list, with what arrived of an unfinished one, and return
        {job}.
        """
        if context.jobs.find(job).kind == "download" and context.jobs.find(job).state != "finished":
            downloads.cancel(job)
        context.jobs.forget(job)
        return {"job": job}

    return [
        models_catalogue,
        models_download,
        models_downloads,
        models_pause,
        models_resume,
        models_cancel,
        models_forget,
    ]


def _code_text(file: Path, words: Words) -> str:
    content = read_text(file)
    if content.problem:
        return words.tell(content.problem)
    return content.text + "\n" + words("models.code_cut", file=file) if content.is_cut else content.text


def _as_json(model: Model, template: str | None, words: Words) -> dict:
    return {
        "name": model.name,
        "folder": str(model.path),
        "params": model.params,
        "dtype": model.dtype,
        "template": template,
        "size_bytes": model.size_bytes,
        "architecture": model.architecture,
        "quantization": str(model.quantization or "") or None,
        "context": model.context,
        "licence": model.licence,
        "faults": [words.tell(one) for one in model.faults],
        "warnings": [words.tell(one) for one in model.warnings],
    }


def _memory(context: ModelsContext, model: Model, words: Words) -> dict:
    """Return {memory, memory_problem}: the table, or why none can be made."""
    device, size = context.memory()
    try:
        return {
            "memory": [] if model.faults else fit.table(model.path, size, fit.Plan(device=device)),
            "memory_problem": None,
        }
    except Problem as problem:
        return {"memory": [], "memory_problem": words.tell(problem)}

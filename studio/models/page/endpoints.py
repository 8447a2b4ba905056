"""What a script can ask of the models."""

from collections.abc import Callable

from studio.core import trust
from studio.core.i18n import Words
from studio.models.chat_template_match import template_match
from studio.models.gguf import gguf_import
from studio.models.library import library, manage, model_folders
from studio.models.models_context import ModelsContext
from studio.models.page import model_results, schemas
from studio.models.page.hub_endpoints import hub_endpoints
from studio.models.weights import completeness
from studio.web.shared_results import JobResult


def endpoints(context: ModelsContext, words: Words) -> list[Callable]:
    """Return the endpoints of this room; problems inside their results are told in `words`."""
    return [*_reading(context, words), *_changing(context), *hub_endpoints(context, words)]


def _reading(context: ModelsContext, words: Words) -> list[Callable]:
    workspace = context.workspace

    def models_list() -> list[schemas.ModelResult]:
        """Return the models on disk: [{name, folder, params, dtype, template, size_bytes, architecture, quantization,
        context, licence, ...}].
        """
        models = completeness.checked(library.models(workspace))
        templates = template_match.of_all([(model.path, model.name, model.model_type) for model in models])
        return [model_results.model(one, template, words) for one, template in zip(models, templates, strict=True)]

    def models_inspect(name: str) -> schemas.InspectResult:
        """Return {config, params, dtype, context, template, memory, ...} of a model; memory is [{method, bits, bytes,
        fits, ...}].
        """
        model = completeness.find(workspace, name)
        return model_results.inspected(model, context, words)

    def models_code(name: str) -> schemas.CodeResult:
        """Return {digest, files: [{file, sha256, text}], trusted, problem} of the code that a model brings; nothing of
        it runs.
        """
        return model_results.code(library.find(workspace, name).path, words)

    return [models_list, models_inspect, models_code]


def _changing(context: ModelsContext) -> list[Callable]:
    workspace = context.workspace

    def models_rename(name: str, new: str) -> schemas.RenameResult:
        """Give a model a new name and return {name, folder}."""
        users = context.users_of(library.find(workspace, name))
        model = manage.rename(workspace, context.jobs, name, new, context.guard, users)
        return schemas.RenameResult(name=model.name, folder=str(model.path))

    def models_delete(name: str) -> schemas.DeleteResult:
        """Move a model into the trash and return {freed_bytes}, which come free when that is emptied."""
        return schemas.DeleteResult(freed_bytes=manage.delete(workspace, context.jobs, name, context.guard))

    def models_import(file: str, name: str = "") -> JobResult:
        """Begin to import a GGUF file as a model and return {job}; the job's result is {name, folder}."""
        return JobResult(job=gguf_import.start(workspace, context.jobs, file, name).id)

    def models_add_folder(folder: str) -> schemas.FoldersResult:
        """Look for models in one more folder, and return {folders}."""
        model_folders.add(workspace, folder)
        return schemas.FoldersResult(folders=[str(one) for one in model_folders.folders(workspace)])

    def models_remove_folder(folder: str) -> schemas.FoldersResult:
        """Look no more for models in a folder, and return {folders}; nothing in it is touched."""
        model_folders.remove(workspace, folder)
        return schemas.FoldersResult(folders=[str(one) for one in model_folders.folders(workspace)])

    def models_trust(name: str, allowed: bool, digest: str = "") -> schemas.TrustResult:
        """Allow the code of a model to run (`trust_remote_code`), or forbid it again, and return {trusted}.

        To allow it, `digest` names the files that the person read, as `models_code` or the page gave it.
        """
        model = library.find(workspace, name)
        if allowed:
            trust.grant(model.path, digest, model.name)
        else:
            trust.revoke(model.path)
        return schemas.TrustResult(trusted=trust.allows(model.path))

    return [models_rename, models_delete, models_import, models_add_folder, models_remove_folder, models_trust]

"""What a script can do with serving."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.deploy import served_source
from studio.deploy.deploy_service import DeployService
from studio.deploy.page.ollama_endpoints import ollama_endpoints
from studio.deploy.page.schemas import (
    AdaptersResult,
    DeletedDeploymentResult,
    DeploymentNameResult,
    DeploymentResult,
    DeployOptions,
    DeployPreviewResult,
    EngineResult,
    EngineStateResult,
    LoadResult,
    LogTextResult,
    ParityResult,
    PreparationResult,
    TargetResult,
)
from studio.deploy.supervision.deployment import Deployment, address
from studio.inference import target_names


def endpoints(service: DeployService, words: Words) -> list[Callable]:
    """Return the endpoints of serving."""
    return [*_looking(service, words), *_changing(service), *ollama_endpoints(service)]


def _looking(service: DeployService, words: Words) -> list[Callable]:
    def deploy_engines() -> list[EngineResult]:
        """Return the serving engines, and which of them can be started on this machine."""
        found = []
        for one in service.engines.values():
            why = one.missing()
            told = words.tell(why) if why else None
            found.append(
                EngineResult(name=one.name, title=one.title, ready=why is None, why=told, fields=sorted(one.fields))
            )
        return found

    def deploy_targets() -> list[TargetResult]:
        """Return what can be served: the models and runs of Chat, and GGUF files."""
        names = target_names.names(service.workspace)
        found = [TargetResult(target=one, kind="run" if target_names.is_run(one) else "model") for one in names]
        return found + [TargetResult(target=one, kind="gguf") for one in served_source.gguf_files(service.workspace)]

    def deploy_preview(engine: str, target: str, options: DeployOptions | None = None) -> DeployPreviewResult:
        """Return the command that would be run, with the files that it names; nothing is started."""
        settings = options or DeployOptions()
        made = service.preview(engine, target, settings, settings.key)
        problem = words.tell(made.problem) if made.problem else None
        return DeployPreviewResult(
            command=made.command, cluster=list(made.cluster), files=made.files, address=made.address, problem=problem
        )

    def deploy_list() -> list[DeploymentResult]:
        """Return every deployment, newest first."""
        return [_listed(service, one, words) for one in service.deployments.all()]

    def deploy_log(name: str) -> LogTextResult:
        """Return the end of what an engine printed since it was started."""
        return LogTextResult(text=service.deployments.find(name).log())

    return [deploy_engines, deploy_targets, deploy_preview, deploy_list, deploy_log]


def _changing(service: DeployService) -> list[Callable]:
    def deploy_start(engine: str, target: str, options: DeployOptions | None = None) -> DeploymentNameResult:
        """Start an engine with a model (as Chat names it) or a GGUF file, in the background.

        When it is ready it is a column in Chat and a target of Evaluate.
        """
        settings = options or DeployOptions()
        return DeploymentNameResult(name=service.start(engine, target, settings, settings.key).name)

    def deploy_again(name: str, changes: DeployOptions | None = None) -> DeploymentNameResult:
        """Start an engine that has ended once more, as it was asked for but for the settings that are given."""
        changed = changes.model_dump(exclude_unset=True) if changes else {}
        return DeploymentNameResult(name=service.again(name, changed).name)

    def deploy_prepare(engine: str) -> PreparationResult:
        """Bring an engine that is not on this machine yet, in the background: its programs, or its environment."""
        return PreparationResult(job=service.prepare(engine).id)

    def deploy_stop(name: str) -> EngineStateResult:
        """End an engine with all its processes, in the background."""
        return EngineStateResult(state=service.stop(name).state)

    def deploy_adapter(name: str, adapter: str, on: bool) -> AdaptersResult:
        """Switch a LoRA adapter of a running engine on or off (llama.cpp, vLLM), also for its next start."""
        return AdaptersResult(on=service.switch_adapter(name, adapter, on))

    def deploy_delete(name: str) -> DeletedDeploymentResult:
        """End an engine and move its deployment into the trash; its key is forgotten."""
        return DeletedDeploymentResult(item=service.delete(name))

    return [deploy_prepare, deploy_start, deploy_again, deploy_stop, deploy_adapter, deploy_delete]


def _listed(service: DeployService, deployment: Deployment, words: Words) -> DeploymentResult:
    nothing = dict.fromkeys(("column", "doing", "error", "parity", "since", "ready_s", "memory_bytes", "busy"))
    nothing |= {"adapters": {}}
    try:
        request, state = deployment.request(), deployment.state()
        asked_as = service.column(deployment.name, request, state) if state.state == "ready" else None
    except Problem as problem:
        texts = {"engine": "", "target": "", "state": "failed", "address": "", "model": ""}
        return DeploymentResult(name=deployment.name, **texts, **nothing | {"error": words.tell(problem)})
    parity = state.parity
    return DeploymentResult(
        name=deployment.name,
        engine=request.engine,
        target=request.target,
        state=state.state,
        address=address(request, state),
        model=deployment.name,
        column=asked_as,
        doing=state.doing.tell(words) if state.doing else None,
        error=state.error.tell(words) if state.error else None,
        parity=ParityResult(**parity.model_dump(include=set(ParityResult.model_fields))) if parity else None,
        since=state.since,
        busy=LoadResult(**state.load.model_dump()) if state.load and state.state == "ready" else None,
        adapters=service.adapters_of(request),
        ready_s=state.ready_s,
        memory_bytes=deployment.memory_bytes(),
    )

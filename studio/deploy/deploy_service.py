"""What the page and the API ask of serving: start, stop, list, and what a running engine is good for elsewhere."""

import contextlib
import re
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.storage import files, read_only, records
from studio.core.workspace import Workspace, safe_name
from studio.deploy import prompt_check, served_source
from studio.deploy.deploy_settings import DeploySettings, require_key
from studio.deploy.engines import engine_catalogue
from studio.deploy.engines.engine import Engine, Order, SwitchesAdapters
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.deploy.engines.vllm import Vllm
from studio.deploy.ollama.ollama_client import OllamaClient
from studio.deploy.ollama.pulls import OllamaPulls
from studio.deploy.served_source import Source
from studio.deploy.supervision import ports
from studio.deploy.supervision.deployment import (
    ACTIVE,
    HIDDEN,
    Deployment,
    Deployments,
    EngineState,
    Parity,
    Request,
    address,
    new_state,
)
from studio.deploy.supervision.engine_follower import EngineFollower, Hooks
from studio.inference import target_names
from studio.inference.inference_service import InferenceService
from studio.inference.llama_cpp.toolkit import Toolkit

HOLDER = "deploy:"  # begins the name of an engine among the holders of the device
WEIGHTS_GROW = 1.15  # an engine takes this many times its weights at the least
JOIN_S = 45.0


@dataclass(frozen=True)
class Preview:
    """What would be started: the command as it can be pasted, the texts of its files by their names, what is in the
    way, and the address. cluster: with several machines, the commands before it for the first and each other.
    """

    command: str
    files: dict[str, str]
    problem: Problem | None
    address: str
    cluster: tuple[str, ...] = ()


class DeployService:
    """All deployments of a workspace. Those that an earlier studio started are found and looked after again."""

    def __init__(
        self,
        workspace: Workspace,
        device: DeviceLease,
        inference: InferenceService,
        toolkit: Toolkit,
        environments: EngineEnvironments,
        jobs: Jobs,
    ):
        """Begin, and look after the engines that an earlier studio started.

        Args:
            toolkit: that has llama.cpp's programs. environments: that have vLLM's and LMDeploy's.
        """
        self.engines = engine_catalogue.engines(toolkit, environments)
        self.toolkit, self.environments = toolkit, environments
        self.pulls = OllamaPulls(jobs, self.ollama)
        self.workspace, self.inference, self._device = workspace, inference, device
        self.deployments = Deployments(workspace)
        self._followers: dict[str, EngineFollower] = {}
        self._lock = threading.RLock()
        self._hooks = Hooks(self._order, self._is_ready, self._judge, self._has_ended)
        jobs.guard(self._require_unserved)
        if read_only.why() is None:
            self._find_again()

    def engine(self, name: str) -> Engine:
        """Return the engine of that name. Raises Problem where there is none."""
        if name not in self.engines:
            raise Problem("deploy.no_engine", name=name, known=", ".join(self.engines))
        return self.engines[name]

    def can_prepare(self, name: str) -> bool:
        """Tell whether an engine that is missing can be brought by a job."""
        missing = self.engine(name).missing()
        return missing is not None and missing.key in ("llama_cpp.missing", "deploy.no_environment")

    def prepare(self, name: str) -> Job:
        """Begin to bring an engine that is missing, and return the job. Raises Problem where there is nothing to be
        brought.
        """
        if not self.can_prepare(name):
            raise self.engine(name).missing() or Problem("deploy.no_such_environment", name=name)
        return self.toolkit.make() if name == "llama.cpp" else self.environments.make(name)

    def preparing(self, name: str) -> Job | None:
        """Return the newest job that brings an engine, None where there was none."""
        return self.toolkit.job() if name == "llama.cpp" else self.environments.job(name)

    def server_name(self, request: Request, state: EngineState) -> str:
        """Return what a deployment is called among the servers of Chat. Raises Problem for an unknown engine."""
        return f"{self.engine(request.engine).title} :{state.port}"

    def column(self, name: str, request: Request, state: EngineState) -> str:
        """Return the name of its model as Chat and Evaluate ask for it. Raises Problem as `server_name` does."""
        return f"{target_names.SERVED}{self.server_name(request, state)}/{name}"

    def start(self, engine: str, target: str, settings: DeploySettings, key: str = "") -> Deployment:
        """Start an engine and return its deployment; an ended one of the same name is replaced.

        Args:
            engine: its name.
            target: what it serves, as Chat names it, or a GGUF file.
            settings: how.
            key: that it asks for, "" for none.

        Raises:
            Problem: the engine is not on this machine or cannot serve that, the port is taken, the memory is, or the
                name belongs to an engine at work.
        """
        with self._lock:
            source = self._checked(engine, target, settings, key)
            name = self._name(settings.name, target)
            port = self._port(settings, name)
            self._device.acquire(HOLDER + name, int(source.bytes * WEIGHTS_GROW))
            try:
                deployment = self.deployments.create(name)
                kept = settings.model_copy(update={"name": name, "port": port})
                deployment.write_key(key)
                deployment.write_request(Request(engine=engine, target=target, settings=kept, created=time.time()))
                deployment.write_state(new_state(port))
            except Problem:
                self._device.release(HOLDER + name)
                raise
            self._follow(deployment)
            return deployment

    def again(self, name: str, changes: dict[str, object] | None = None) -> Deployment:
        """Start an ended deployment again, with its settings and these changes. Raises Problem as `start` does."""
        deployment, changes = self.deployments.find(name), dict(changes or {})
        request, key = deployment.request(), str(changes.pop("key", deployment.key()))
        changed = {**request.settings.model_dump(), **changes, "name": name}
        settings = records.typed(changed, DeploySettings, name)
        return self.start(request.engine, request.target, settings, key)

    def switch_adapter(self, name: str, adapter: str, on: bool) -> list[str]:
        """Switch a LoRA adapter of a running engine on or off, also for its next start; return those that are on.

        Raises:
            Problem: it is not ready, has no such adapter, or does not switch any while it runs.
        """
        with self._lock:
            deployment = self.deployments.find(name)
            request, engine = deployment.request(), self.engine(deployment.request().engine)
            if deployment.state().state != "ready":
                raise Problem("deploy.not_ready", name=name)
            if adapter not in request.settings.adapters:
                raise Problem(
                    "deploy.no_such_adapter", name=name, adapter=adapter, known=", ".join(request.settings.adapters)
                )
            if not isinstance(engine, SwitchesAdapters):
                raise Problem("deploy.switches_none", engine=engine.title)
            order = self._order(deployment)
            before = engine.active(request.settings)
            wanted = [one for one in order.adapters if (on if one == adapter else one in before)]
            engine.switch(order, wanted)
            settings = request.settings.model_copy(update={"adapters_on": wanted})
            deployment.write_request(request.model_copy(update={"settings": settings}))
            self._is_ready(deployment, deployment.state())  # vLLM's have names of their own
            return wanted

    def adapters_of(self, request: Request) -> dict[str, bool]:
        """Return the adapters of a deployment, and whether each is on. Raises Problem for an unknown engine."""
        engine, settings = self.engine(request.engine), request.settings
        if not isinstance(engine, SwitchesAdapters):
            return {}
        on = engine.active(settings)
        return {name: name in on for name in settings.adapters}

    def preview(self, engine: str, target: str, settings: DeploySettings, key: str = "") -> Preview:
        """Return what would be started; nothing is, and no file is written. Raises Problem where the engine or what it
        serves is not known, or a chat template cannot be made.
        """
        chosen, problem = self.engine(engine), None
        try:
            self._checked(engine, target, settings, key)
        except Problem as found:
            problem = found
        source = served_source.find(self.workspace, target, settings.prompt_of, settings.bits)
        if chosen.refuses(source, settings):
            return Preview("", {}, problem, "")
        name = settings.name or free_name(target, ())
        port = settings.port or ports.ENGINES[0]
        folder = self.deployments.folder / name
        order = Order(name, source, settings, folder, port, key, self._adapters(settings))
        launch = chosen.launch(order)
        variables = [f"{one}={shlex.quote(value)}" for one, value in launch.environment.items()]
        variables += [f"{one}={HIDDEN}" for one, value in launch.secrets.items() if value]
        command = " ".join([*variables, shlex.join(launch.command)])
        texts = {str(path): text for path, text in launch.files.items()}
        address = f"http://{ports.place(ports.near(settings.host), port)}/v1"
        cluster = chosen.cluster(settings) if isinstance(chosen, Vllm) else ()
        return Preview(command, texts, problem, address, cluster)

    def stop(self, name: str) -> EngineState:
        """End an engine, in order where it can, and return its state at once. Raises Problem where there is none."""
        deployment = self.deployments.find(name)
        with self._lock:
            follower = self._followers.get(name)
        if follower:
            follower.stop()
        return deployment.state()

    def delete(self, name: str) -> str:
        """End an engine, move its deployment into the trash, and return the item's id there. Raises Problem."""
        self.stop(name)
        self.wait(name, JOIN_S)
        with self._lock:
            if name in self._followers:
                raise Problem("deploy.still_ending", name=name)
            return self.deployments.delete(name)

    def wait(self, name: str, seconds: float) -> bool:
        """Wait until nobody looks after an engine any more, because it has ended; tell whether that is so."""
        with self._lock:
            follower = self._followers.get(name)
        return follower is None or follower.join(seconds)

    def interrupt(self, seconds: float = JOIN_S) -> None:
        """End all engines: for a studio that is the first process of a container, which ends with it."""
        with self._lock:
            followers = list(self._followers.values())
        for follower in followers:
            follower.stop()
        deadline = time.monotonic() + seconds
        for follower in followers:
            follower.join(max(0.0, deadline - time.monotonic()))

    def active(self) -> list[Deployment]:
        """Return the deployments whose engines are looked after."""
        with self._lock:
            return [follower.deployment for follower in self._followers.values()]

    def ollama(self, name: str) -> OllamaClient:
        """Return the API of a deployment that is an Ollama. Raises Problem where it is none, or not ready."""
        deployment = self.deployments.find(name)
        request, state = deployment.request(), deployment.state()
        if request.engine != "ollama" or state.state != "ready":
            raise Problem("deploy.no_running_ollama", name=name)
        return OllamaClient(address(request, state).removesuffix("/v1"))

    def memory_of(self, name: str) -> int | None:
        """Return the bytes in memory of an engine by its name, None where they are not known."""
        try:
            return self.deployments.find(name).memory_bytes()
        except Problem:
            return None

    def state_of(self, name: str) -> str:
        """Return the state of an engine by its name, "busy" where it is ready and at work, "" where it is not known."""
        try:
            state = self.deployments.find(name).state()
        except Problem:
            return ""
        return "busy" if state.state == "ready" and state.load else state.state

    def _checked(self, engine: str, target: str, settings: DeploySettings, key: str) -> Source:
        """Return what is to be served. Raises Problem where it cannot be."""
        chosen = self.engine(engine)
        source = served_source.find(self.workspace, target, settings.prompt_of, settings.bits)
        if problem := chosen.missing() or chosen.refuses(source, settings):
            raise problem
        if not re.fullmatch(r"[!-~]{0,200}", key):
            raise Problem("served.odd_key")
        if key and not chosen.has_keys:
            raise Problem("deploy.no_keys", engine=chosen.title)
        require_key(settings.host, key)
        if settings.nodes > 1:
            raise Problem("deploy.several_machines")
        self._adapters(settings)
        if settings.name:
            safe_name(settings.name)
        return source

    def _adapters(self, settings: DeploySettings) -> dict[str, Path]:
        """Return the folders of the adapters by their names. Raises Problem where one is none."""
        found = {}
        for name, run in settings.adapters.items():
            adapter = target_names.resolve(self.workspace, [run])[0].adapter
            if adapter is None:
                raise Problem("deploy.no_adapter", name=run)
            found[safe_name(name)] = adapter
        return found

    def _name(self, wanted: str, target: str) -> str:
        taken = {one.name for one in self.active()}
        if wanted:
            if wanted in taken:
                raise Problem("deploy.name_taken", name=wanted)
            return safe_name(wanted)
        return free_name(target, {one.name for one in self.deployments.all()})

    def _port(self, settings: DeploySettings, name: str) -> int:
        if settings.port:
            if problem := ports.fault(settings.host, settings.port):
                raise problem
            return settings.port
        taken = []
        for one in self.deployments.all():
            with contextlib.suppress(Problem):  # a record that cannot be read keeps no port
                taken += [one.state().port] if one.name != name else []
        if port := ports.free_port(settings.host, taken=taken):
            return port
        raise Problem("deploy.no_port", first=ports.ENGINES[0], last=ports.ENGINES[-1])

    def _order(self, deployment: Deployment) -> Order:
        request = deployment.request()
        settings = request.settings
        source = served_source.find(self.workspace, request.target, settings.prompt_of, settings.bits)
        adapters = self._adapters(settings)
        return Order(deployment.name, source, settings, deployment.folder, settings.port, deployment.key(), adapters)

    def _require_unserved(self, path: Path) -> None:
        """Raise Problem where an engine at work serves a place: a model, or a run."""
        for deployment in self.active():
            if any(files.overlap(one, path) for one in self._reads(deployment)):
                raise Problem("models.used_by_engine", name=path.name, deployment=deployment.name)

    def _reads(self, deployment: Deployment) -> list[Path]:
        with contextlib.suppress(Problem):  # its record is gone, and nobody can say what it serves
            request = deployment.request()
            return served_source.places(self.workspace, request.target, request.settings)
        return []

    def _follow(self, deployment: Deployment) -> None:
        request = deployment.request()
        follower = EngineFollower(deployment, self.engine(request.engine), request.settings, self._hooks)
        self._followers[deployment.name] = follower
        follower.begin()

    def _find_again(self) -> None:
        """Look after the engines that an earlier studio started; a record that cannot be read is told in the list."""
        for deployment in self.deployments.all():
            with contextlib.suppress(Problem), self._lock:
                if deployment.state().state in ACTIVE:
                    self.engine(deployment.request().engine)
                    self._device.acquire(HOLDER + deployment.name, 0)
                    self._follow(deployment)

    def _is_ready(self, deployment: Deployment, state: EngineState) -> None:
        """Make a ready engine a server that Chat and Evaluate can ask."""
        request = deployment.request()
        added = self.inference.servers.add(
            address(request, state), deployment.key(), name=self.server_name(request, state)
        )
        self.inference.model_lists.set(added.name, added.models)

    def _judge(self, deployment: Deployment, state: EngineState) -> Parity:
        request = deployment.request()
        source = served_source.find(self.workspace, request.target, request.settings.prompt_of)
        return prompt_check.check(source, address(request, state), deployment.name, request.engine == "ollama")

    def _has_ended(self, deployment: Deployment, tell: Callable[[], None]) -> None:
        with contextlib.suppress(Problem):  # it never was one, or its record is gone
            request, state = deployment.request(), deployment.state()
            name = self.server_name(request, state)
            if any(one.name == name and one.url == address(request, state) for one in self.inference.servers.list()):
                self.inference.servers.remove(name)
        with self._lock:  # last, and told in it: who reads of the end finds nothing left, and may start it again
            self._followers.pop(deployment.name, None)
            self._device.release(HOLDER + deployment.name)
            tell()


def free_name(target: str, taken: set[str] | tuple[str, ...]) -> str:
    """Return a name for what is served that no deployment has."""
    short = Path(target_names.short(target)).name.removesuffix(served_source.GGUF)
    stem = re.sub(r"[^\w.+-]+", "-", short).strip("-.+")[:60] or "model"
    return next(name for n in range(1, 10_000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)

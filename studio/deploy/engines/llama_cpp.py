"""llama.cpp's server: GGUF files, on every machine, with the chat template of training handed over."""

import os
from collections.abc import Collection
from functools import partial

from studio.core.i18n import Problem
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines import llama_cpp_adapters, trained_template
from studio.deploy.engines.engine import QUIET, Check, Launch, Order, Report, Sign
from studio.deploy.engines.log_faults import DISK_FULL, PORT_TAKEN
from studio.deploy.served_source import Source
from studio.inference.llama_cpp.toolkit import MEGABYTES, Toolkit

# Each kind of graphics has its own way to say which cards are seen.
_DEVICES = ("CUDA_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


class LlamaCpp:
    """`llama-server`, the one on the PATH or that of the packages."""

    name = "llama.cpp"
    title = "llama.cpp"
    fields = frozenset({"context", "parallel", "gpu_layers", "devices", "prompt_of", "adapters"})
    alive = "/health"
    has_keys = True
    tells_broken = False  # 503 means that it loads
    patience_s = 5.0
    faults = (
        PORT_TAKEN,
        Sign(
            r"failed to open GGUF file|failed to read magic|invalid magic|tensor .* data is not within the file bounds",
            "deploy.fault_gguf",
        ),
        Sign(r"unknown model architecture: '(?P<name>[^']*)'", "deploy.fault_architecture"),
        Sign(
            r"the supplied chat template is not supported|Parser Error|Failed to parse (?:chat )?template",
            "deploy.fault_jinja",
        ),
        Sign(
            r"LoRA tensor '(?P<name>[^']*)' (?:does not exist in base model|has incorrect shape)",
            "deploy.fault_adapter",
        ),
        Sign(r"out of memory|ErrorOutOfDeviceMemory|failed to allocate|unable to allocate", "deploy.fault_memory"),
        Sign(r"invalid argument: (?P<name>\S+)", "deploy.fault_flag"),
        DISK_FULL,
        Sign(r"error loading model: (?P<reason>[^\n]+)", "deploy.fault_said"),
    )
    phases = (
        Sign(r"loading model|load_tensors", "deploy.doing_weights"),
        Sign(r"llama_context:|warming up", "deploy.doing_warming"),
        Sign(r"server is listening|HTTP server listening", "deploy.doing_listening"),
    )

    def __init__(self, toolkit: Toolkit):
        self._toolkit = toolkit

    def missing(self) -> Problem | None:
        """Return that its programs were not made yet, or that there are none for this machine."""
        try:
            self._toolkit.server(own_first=True)
        except Problem as problem:
            return problem
        return None

    def refuses(self, source: Source, settings: DeploySettings) -> Problem | None:
        """Return why it cannot serve this: anything but a GGUF file; adapters where nothing here writes GGUF files."""
        if not source.gguf:
            return Problem("deploy.only_gguf", engine=self.title)
        if settings.adapters and not self._toolkit.is_ready():
            return Problem("llama_cpp.missing", megabytes=MEGABYTES)
        return None

    def arrange(self, order: Order, report: Report, check: Check) -> None:
        """Apply the adapters that are on: it starts with none applied."""
        if order.adapters:
            self.switch(order, self.active(order.settings))

    def active(self, settings: DeploySettings) -> list[str]:
        """Return the adapters that are applied after the start."""
        return llama_cpp_adapters.active(settings)

    def switch(self, order: Order, on: Collection[str]) -> None:
        """Apply these adapters, and no others. Raises Problem where the server does not do so."""
        llama_cpp_adapters.switch(order, on)

    def launch(self, order: Order) -> Launch:
        """Return how it is started. Raises Problem where the program or the chat template cannot be had."""
        program, settings = self._toolkit.server(own_first=True), order.settings
        command = [*program.command, "-m", str(order.source.gguf), "--host", settings.host, "--port", str(order.port)]
        command += ["--alias", order.name, "--no-webui", "--offline", "--metrics", "--jinja"]
        files = {}
        if order.source.target:
            path = order.folder / trained_template.JINJA
            files[path] = trained_template.jinja_text(order.source)
            command += ["--chat-template-file", str(path)]
        if order.adapters:  # of several flags it takes the last alone
            files_of_all = ",".join(str(llama_cpp_adapters.file_of(order, name)) for name in order.adapters)
            command += ["--lora", files_of_all, "--lora-init-without-apply"]
        if order.key:
            command += ["--api-key-file", str(order.folder / "key")]
        if settings.context:
            command += ["-c", str(settings.context)]
        if settings.parallel:
            command += ["-np", str(settings.parallel)]
        if settings.gpu_layers >= 0:
            command += ["-ngl", str(settings.gpu_layers)]
        # With as many threads as cores it falls far behind as soon as anything else runs: they wait for each other.
        command += ["-t", str(max(1, (os.cpu_count() or 2) - 1))]
        environment = {**program.environment, **QUIET}
        if not order.key:  # any page in a browser of this machine could ask it
            environment["LLAMA_ARG_CORS_ORIGINS"] = "localhost"
        if settings.devices:
            environment |= dict.fromkeys(_DEVICES, ",".join(map(str, settings.devices)))
        work = partial(llama_cpp_adapters.write, order, self._toolkit) if order.adapters else None
        return Launch(tuple(command), environment, {}, files, work=work)

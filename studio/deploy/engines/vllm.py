"""vLLM: many requests at once, in an environment of its own, with the chat template of training handed over."""

import shlex
from collections.abc import Callable, Collection
from pathlib import Path

from studio.core.i18n import Problem
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines import trained_template
from studio.deploy.engines.adapter_requests import post
from studio.deploy.engines.engine import QUIET, Check, Launch, Order, Report, Sign, missing_environment
from studio.deploy.engines.log_faults import LAST_WORDS, PORT_TAKEN, TORCH
from studio.deploy.served_source import Source
from studio.monitor import readings

_TYPES = {"float32": "float32", "bfloat16": "bfloat16", "float16": "half"}
HEAD_PORT = 6379  # of Ray, on the first of several machines
CACHE_BYTES = 2 * 2**30  # of a processor's memory, for the context


def _fitting_share(free: float, total: float) -> float:
    """Return a share of the memory that leaves a tenth of what is free, in steps of a twentieth."""
    return max(0.05, int(0.9 * free / max(total, 1e-9) * 20) / 20)


class Vllm:
    """`vllm.entrypoints.openai.api_server`, by the Python of its environment: the CPU build's `vllm` command dies."""

    name = "vllm"
    title = "vLLM"
    fields = frozenset(
        {
            "context",
            "parallel",
            "memory_share",
            "precision",
            "devices",
            "tensor_parallel",
            "pipeline_parallel",
            "data_parallel",
            "nodes",
            "adapters",
            "eager",
        }
    )
    alive = "/health"
    has_keys = True
    tells_broken = True
    patience_s = 30.0
    faults = (
        PORT_TAKEN,
        Sign(
            r"estimated maximum model length is (?P<context>\d+)",
            "deploy.fault_context",
            lambda match: {"context": int(match["context"])},
        ),
        Sign(
            r"Available memory on node [^(]*\((?P<free>[\d.]+)/(?P<all>[\d.]+) GiB\) on startup is less than desired",
            "deploy.fault_share_of_ram",
            lambda match: {"memory_share": _fitting_share(float(match["free"]), float(match["all"]))},
        ),
        Sign(
            r"Free memory on device .* is less than desired|No available memory for the cache blocks",
            "deploy.fault_share",
        ),
        Sign(r"LoRA rank (?P<rank>\d+) is greater than max_lora_rank", "deploy.fault_rank"),
        Sign(
            r"Bfloat16 is only supported on GPUs with compute capability",
            "deploy.fault_bfloat16",
            lambda match: {"precision": "float16"},
        ),
        *TORCH,
        Sign(
            r"^(?:\(.*\) )?(?P<reason>(?:Value|Runtime|Assertion|OS|Import|Type|Key)Error: [^\n]+)", "deploy.fault_said"
        ),
        LAST_WORDS,
    )
    phases = (
        Sign(r"Starting to load model|Loading (?:safetensors|weights|model weights)", "deploy.doing_weights"),
        Sign(r"torch\.compile|Compiling|Dynamo bytecode", "deploy.doing_compiling"),
        Sign(r"[Cc]apturing CUDA graph|Graph capturing", "deploy.doing_graphs"),
        Sign(r"KV cache size|# GPU blocks|init engine", "deploy.doing_cache"),
        Sign(r"Starting vLLM API server|Application startup", "deploy.doing_listening"),
    )

    def __init__(self, python: Callable[[str], Path]):
        """Take what gives the Python of an environment by its name, and raises Problem where it is not made."""
        self._python = python

    def missing(self) -> Problem | None:
        """Return that its environment was not made yet."""
        return missing_environment(self._python, self.name)

    def refuses(self, source: Source, settings: DeploySettings) -> Problem | None:
        """Return why it cannot serve this: a GGUF file, or a run that is more than one adapter on its base."""
        if source.gguf:
            return Problem("deploy.no_gguf", engine=self.title)
        if source.target.below or source.target.vocabulary:
            return Problem("deploy.merge_first", engine=self.title, name=source.name)
        return None

    def arrange(self, order: Order, report: Report, check: Check) -> None:
        """Do nothing: it serves what it was started with."""

    def active(self, settings: DeploySettings) -> list[str]:
        """Return the adapters that are served after the start: all, where nobody said which."""
        chosen = settings.adapters_on
        return [name for name in settings.adapters if chosen is None or name in chosen]

    def switch(self, order: Order, on: Collection[str]) -> None:
        """Serve these adapters, and no others. Raises Problem where the server does not do so."""
        for name, folder in order.adapters.items():
            asked = {"lora_name": name, "lora_path": str(folder)}
            if name in on and name not in self.active(order.settings):
                post(order, "/v1/load_lora_adapter", asked)
            elif name not in on and name in self.active(order.settings):
                post(order, "/v1/unload_lora_adapter", {"lora_name": name})

    def launch(self, order: Order) -> Launch:
        """Return how it is started. Raises Problem where its environment or the chat template cannot be had."""
        path = order.folder / trained_template.JINJA
        # Its caches go where they may be deleted.
        environment = {**QUIET, "VLLM_NO_USAGE_STATS": "1", "VLLM_CACHE_ROOT": str(order.folder.parent / ".vllm")}
        if order.settings.devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, order.settings.devices))
        if order.adapters or order.source.target.adapter:
            environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
        return Launch(
            tuple(self.command(order, str(path))),
            environment,
            {"VLLM_API_KEY": order.key},
            {path: trained_template.jinja_text(order.source)},
        )

    def command(self, order: Order, template: str) -> list[str]:
        """Return the command. Raises Problem where the rank of an adapter cannot be read."""
        settings, target = order.settings, order.source.target
        command = [self._program(), "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", str(target.model), "--host", settings.host, "--port", str(order.port)]
        # A run's own name stands for its adapter, and the base is served beside it.
        base = f"{order.name}-base" if target.adapter else order.name
        command += ["--served-model-name", base, "--chat-template", template]
        served = {name: order.adapters[name] for name in self.active(order.settings)}
        adapters = {**({order.name: target.adapter} if target.adapter else {}), **served}
        if target.adapter or order.adapters:
            known = [*adapters.values(), *order.adapters.values()]
            command += ["--enable-lora", "--max-lora-rank", str(trained_template.largest_rank(known))]
            command += (
                ["--lora-modules", *(f"{name}={folder}" for name, folder in adapters.items())] if adapters else []
            )
        if target.own_code:
            command += ["--trust-remote-code"]
        if settings.context:
            command += ["--max-model-len", str(settings.context)]
        if settings.parallel:
            command += ["--max-num-seqs", str(settings.parallel)]
        if settings.precision:
            command += ["--dtype", _TYPES[settings.precision]]
        if settings.memory_share != DeploySettings().memory_share:
            command += ["--gpu-memory-utilization", f"{settings.memory_share:g}"]
        elif not readings.has_gpu():  # its own choice is nine tenths of the machine's memory
            command += ["--kv-cache-memory-bytes", str(CACHE_BYTES)]
        for flag, count in (
            ("--tensor-parallel-size", settings.tensor_parallel),
            ("--pipeline-parallel-size", settings.pipeline_parallel),
            ("--data-parallel-size", settings.data_parallel),
        ):
            command += [flag, str(count)] if count > 1 else []
        command += ["--distributed-executor-backend", "ray"] if settings.nodes > 1 else []
        return command + (["--enforce-eager"] if settings.eager else [])

    def cluster(self, settings: DeploySettings) -> tuple[str, ...]:
        """Return the commands that join machines to one Ray cluster, before it is started on the first: that of the
        first, then that of each other.
        """
        if settings.nodes < 2:
            return ()
        ray = [self._program(), "-m", "ray.scripts.scripts", "start"]
        first, others = [*ray, "--head", f"--port={HEAD_PORT}"], [*ray, f"--address=FIRST_MACHINE:{HEAD_PORT}"]
        return shlex.join(first), shlex.join(others)

    def _program(self) -> str:
        """Return its Python; where it is not made, what stands for it in a command that is only shown."""
        return "python" if self.missing() else str(self._python(self.name))

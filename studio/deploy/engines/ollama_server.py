"""Ollama, where it is installed: a GGUF file, put together where it was split, with a Modelfile that has the template
and the stops of training.
"""

import shutil

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.storage.atomic import scratch
from studio.core.storage.folders import size_of
from studio.deploy.deploy_settings import DeploySettings, is_local
from studio.deploy.engines import trained_template
from studio.deploy.engines.engine import QUIET, Check, Launch, Order, Report, Sign
from studio.deploy.engines.log_faults import DISK_FULL, PORT_TAKEN
from studio.deploy.ollama import joined_parts
from studio.deploy.ollama.ollama_client import OllamaClient
from studio.deploy.served_source import Source
from studio.deploy.supervision import ports
from studio.export.templates.ollama import ollama_modelfile
from studio.export.templates.training import special_tokens
from studio.models.gguf import gguf_parts

STORE = ".ollama"  # beside the deployments: they share what they have
INSTALL = "curl -fsSL https://ollama.com/install.sh | sh"


class Ollama:
    """`ollama serve` with a store of its own, and the model made in it once it answers."""

    name = "ollama"
    title = "Ollama"
    fields = frozenset({"context", "parallel", "devices", "prompt_of"})
    has_keys = False
    alive = "/api/version"
    tells_broken = False
    patience_s = 10.0
    faults = (
        PORT_TAKEN,
        Sign(r"cudaMalloc failed: out of memory|requires more system memory", "deploy.fault_memory"),
        DISK_FULL,
        Sign(r"Error: (?P<reason>[^\n]+)", "deploy.fault_said"),
    )
    phases = (Sign(r"Listening on", "deploy.doing_listening"),)

    def missing(self) -> Problem | None:
        """Return that it is not installed."""
        return None if shutil.which("ollama") else Problem("deploy.no_ollama", command=INSTALL)

    def refuses(self, source: Source, settings: DeploySettings) -> Problem | None:
        """Return why it cannot serve this: anything but a GGUF file, and to other machines, since it knows no keys."""
        if not source.gguf:
            return Problem("deploy.only_gguf", engine=self.title)
        return None if is_local(settings.host) else Problem("deploy.no_keys", engine=self.title)

    def launch(self, order: Order) -> Launch:
        """Return how it is started. Raises Problem where it is not installed."""
        program = shutil.which("ollama")
        if program is None:
            raise Problem("deploy.no_ollama", command=INSTALL)
        settings = order.settings
        environment = {
            "OLLAMA_HOST": ports.place(settings.host, order.port),
            "OLLAMA_MODELS": str(order.folder.parent / STORE),
            # Without it a GGUF whose own Jinja can do more than the TEMPLATE wins in silence.
            "OLLAMA_GO_TEMPLATE": "1",
            "OLLAMA_NO_CLOUD": "1",
            **QUIET,
        }
        if settings.context:
            environment["OLLAMA_CONTEXT_LENGTH"] = str(settings.context)
        if settings.parallel:
            environment["OLLAMA_NUM_PARALLEL"] = str(settings.parallel)
        if settings.devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, settings.devices))
        return Launch((program, "serve"), environment)

    def arrange(self, order: Order, report: Report, check: Check) -> None:
        """Make the model in its store. Raises Problem where that fails, and Stopped."""
        report(Sentence(key="deploy.doing_model"))
        template, parameters = None, {}
        if order.source.target:
            prompt = trained_template.trained_prompt(order.source)
            made = ollama_modelfile(
                prompt.template,
                special_tokens(prompt.tokenizer),
                order.source.gguf.name,
                adds_bos=adds_bos(order.source),
            )
            template, parameters = made.template, {"stop": list(made.stops)} if made.stops else {}
        if order.settings.context:
            parameters["num_ctx"] = order.settings.context
        client = OllamaClient(f"http://{ports.place(ports.near(order.settings.host), order.port)}")
        digest = _taken_in(client, order, report, check)
        client.create(order.name, digest, template, parameters, lambda step: check())


def _taken_in(client: OllamaClient, order: Order, report: Report, check: Check) -> str:
    """Have the GGUF in the store as one file, which is all that Ollama takes, and return its digest there: a split one
    is put together for that, where the store does not have it.

    Raises:
        Problem: a part is missing, there is no room for the whole and for the copy in the store, or the parts are none.
        Stopped: the engine is to be ended.
    """
    found, deployments = gguf_parts.parts(order.source.gguf), order.folder.parent
    if len(found) == 1:
        return client.take_in(found[0], check)
    stamps = joined_parts.stamps(found)
    if (known := joined_parts.digest_of(deployments, stamps)) and client.has(known):
        return known
    needed, free = 2 * sum(map(size_of, found)), shutil.disk_usage(order.folder).free
    if needed > free:
        facts = {"needed": needed / 1e9, "free": free / 1e9, "folder": deployments}
        raise Problem("gguf.no_room_to_join", file=found[0].name, count=len(found), **facts)
    report(Sentence(key="deploy.doing_joining", facts={"count": len(found)}))
    with scratch(order.folder) as folder:
        whole = folder / f"{order.name}.gguf"
        gguf_parts.join_apart(found, whole, check)
        report(Sentence(key="deploy.doing_model"))
        digest = client.take_in(whole, check)
    joined_parts.keep(deployments, stamps, digest)
    return digest


def adds_bos(source: Source) -> bool:
    """Tell whether an engine puts BOS before what a GGUF's template writes. Raises Problem where the file is none."""
    fields = gguf_parts.read_header(source.gguf).fields
    if "tokenizer.ggml.add_bos_token" in fields:
        return bool(fields["tokenizer.ggml.add_bos_token"])
    return fields.get("tokenizer.ggml.model") == "llama"

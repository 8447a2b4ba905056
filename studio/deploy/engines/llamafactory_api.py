"""LLaMA-Factory's own API, in the studio's environment: serves all that it trains, with its own template."""

import json
import sys

from studio.core.i18n import Problem
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine import QUIET, Check, Launch, Order, Report, Sign
from studio.deploy.engines.log_faults import LAST_WORDS, PORT_TAKEN, TORCH
from studio.deploy.served_source import Source

FILE = "api.yaml"
_DEVICES = ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES")


class LlamaFactoryApi:
    """`llamafactory-cli api`; one request at a time, unless `parallel` says otherwise."""

    name = "llamafactory"
    title = "LLaMA-Factory API"
    fields = frozenset({"precision", "bits", "devices", "parallel"})
    alive = "/v1/models"
    has_keys = True
    tells_broken = False
    patience_s = 5.0
    faults = (PORT_TAKEN, *TORCH, Sign(r"Template (?P<name>\S+) does not exist", "deploy.fault_template"), LAST_WORDS)
    phases = (
        Sign(r"Loading weights|Loading checkpoint shards|loading weights file", "deploy.doing_weights"),
        Sign(r"loading file |tokenizer", "deploy.doing_tokenizer"),
        Sign(r"Merged \d+ adapter|Loaded adapter", "deploy.doing_adapter"),
        Sign(r"Visit http|Application startup|Uvicorn running", "deploy.doing_listening"),
    )

    def missing(self) -> Problem | None:
        """Return None: it is always there."""
        return None

    def refuses(self, source: Source, settings: DeploySettings) -> Problem | None:
        """Return why it cannot serve this: a GGUF file."""
        if source.gguf:
            return Problem("deploy.no_gguf", engine=self.title)
        return None

    def arrange(self, order: Order, report: Report, check: Check) -> None:
        """Do nothing: it serves what it was started with."""

    def launch(self, order: Order) -> Launch:
        """Return how it is started: with a recipe for it, all in a file."""
        path = order.folder / FILE
        environment = {
            "API_HOST": order.settings.host,
            "API_PORT": str(order.port),
            "API_MODEL_NAME": order.name,
            "API_VERBOSE": "0",
            **QUIET,
        }
        if order.settings.parallel:
            environment["MAX_CONCURRENT"] = str(order.settings.parallel)
        if order.settings.devices:
            environment |= dict.fromkeys(_DEVICES, ",".join(map(str, order.settings.devices)))
        return Launch(
            (sys.executable, "-m", "llamafactory.cli", "api", str(path)),
            environment,
            {"API_KEY": order.key},
            # JSON is YAML, and has no text that is taken for a number.
            {path: json.dumps(arguments(order), ensure_ascii=False, indent=2) + "\n"},
        )


def arguments(order: Order) -> dict[str, object]:
    """Return LLaMA-Factory's arguments: the same weights, adapters, vocabulary and template as in the chat."""
    target = order.source.target
    made: dict[str, object] = {
        "model_name_or_path": str(target.model),
        "template": target.template,
        "infer_backend": "huggingface",
        "trust_remote_code": target.own_code,
        **dict(target.vocabulary),
    }
    adapters = [str(folder) for folder in (*target.below, *([target.adapter] if target.adapter else []))]
    if adapters:
        made["adapter_name_or_path"] = ",".join(adapters)
    if target.default_system is not None:
        made["default_system"] = target.default_system
    if target.thinking is not None:
        made["enable_thinking"] = target.thinking
    if order.settings.precision:
        made["infer_dtype"] = order.settings.precision
    if order.settings.bits:
        made["quantization_bit"] = order.settings.bits
    return made

"""LMDeploy's server: on CUDA only, in an environment of its own, with the template of training as its JSON file."""

from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines import trained_template
from studio.deploy.engines.engine import QUIET, Check, Launch, Order, Report, Sign, missing_environment
from studio.deploy.engines.log_faults import LAST_WORDS, PORT_TAKEN, TORCH
from studio.deploy.served_source import Source
from studio.export.templates.lmdeploy import lmdeploy_template
from studio.export.templates.training import special_tokens
from studio.monitor import readings

FILE, TOKENIZER = "lmdeploy.json", "tokenizer"
# An adapter that is called as a template of LMDeploy's own would switch to that one.
ADAPTER = "lora-"
# Its command takes the key as an argument, which all users of a machine can read: it gets it from the environment.
_WITH_KEY = (
    "import os, sys\n"
    "from lmdeploy.cli.entrypoint import run\n"
    "sys.argv[0] = 'lmdeploy'\n"
    "key = os.environ.pop('STUDIO_ENGINE_KEY', '')\n"
    "sys.argv += ['--api-keys', key] if key else []\n"
    "run()\n"
)
_COPIED = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "config.json",
    "*.model",
)


class Lmdeploy:
    """`lmdeploy serve api_server`."""

    name = "lmdeploy"
    title = "LMDeploy"
    fields = frozenset(
        {"context", "parallel", "memory_share", "precision", "devices", "tensor_parallel", "data_parallel", "adapters"}
    )
    alive = "/health"
    has_keys = True
    tells_broken = True
    patience_s = 20.0
    faults = (
        PORT_TAKEN,
        Sign(r"No enough gpu memory|not enough memory for kv cache|No enough blocks", "deploy.fault_share"),
        *TORCH,
        LAST_WORDS,
    )
    phases = (
        Sign(r"Loading weights|Convert to turbomind format|loading model", "deploy.doing_weights"),
        Sign(r"[Ww]arm ?up", "deploy.doing_warming"),
        Sign(r"Uvicorn running|Application startup|HINT:", "deploy.doing_listening"),
    )

    def __init__(self, python: Callable[[str], Path]):
        """Take what gives the Python of an environment by its name, and raises Problem where it is not made."""
        self._python = python

    def missing(self) -> Problem | None:
        """Return that there is no GPU for it, or that its environment was not made yet."""
        if not readings.has_gpu():
            return Problem("deploy.needs_cuda", engine=self.title)
        return missing_environment(self._python, self.name)

    def refuses(self, source: Source, settings: DeploySettings) -> Problem | None:
        """Return why it cannot serve this: a GGUF file, or a run that is no whole model."""
        if source.gguf:
            return Problem("deploy.no_gguf", engine=self.title)
        if source.target.adapter or source.target.below or source.target.vocabulary:
            return Problem("deploy.merge_first", engine=self.title, name=source.name)
        if settings.precision == "float32":
            return Problem("deploy.no_float32", engine=self.title)
        return None

    def arrange(self, order: Order, report: Report, check: Check) -> None:
        """Do nothing: it serves what it was started with."""

    def launch(self, order: Order) -> Launch:
        """Return how it is started, with the tokenizer that has the Jinja of training where its own fields cannot say
        it. Raises Problem where its environment or the chat template cannot be had.
        """
        settings, target = order.settings, order.source.target
        tokenizer, path = order.folder / TOKENIZER, order.folder / FILE
        prompt = trained_template.trained_prompt(order.source)
        adds_bos = bool(getattr(prompt.tokenizer, "add_bos_token", False))
        made = lmdeploy_template(prompt.template, special_tokens(prompt.tokenizer), str(tokenizer), adds_bos)
        program = "python" if self.missing() else str(self._python(self.name))  # of a command that is only shown
        command = [program, "-c", _WITH_KEY, "serve", "api_server", str(target.model)]
        command += ["--server-name", settings.host, "--server-port", str(order.port), "--model-name", order.name]
        command += ["--chat-template", str(path)]
        if order.adapters:
            command += ["--backend", "pytorch", "--adapters"]
            command += [f"{ADAPTER}{name}={folder}" for name, folder in order.adapters.items()]
        for flag, value in (
            ("--session-len", settings.context),
            ("--max-batch-size", settings.parallel),
            ("--dtype", settings.precision),
            ("--tp", settings.tensor_parallel if settings.tensor_parallel > 1 else 0),
            ("--dp", settings.data_parallel if settings.data_parallel > 1 else 0),
        ):
            command += [flag, str(value)] if value else []
        if settings.memory_share != DeploySettings().memory_share:
            command += ["--cache-max-entry-count", f"{settings.memory_share:g}"]
        if target.own_code:
            command += ["--trust-remote-code"]
        environment = dict(QUIET)
        if settings.devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, settings.devices))
        texts, copies = {path: made.text()}, {}
        if made.lacks:
            texts[tokenizer / trained_template.JINJA] = trained_template.jinja_text(order.source)
            found = {file for pattern in _COPIED for file in target.model.glob(pattern) if file.is_file()}
            copies = {tokenizer / file.name: file for file in sorted(found)}
        return Launch(tuple(command), environment, {"STUDIO_ENGINE_KEY": order.key}, texts, copies)

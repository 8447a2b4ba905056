"""LoRA adapters beside a GGUF base: written as GGUF before llama.cpp's server starts, switched while it runs."""

import json
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child, Output
from studio.core.sentences import Sentence
from studio.core.storage import files, folders
from studio.core.workspace import write_json
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.adapter_requests import post
from studio.deploy.engines.engine import QUIET, Check, Order, Report
from studio.export.gguf.convert_child import Conversion
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.train.runs.lineage import recipe_beside

LOOK_S, LOG_END = 0.1, 4096


def file_of(order: Order, name: str) -> Path:
    """Return where an adapter stands as GGUF."""
    return order.folder / "adapters" / f"{name}.gguf"


def active(settings: DeploySettings) -> list[str]:
    """Return the adapters that are to be applied: the first where nobody said which."""
    chosen = settings.adapters_on
    return [name for name in settings.adapters if name in chosen] if chosen is not None else list(settings.adapters)[:1]


def write(order: Order, toolkit: Toolkit, report: Report, check: Check) -> None:
    """Write all adapters of an order as GGUF.

    Raises:
        Problem: the converter is not here, the base of an adapter is not known, or the converter refuses it.
        Stopped: the engine is to be ended.
    """
    converter = toolkit.converter()
    for name, adapter in order.adapters.items():
        report(Sentence(key="deploy.doing_conversion", facts={"name": name}))
        base = recipe_beside(adapter).get("model_name_or_path")
        if not base or not folders.is_folder(Path(str(base))):
            raise Problem("deploy.no_base_of_adapter", name=name)
        target = file_of(order, name)
        target.parent.mkdir(exist_ok=True)
        spec = Conversion(converter=converter, model=Path(str(base)), adapter=adapter, type="f16", target=target)
        _convert(name, spec, check)


def _convert(name: str, spec: Conversion, check: Check) -> None:
    described, log = spec.target.with_suffix(".json"), spec.target.with_suffix(".log")
    write_json(described, json.loads(spec.model_dump_json()))
    command = [sys.executable, "-m", "studio.export.gguf.convert_child", str(described), str(os.getpid())]
    with Child(command, output=Output(log=log), environment=os.environ | QUIET) as child:
        while child.code is None:
            check()
            time.sleep(LOOK_S)
        code = child.code
    if code:
        lines = files.end_of(log, LOG_END).decode("utf-8", "replace").strip().splitlines()
        raise Problem("deploy.adapter_refused", name=name, reason=reasons.of_end(code, (lines or [""])[-1]))


def switch(order: Order, on: Collection[str]) -> None:
    """Apply these adapters of a running server, and no others. Raises Problem where it does not do so."""
    scales = [{"id": number, "scale": 1.0 if name in on else 0.0} for number, name in enumerate(order.adapters)]
    post(order, "/lora-adapters", scales)

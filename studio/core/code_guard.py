"""The last door before code of a model runs: whatever asked for it, the person must have consented to the files.

Everything above asks `trust` before it loads a model. This is the net below: it stands in the two places of the
libraries through which all code goes that a model or an adapter brings.
"""

import threading
from functools import wraps
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem

_installing = threading.Lock()


def install() -> None:
    """Let transformers and peft ask for consent before they import what a folder names. Imports both; the second call
    does nothing.
    """
    with _installing:
        _guard_transformers()
        _guard_peft()


def _guard_transformers() -> None:
    from transformers import dynamic_module_utils as modules
    from transformers.generation import utils as generation

    theirs = modules.get_cached_module_file
    if getattr(theirs, "asks_for_consent", False):
        return

    @wraps(theirs)
    def check_consent(pretrained_model_name_or_path, module_file, *args, **kwargs):
        _require(str(pretrained_model_name_or_path), str(module_file))
        return theirs(pretrained_model_name_or_path, module_file, *args, **kwargs)

    check_consent.asks_for_consent = True
    modules.get_cached_module_file = check_consent
    if hasattr(generation, "get_cached_module_file"):
        generation.get_cached_module_file = check_consent


def _require(source: str, module_file: str) -> None:
    folder = Path(source)
    if folder.is_dir() and not (folder / module_file).exists():
        return  # transformers looks whether it is there, and goes on without it
    if not folder.is_dir():
        raise Problem("trust.leads_out", reference=f"{source}: {module_file}"[:200])
    trust.require(folder)
    if module_file not in trust.code_of(folder).files:
        raise Problem("trust.leads_out", reference=module_file[:200])


def _guard_peft() -> None:
    from peft import config

    theirs = config.PeftConfigMixin.from_pretrained.__func__
    if getattr(theirs, "asks_for_consent", False):
        return

    @wraps(theirs)
    def check_consent(cls, pretrained_model_name_or_path, *args, **kwargs):
        """Return the configuration as peft reads it. Raises Problem where it names a module that would be imported."""
        found = theirs(cls, pretrained_model_name_or_path, *args, **kwargs)
        # peft imports whatever module this names; Megatron itself is none of the studio's libraries.
        if getattr(found, "megatron_config", None):
            raise Problem(
                "trust.imports",
                file=Path(str(pretrained_model_name_or_path)) / "adapter_config.json",
                field="megatron_config",
            )
        return found

    check_consent.asks_for_consent = True
    config.PeftConfigMixin.from_pretrained = classmethod(check_consent)

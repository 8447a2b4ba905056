"""What a demo does not do: nothing in it deletes, downloads, leaves the machine, or runs another's code.

The endpoints are refused, and the work itself, which a form of the page begins without one; the page hides the buttons.
"""

from studio.core.i18n import Problem

ENDPOINTS = frozenset(
    {
        "chat_delete",
        "chat_server_add",
        "chat_server_remove",
        "chat_sheet_delete",
        "datasets_add_folder",
        "datasets_bring_in",
        "datasets_delete_row",
        "datasets_link",
        "datasets_remove",
        "datasets_remove_folder",
        "deploy_delete",
        "deploy_load_test_delete",
        "deploy_ollama_delete",
        "deploy_ollama_pull",
        "deploy_open_webui_install",
        "deploy_prepare",
        "deploy_recorder_clear",
        "evaluate_delete",
        "evaluate_fetch",
        "evaluate_metric_trust",
        "evaluate_task_delete",
        "export_forget",
        "export_cost",
        "export_gguf",  # its tools, and those of quantising, are fetched when they are first needed
        "export_parity_start",
        "export_push",
        "export_quantize",
        "machine_check",  # asks the hubs
        "models_add_folder",
        "models_delete",
        "models_download",
        "models_forget",
        "models_import",
        "models_remove_folder",
        "models_resume",
        "models_trust",
        "train_delete",
        "train_environment",
        "train_nodes",
        "train_webhook",
        "train_webhook_test",
        "trash_empty",
    }
)
# Kinds of work (`Jobs.start`). Some only fetch the tools that they need, where those are missing.
JOBS = frozenset(
    {
        "benchmark",
        "convert",
        "download",
        "engine_environment",
        "environment",
        "export_cost",
        "export_gguf",
        "export_parity",
        "export_push",
        "export_quantize",
        "import_gguf",
        "llama_cpp",
        "nodes",
        "ollama_pull",
        "open_webui",
    }
)
_state = {"on": False}


def begin() -> None:
    """Let this process be a demo from now on."""
    _state["on"] = True


def why() -> Problem | None:
    """Return what a demo says of itself, None where this process is none."""
    return Problem("demo.here") if _state["on"] else None


def require(endpoint: str) -> None:
    """Raise Problem where this process is a demo, and the endpoint is not for one."""
    if _state["on"] and endpoint in ENDPOINTS:
        raise Problem("demo.withheld")


def jobs() -> frozenset[str]:
    """Return the kinds of work that this process does not do."""
    return JOBS if _state["on"] else frozenset()


def styles() -> str:
    """Return what a demo's page has for styles: larger type, and no button of what it does not do."""
    if not _state["on"]:
        return ""
    hidden = ", ".join(f'[data-call="{name}"]' for name in sorted(ENDPOINTS))
    return f":root {{ --zoom: 1.15 !important }} body {{ zoom: var(--zoom) }} {hidden} {{ display: none !important }}"

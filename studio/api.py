"""Each action of the page as an endpoint: plain JSON in and out, errors as one sentence."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import gradio as gr

from studio.chat.page.endpoints import endpoints as of_chat
from studio.chat.page.endpoints import smoke_test_endpoints as of_smoke_tests
from studio.chat.page.endpoints_conversations import endpoints as of_conversations
from studio.chat.page.endpoints_servers import endpoints as of_servers
from studio.chat.page.endpoints_votes import of_prompt_lists, of_votes
from studio.core.i18n import Words
from studio.core.storage import read_only
from studio.datasets.page.analysis_endpoints import endpoints as of_analysis
from studio.datasets.page.endpoints import endpoints as of_datasets
from studio.demo import withheld
from studio.deploy.page.endpoints import endpoints as of_deployments
from studio.deploy.page.tools.client_endpoints import endpoints as of_clients
from studio.deploy.page.tools.load_test_endpoints import endpoints as of_load_tests
from studio.deploy.page.tools.recorder_endpoints import endpoints as of_recorders
from studio.evaluate.page.endpoints import endpoints as of_evaluations
from studio.export.page.endpoints import endpoints as of_exports
from studio.first_visit.page.endpoints import endpoints as of_first_visit
from studio.models.page.endpoints import endpoints as of_models
from studio.monitor.page.endpoints import endpoints as of_machine
from studio.train.page.endpoints import endpoints as of_training
from studio.trash.page.endpoints import endpoints as of_trash
from studio.web.endpoint import checked_endpoint
from studio.web.window_endpoints import endpoints as of_the_window

# What changes nothing: all that is answered by a studio that only looks at its workspace.
LOOKING = frozenset(
    {
        "chat_board",
        "chat_conversations",
        "chat_open",
        "chat_picture",
        "chat_prompts",
        "chat_servers",
        "chat_sheet_result",
        "datasets_entry",
        "datasets_list",
        "datasets_preview",
        "datasets_search",
        "datasets_tokens",
        "deploy_engines",
        "deploy_list",
        "deploy_load_test_export",
        "deploy_load_test_result",
        "deploy_load_tests",
        "deploy_log",
        "deploy_ollama_list",
        "deploy_ollama_show",
        "deploy_open_webui_status",
        "deploy_preview",
        "deploy_ragflow",
        "deploy_recorder_list",
        "deploy_recorder_request",
        "deploy_recorder_requests",
        "deploy_snippets",
        "deploy_targets",
        "evaluate_compare",
        "evaluate_export",
        "evaluate_list",
        "evaluate_metrics",
        "evaluate_own_metrics",
        "evaluate_result",
        "evaluate_row",
        "evaluate_rows",
        "evaluate_tasks",
        "export_card",
        "export_forms",
        "export_list",
        "export_parity",
        "export_plan",
        "export_template",
        "job_status",
        "live",
        "machine_report",
        "models_catalogue",
        "models_code",
        "models_downloads",
        "models_inspect",
        "models_list",
        "monitor",
        "train_metrics",
        "train_notices",
        "train_preview",
        "train_queue",
        "train_recipe",
        "train_recipe_load",
        "train_recipes",
        "train_runs",
        "train_status",
        "trash_list",
    }
)


def serve(studio, words: Words) -> None:
    """Add every endpoint to the page that is being built."""
    for function in all_endpoints(studio, words):
        # Out of gradio's queue, so that a plain POST is answered and no endpoint waits behind another.
        gr.api(
            checked_endpoint(for_owner(function), words),
            api_name=function.__name__,
            queue=False,
            concurrency_limit=None,
        )


def for_owner(function: Callable) -> Callable:
    """Return an endpoint that refuses where this studio only looks at its workspace, unless it changes nothing, and
    where it is a demo, what a demo does not do.
    """
    if function.__name__ in LOOKING:
        return function

    @wraps(function)
    def owned(*args, **kwargs):
        read_only.require_owner()
        withheld.require(function.__name__)
        return function(*args, **kwargs)

    return owned


def all_endpoints(studio, words: Words) -> list[Callable]:
    """Return every endpoint, as the rooms have them: what goes wrong is raised, not yet told."""
    of_rooms = [
        *of_models(studio.models, words),
        *of_datasets(studio.analysis.collection, words),
        *of_analysis(studio.analysis, words),
        *of_trash(studio.workspace, studio.jobs, words),
        *of_training(studio.trainer, words),
        *of_evaluations(studio.evaluate, words),
        *of_exports(studio.export, words),
        *of_deployments(studio.deploy, words),
        *of_load_tests(studio.tools, words),
        *of_recorders(studio.tools, words),
        *of_clients(studio.tools, words),
        *_of_chat(studio.chat, words),
        *of_smoke_tests(studio.smoke_tests, words),
    ]
    of_this_machine = of_machine(studio.monitor, studio.machine_check, words)
    return [
        *of_the_window(studio.live, studio.jobs, words),
        *of_this_machine,
        *of_first_visit(studio.first_visit),
        *of_rooms,
    ]


def _of_chat(chat, words: Words) -> list[Callable]:
    return [
        *of_chat(chat.service, words),
        *of_conversations(chat.turns, uploads, words),
        *of_servers(chat.service, words),
        *of_votes(chat.turns, chat.votes, chat.collection, words),
        *of_prompt_lists(chat.turns, chat.prompt_lists, chat.collection, words),
    ]


def uploads() -> Path:
    """Return the folder in which gradio puts what a browser sends."""
    from gradio.utils import get_upload_folder

    return Path(get_upload_folder())

"""The Deploy tab: the list of deployments, the form of a new one, and the one in hand with its log."""

import gradio as gr

from studio.core.i18n import Words
from studio.deploy.deploy_service import DeployService
from studio.deploy.page import deployment_head, deployment_list, deployment_log, engine_states, ollama_models
from studio.deploy.page.tab_deploy_form import Form
from studio.web.html import ui
from studio.web.live import Live

# What is in hand, as an address names it (assets/address.js).
ADDRESS = {"deployment": ""}


def add_regions(live: Live, service: DeployService) -> None:
    """Add the live regions of this tab."""
    live.add("deployments", (deployment_list.TEMPLATE, lambda *_: deployment_list.deployment_list(service)))
    live.add("deploy-engines", (engine_states.TEMPLATE, lambda *_: engine_states.engine_states(service)))
    live.add("deployment-models", (ollama_models.TEMPLATE, lambda _, name: ollama_models.ollama_models(service, name)))
    live.add("deployment", (deployment_head.TEMPLATE, lambda _, name: deployment_head.deployment_head(service, name)))
    live.add("deployment-log", (deployment_log.TEMPLATE, lambda _, name: deployment_log.deployment_log(service, name)))


def build(service: DeployService, words: Words) -> None:
    """Build the tab in one language."""
    macros = ui(words.language)
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(macros.region("deployments"))
        with gr.Column(elem_classes="split-main", min_width=0):
            with gr.Column(elem_classes="when-deploy-new"):
                Form(service, words)
            with gr.Column(elem_classes="when-deployment"):
                gr.HTML(macros.region("deployment", follows="deployment"))
                gr.HTML(macros.region("deployment-models", follows="deployment"))
                gr.HTML(macros.region("deployment-log", follows="deployment"))

"""The window: sidebar, tabs and the API, in both languages, and the server that shows it. No domain logic."""

import contextlib
import io
import threading
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from studio import api, flags
from studio.chat import model_usage
from studio.chat.evaluation.smoke_test import SmokeTests
from studio.chat.history.conversations import Conversations
from studio.chat.history.prompt_lists import PromptLists
from studio.chat.history.votes import Votes
from studio.chat.page import context as chat_regions
from studio.chat.page import tab as chat_tab
from studio.chat.page.context import ChatContext
from studio.chat.turn_runner import TurnRunner
from studio.core import llamafactory, locations
from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.processes import limited
from studio.core.storage import read_only
from studio.core.workspace import Workspace
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page import tab as datasets_tab
from studio.datasets.registry.collection import Collection
from studio.demo import withheld
from studio.deploy.deploy_service import DeployService
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.deploy.page import tab as deploy_tab
from studio.deploy.page.tools import tab_tools
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.evaluate.benchmarks.fetching import BenchmarkDownloads
from studio.evaluate.page import tab as evaluate_tab
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.reports.report import Reports
from studio.evaluate.service import EvaluationService
from studio.export.export_service import ExportService
from studio.export.form_service import FormService
from studio.export.page import tab as export_tab
from studio.export.page.context import ExportContext
from studio.export.push.push_service import PushService
from studio.export.template_forms.template_service import TemplateService
from studio.first_visit.page import context as visit_page
from studio.first_visit.visit import FirstVisit
from studio.inference.inference_service import InferenceService
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.inference.local.base_loading import one_load_at_a_time
from studio.models.gguf import gguf_import
from studio.models.hub.download import Downloads
from studio.models.library import library
from studio.models.models_context import ModelsContext
from studio.models.page import tab as models_tab
from studio.models.weights import completeness
from studio.monitor import readings
from studio.monitor.history import Monitor
from studio.monitor.machine_check import MachineCheck
from studio.monitor.page import machine as machine_page
from studio.monitor.page import strip as strip_page
from studio.train.execution.training_service import TrainingService
from studio.train.page import regions as train_regions
from studio.train.page import tab as train_tab
from studio.train.page.endpoints import following_metrics
from studio.trash.page import context as trash_page
from studio.web import activity, frame, page, policy, streams
from studio.web.by_language import ByLanguage
from studio.web.event_faults import install_fault_sentences, tell_unknown_endpoints
from studio.web.form_fields import install_offered_choices
from studio.web.guard import Guard, Rules
from studio.web.html import render
from studio.web.live import Live, region

METRICS_STREAM = "/gradio_api/stream/train_metrics"  # below gradio's own, which proxies are set up for
# What the address of each tab names; a new tab adds a line here.
ADDRESSES = {
    "models": models_tab.ADDRESS,
    "datasets": datasets_tab.ADDRESS,
    "train": train_tab.ADDRESS,
    "evaluate": evaluate_tab.ADDRESS,
    "export": export_tab.ADDRESS,
    "deploy": deploy_tab.ADDRESS | tab_tools.ADDRESS,
    "chat": chat_tab.ADDRESS,
}


@dataclass(frozen=True)
class Studio:
    """Everything the tabs and the API work with; one of each for the life of the process."""

    workspace: Workspace
    accelerator: DeviceLease
    monitor: Monitor
    trainer: TrainingService
    evaluate: EvaluateContext
    export: ExportContext
    chat: ChatContext
    live: Live
    jobs: Jobs
    models: ModelsContext
    analysis: DatasetAnalysis
    smoke_tests: SmokeTests
    deploy: DeployService
    tools: ToolsContext
    machine_check: MachineCheck
    first_visit: FirstVisit


def make(workspace: Workspace) -> Studio:
    """Return a studio on a workspace, with its live regions known. Raises Problem where the workspace cannot be
    written.
    """
    workspace.prepare()
    accelerator, monitor, jobs = DeviceLease(), Monitor(workspace.root), Jobs(workspace, withheld.jobs())
    service = InferenceService(workspace, accelerator)
    gguf_import.offer(workspace, jobs)
    models = ModelsContext(
        workspace,
        jobs,
        Downloads(workspace, jobs),
        monitor,
        model_usage.guard(service),
        model_usage.runs_on(workspace),
        model_usage.users_of(workspace),
    )
    collection, turns = Collection(workspace, jobs), TurnRunner(service, Conversations(workspace))
    toolkit = Toolkit(jobs)
    evaluations = EvaluationService(accelerator, jobs, collection, service.servers, service.spare)
    chat = ChatContext(
        service, turns, Votes(turns.conversations.folder), PromptLists(workspace, jobs, service.ask), collection
    )
    trainer = TrainingService(workspace, accelerator, jobs)
    studio = Studio(
        workspace,
        accelerator,
        monitor,
        trainer,
        EvaluateContext(evaluations, Reports(evaluations.evaluations), service, BenchmarkDownloads(workspace, jobs)),
        ExportContext(
            ExportService(workspace, accelerator, jobs),
            TemplateService(workspace, jobs, toolkit),
            FormService(workspace, accelerator, jobs, collection, toolkit),
            PushService(workspace, jobs),
        ),
        chat,
        Live(),
        jobs,
        models,
        DatasetAnalysis(collection),
        SmokeTests(workspace, accelerator),
        DeployService(workspace, accelerator, service, toolkit, EngineEnvironments(jobs), jobs),
        ToolsContext.of(jobs, collection, service),
        MachineCheck(workspace.root),
        FirstVisit(workspace, trainer),
    )
    jobs.guard(studio.smoke_tests.require_unused)
    _add_regions(studio)
    studio.tools.take_up()
    return studio


def _add_regions(studio: Studio) -> None:
    studio.live.add(
        "strip", (strip_page.TEMPLATE, lambda *_: strip_page.strip(studio.monitor.latest(), studio.monitor.history()))
    )
    studio.live.add("activity", (activity.TEMPLATE, lambda words, _: activity.activity(words, studio.jobs)))
    studio.live.add("holders", (frame.HOLDERS, lambda *_: _holders(studio)))
    studio.live.add("pace", (frame.PACE, lambda words, starts: _pace(studio, words, starts)))
    studio.live.add(
        "machine", (machine_page.TEMPLATE, lambda _, view: machine_page.machine(studio.machine_check, view))
    )
    studio.live.add("first-visit", (visit_page.TEMPLATE, lambda *_: _first_visit(studio)))
    studio.live.add("trash", (trash_page.TEMPLATE, lambda words, _: trash_page.trash(studio.workspace)))
    models_tab.add_regions(studio.live, studio.models)
    datasets_tab.add_regions(studio.live, studio.analysis)
    train_regions.add_regions(studio.live, studio.trainer)
    evaluate_tab.add_regions(studio.live, studio.evaluate)
    export_tab.add_regions(studio.live, studio.export)
    deploy_tab.add_regions(studio.live, studio.deploy)
    tab_tools.add_regions(studio.live, studio.tools)
    chat_regions.add_regions(studio.live, studio.chat)
    chat_regions.add_smoke_test(studio.live, studio.smoke_tests)


def _first_visit(studio: Studio) -> visit_page.FirstVisitContext | None:
    is_owners = not (read_only.why() or withheld.why())
    return visit_page.first_visit(studio.first_visit, studio.models) if is_owners else None


def _holders(studio: Studio) -> frame.HoldersContext:
    rows = []
    for holder in studio.accelerator.holders():
        kind, _, name = holder.who.partition(":")
        is_engine = kind == "deploy"
        memory, state = (studio.deploy.memory_of(name), studio.deploy.state_of(name)) if is_engine else (None, "")
        rows.append(frame.HolderRow(kind, name, memory, state))
    return frame.HoldersContext(rows)


def _pace(studio: Studio, words: Words, starts: str) -> frame.PaceContext | None:
    """Return who would share the processor with what is to be started: a run with all that computes, which with a run.
    None where nobody is at work on it, or a GPU computes.
    """
    if starts not in frame.STARTS or readings.has_gpu():
        return None
    kinds = ("export", "evaluate", "hello", "batch", "deploy") if starts == "run" else ("training",)
    found = [
        f"{words(f'app.holder_{one.key}')} {one.name}".strip()
        for one in _holders(studio).holders
        if one.key in kinds and (one.key != "deploy" or one.state == "busy")
    ]
    return frame.PaceContext(starts, tuple(found)) if found else None


def window(studio: Studio, words: Words, has_login: bool = False) -> gr.Blocks:
    """Return the whole page in one language, with a way out where there is a login."""
    with gr.Blocks(title=words("app.title"), theme=page.theme(), fill_width=True, analytics_enabled=False) as blocks:
        with gr.Sidebar(width=272, elem_id="side"):
            gr.HTML(
                render(
                    frame.SIDE, words, frame.SideContext(("strip", "now", "activity", "holders", "trash"), ADDRESSES)
                )
            )
        gr.HTML(render(frame.SWITCHES, words, frame.SwitchesContext(has_login)), elem_id="switches")
        if problem := read_only.why() or withheld.why():
            gr.HTML(render(frame.LOOKING, words, frame.LookingContext(problem)), elem_id="looking")
        with gr.Tabs(elem_id="rooms", selected="train") as rooms:
            with gr.Tab(words("app.models"), id="models", elem_id="room-models"):
                models_tab.build(words)
            with gr.Tab(words("app.datasets"), id="datasets", elem_id="room-datasets"):
                datasets_tab.build(studio.analysis.collection, words)
            with gr.Tab(words("app.train"), id="train", elem_id="room-train"):
                gr.HTML(region("first-visit"))
                train_tab.build(studio.trainer, words)
            with gr.Tab(words("app.evaluate"), id="evaluate", elem_id="room-evaluate"):
                evaluate_tab.build(studio.evaluate, words)
            with gr.Tab(words("app.export"), id="export", elem_id="room-export"):
                export_tab.build(studio.export, words)
            with gr.Tab(words("app.deploy"), id="deploy", elem_id="room-deploy"):
                gr.HTML(render(tab_tools.PARTS, words))
                with gr.Column(elem_classes="plain-column serving serving-engines"):
                    deploy_tab.build(studio.deploy, words)
                tab_tools.build(words)
            with gr.Tab(words("app.chat"), id="chat", elem_id="room-chat"):
                chat_tab.build(studio.chat, words)
        page.draw_when_opened(rooms)
        api.serve(studio, words)
    install_fault_sentences(blocks, words)
    install_offered_choices(blocks)
    return blocks


def application(studio: Studio, rules: Rules, language: str | None) -> Guard:
    """Return the whole studio as an ASGI application, in every language, behind the guard with its rules.

    `language` is that of whoever has chosen none; None leaves it to the browser.
    """
    page.claim(withheld.styles())
    has_login, words = rules.auth is not None, {name: Words(name) for name in LANGUAGES}

    def build(name: str) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        streams.add_stream(app, METRICS_STREAM, following_metrics(studio.workspace), words[name])
        return _mounted(app, window(studio, words[name], has_login), words[name], rules.root_path)

    by_language = ByLanguage(build, language, language or flags.language_of_machine())
    return Guard(
        policy.Policed(by_language),
        rules,
        api.uploads(),
        program=Path(gr.__file__).parent / "templates" / "frontend" / "assets",
        words=lambda request: words[by_language.language(dict(request.headers.raw))],
    )


def _mounted(app: FastAPI, blocks: gr.Blocks, words: Words, root_path: str) -> FastAPI:
    with contextlib.redirect_stdout(io.StringIO()):  # gradio announces each mount
        gr.mount_gradio_app(
            app,
            blocks,
            path="/",
            root_path=root_path or None,
            show_error=True,
            ssr_mode=False,
            favicon_path=str(locations.ASSETS / "favicon.svg"),
        )
    page.keep_own(blocks)
    theirs = app.routes[-1].app
    theirs.debug = False  # gradio would show a traceback to whoever asks wrongly
    tell_unknown_endpoints(theirs, words)
    return app


def warm_up(workspace: Workspace) -> None:
    """Import the heavy libraries in the background and look the models over, so that the first Start does not wait for
    them.
    """

    def load():
        with contextlib.suppress(Problem):  # a broken installation is told to whoever needs the libraries
            llamafactory.load()
            one_load_at_a_time()
            limits = limited.Limits(file="transformers", of="studio", seconds=60)
            limited.call("studio.models.library.tokenizer_trial:warm", limits=limits)
            completeness.checked(library.models(workspace), wait=0)  # worked out in a child process, and remembered

    threading.Thread(target=load, name="warm-up", daemon=True).start()

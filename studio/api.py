"""Each action of the page as an endpoint: plain JSON in and out, errors as one sentence."""

import threading
from functools import wraps

import gradio as gr

from studio.chat.answer import Sampling
from studio.datasets import registry
from studio.interface.language import Problem, Words
from studio.models import library
from studio.monitor.history import as_json
from studio.train import runs


def serve(studio, words: Words) -> None:
    """Add every endpoint to the page that is being built."""

    def endpoint(function):
        @wraps(function)
        def told(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except Problem as problem:
                raise gr.Error(words.tell(problem), print_exception=False) from None

        # Out of gradio's queue, so that a plain POST is answered and no endpoint waits behind another.
        gr.api(told, api_name=function.__name__, queue=False, concurrency_limit=None)

    _serve_reading(studio, words, endpoint)
    _serve_training(studio, words, endpoint)
    _serve_chat(studio, endpoint)


def _serve_reading(studio, words: Words, endpoint) -> None:
    @endpoint
    def live(regions: list) -> list:
        return studio.live.answer(words, regions)

    @endpoint
    def monitor() -> dict:
        return as_json(studio.monitor.latest(), studio.monitor.history())

    @endpoint
    def models_list() -> list:
        return [
            {"name": model.name, "path": str(model.path), "params": model.params, "dtype": model.dtype, "size_bytes": model.size_bytes}
            for model in library.models(studio.workspace)
        ]

    @endpoint
    def datasets_list() -> list:
        return [
            {"name": one.name, "format": one.format, "stage": one.stage, "rows": one.rows, "file": str(one.file or ""),
             "problem": words.tell(one.problem) if one.problem else None}
            for one in registry.datasets(studio.workspace.data)
        ]


def _serve_training(studio, words: Words, endpoint) -> None:
    trainer = studio.trainer

    @endpoint
    def train_preview(recipe: dict) -> dict:
        preview = trainer.preview(recipe)
        return {**preview, "problems": [words.tell(problem) for problem in preview["problems"]]}

    @endpoint
    def train_start(recipe: dict, executor: str = "in-process", options: dict | None = None) -> dict:
        return {"run": trainer.start(recipe, options or {}, executor).name}

    @endpoint
    def train_stop(run: str, save: bool = True) -> dict:
        return {"state": runs.status(trainer.stop(run, save)).state}

    @endpoint
    def train_resume(run: str) -> dict:
        return {"run": trainer.resume(run).name}

    @endpoint
    def train_runs() -> list:
        return [runs.summary(run) for run in runs.all_runs(studio.workspace)]

    @endpoint
    def train_status(run: str) -> dict:
        status = runs.status(runs.find(studio.workspace, run))
        error = words.tell(Problem(status.error["key"], **status.error["facts"])) if status.error else None
        return {"state": status.state, "step": status.step, "total_steps": status.total_steps, "loss": status.loss, "eta_s": status.eta(),
                "error": error}

    @endpoint
    def train_metrics(run: str, since: int = 0) -> dict:
        return runs.metrics(runs.find(studio.workspace, run), since)


def _serve_chat(studio, endpoint) -> None:
    table = studio.table

    @endpoint
    def chat_load(model: str, adapters: list | None = None, bits: int | None = None) -> dict:
        return {"speakers": [speaker.name for speaker in table.seat([model, *(adapters or [])], bits)]}

    @endpoint
    def chat_unload() -> dict:
        return {"speakers": [], **table.clear()}

    @endpoint
    def chat_compare(speakers: list, messages: list, options: dict | None = None) -> dict:
        said = dict(options or {})
        system = said.pop("system", "")
        try:
            sampling = Sampling(**said)
        except TypeError as error:
            raise Problem("chat.bad_option", reason=error) from error
        *_, answers = table.ask(speakers, [messages] * len(speakers), system, sampling, threading.Event())
        return {
            "answers": [
                {"speaker": answer.speaker, "text": answer.text, "tokens": answer.tokens, "first_token_s": answer.first_token_s,
                 "tokens_per_s": answer.tokens_per_s, "finished": answer.finished, "prompt_ids": list(answer.prompt_tokens)}
                for answer in answers
            ]
        }

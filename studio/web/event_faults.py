"""What goes wrong in an event of the page, told in one sentence that names nothing of the workspace as HTML.

gradio shows the message of an error in a notice of its own, which it reads as HTML; where a choice is gone, the message
lists all the others.
"""

import inspect
import logging

import gradio as gr
from fastapi import FastAPI
from gradio.route_utils import FnIndexInferError
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import JSONResponse

from studio.core.i18n import Words
from studio.core.plain import fact

MARK = "\u2063"  # unseen; by it the page knows these sentences from gradio's own (assets/toasts.js)


def install_fault_sentences(blocks: gr.Blocks, words: Words) -> None:
    """Make every event of a page tell what goes wrong in a sentence of `words`. Endpoints have their own way
    (`endpoint.checked_endpoint`).
    """
    process = blocks.process_api

    async def wrapped(block_fn, *args, **kwargs):
        event = blocks.fns[block_fn] if isinstance(block_fn, int) else block_fn
        try:
            return await process(event, *args, **kwargs)
        except Exception as fault:
            if event.api_name is not False:
                raise
            raise gr.Error(MARK + str(escape(sentence(fault, words))), print_exception=False) from None

    wrapped.__signature__ = inspect.signature(process)
    blocks.process_api = wrapped


def tell_unknown_endpoints(app: FastAPI, words: Words) -> None:
    """Make gradio's application answer a name that no endpoint has with a sentence of `words`; it would fail itself."""

    def told(request: Request, _: Exception) -> JSONResponse:
        name = fact(request.path_params.get("api_name", ""))
        return JSONResponse({"error": words("app.endpoint_unknown", name=name)}, 404)

    app.add_exception_handler(FnIndexInferError, told)


def sentence(fault: Exception, words: Words) -> str:
    """Return what a person is told of a fault in an event; the terminal has all of it where it is one of ours."""
    if isinstance(fault, gr.Error):  # of a field: what came from the page is nothing that it takes
        return words("app.event_refused")
    logging.getLogger(__name__).error("an event of the page", exc_info=fault)
    return words("app.event_failed", kind=type(fault).__name__)

"""A studio for fine-tuning language models: seven tabs in one browser window, with LLaMA-Factory as the engine."""

__version__ = "0.1.0"

from studio.core.processes import gradio_import

gradio_import.shorten()

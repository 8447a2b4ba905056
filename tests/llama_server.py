"""`llama-server` as the tests have it: the very server, from the Python package that is among their dependencies.

`python tests/llama_server.py FLAGS` takes those of its flags that the studio gives; `on_the_path(folder)` puts a
program of that name into a folder, for PATH.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path


def on_the_path(folder: Path) -> Path:
    """Make the program `llama-server` in a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "llama-server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return folder


def main() -> None:
    """Serve until the process is asked to end."""
    import xllamacpp

    parser = argparse.ArgumentParser()
    for flag in (
        "-m",
        "--host",
        "--port",
        "--alias",
        "--chat-template-file",
        "--api-key-file",
        "-c",
        "-np",
        "-t",
        "--device",
    ):
        parser.add_argument(flag)
    for flag in ("--no-webui", "--offline", "--metrics", "--jinja"):
        parser.add_argument(flag, action="store_true")
    flags = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = flags.m, {flags.alias or "model"}
    params.hostnames, params.port = [flags.host], int(flags.port)
    params.n_ctx, params.n_parallel = int(flags.c or 2048), int(flags.np or 1)
    params.cpuparams.n_threads = int(flags.t)
    params.endpoint_metrics = True
    if flags.chat_template_file:
        params.chat_template = Path(flags.chat_template_file).read_text(encoding="utf-8")
    if flags.api_key_file:
        params.api_keys = Path(flags.api_key_file).read_text().split()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = xllamacpp.Server(params)
    ended.wait()
    del server


if __name__ == "__main__":
    main()

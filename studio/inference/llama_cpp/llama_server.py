"""`python llama_server.py FLAGS`: llama.cpp's own server out of the package xllamacpp, whose library it is part of.

It takes those of `llama-server`'s flags that the studio gives, and needs that package alone.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path


def main() -> None:
    """Serve until the process is asked to end. Exits with 1 where llama.cpp cannot; it has printed why."""
    import xllamacpp

    flags = _flags()
    params = xllamacpp.CommonParams()
    params.model.path, params.hostnames, params.port = flags.m, [flags.host], flags.port
    params.n_ctx, params.n_parallel, params.n_gpu_layers = flags.c, flags.np, flags.ngl
    params.endpoint_metrics, params.offline, params.ui = flags.metrics, flags.offline, not flags.no_webui
    if flags.alias:
        params.model_alias = {flags.alias}
    if flags.t:
        params.cpuparams.n_threads = flags.t
    if flags.chat_template_file:
        params.chat_template = flags.chat_template_file.read_text(encoding="utf-8")
    if flags.api_key_file:
        params.api_keys = [key for key in flags.api_key_file.read_text(encoding="utf-8").splitlines() if key]
    if flags.lora:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in flags.lora.split(",")]
        params.lora_init_without_apply = flags.lora_init_without_apply
    if origins := os.environ.get("LLAMA_ARG_CORS_ORIGINS"):
        params.cors_origins, params.cors_origins_explicit = origins, True
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        sys.exit(1)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    del server


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False)
    for flag in ("-m", "--host", "--alias", "--lora"):
        parser.add_argument(flag)
    for flag in ("--chat-template-file", "--api-key-file"):
        parser.add_argument(flag, type=Path)
    # What is left out is as `llama-server` has it: the model's context, the number of slots and layers of its choice.
    for flag, usual in (("--port", 8080), ("-c", 0), ("-np", -1), ("-ngl", -1), ("-t", 0)):
        parser.add_argument(flag, type=int, default=usual)
    for flag in ("--no-webui", "--offline", "--metrics", "--lora-init-without-apply"):
        parser.add_argument(flag, action="store_true")
    # Nothing to choose: chat templates are Jinja, and the package computes on the processor alone.
    parser.add_argument("--jinja", action="store_true")
    parser.add_argument("--device", choices=["none"])
    return parser.parse_args()


if __name__ == "__main__":
    main()

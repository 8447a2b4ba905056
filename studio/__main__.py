"""`python -m studio`: read the flags, start the server, say where it is."""

import argparse
import os
import secrets
import socket
import sys
import threading
from pathlib import Path

from studio.train import output

LOCAL = ("127.0.0.1", "localhost", "::1")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the flags of the command line."""
    parser = argparse.ArgumentParser(prog="python -m studio", description="A studio for fine-tuning language models, in a browser window.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; any but a local one demands a password")
    parser.add_argument("--port", type=int, help="port; the first free one from 7860 on when left out")
    parser.add_argument("--root-path", default="", help="the sub-path under which a proxy shows the studio")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask for this name and password")
    parser.add_argument("--workspace", type=Path, default=Path(__file__).parents[1], help="folder that holds data/, models/ and saves/")
    parser.add_argument("--language", choices=("en", "zh"), help="language of the page; the browser's when left out")
    return parser.parse_args(argv)


def main() -> int:
    """Start the studio and serve until it is interrupted."""
    flags = arguments()
    prepare_process()
    import uvicorn

    from studio import app
    from studio.interface.language import Problem
    from studio.workspace import Workspace

    try:
        port = choose_port(flags.host, flags.port)
        auth = credentials(flags.host, flags.auth)
        studio = app.make(Workspace(flags.workspace.resolve()))
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    application = app.application(studio, auth, flags.root_path, flags.language)
    threading.Timer(3, app.warm_up).start()
    print(f"The studio is at http://{flags.host}:{port}{flags.root_path}  (stop it with Ctrl-C)", flush=True)
    uvicorn.run(application, host=flags.host, port=port, log_level="warning", timeout_graceful_shutdown=2)
    return 0


def prepare_process() -> None:
    """Set what must be set before the heavy libraries come."""
    output.install()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # In one process LLaMA-Factory trains on one device; the person who wants another names it in this variable.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def choose_port(host: str, wanted: int | None) -> int:
    """Return `wanted`, or the first free port from 7860 on. Raises Problem where it is taken, or all are."""
    from studio.interface.language import Problem

    for port in [wanted] if wanted else range(7860, 7960):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as test:
            test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                test.bind((host, port))
            except OSError:
                continue
            return port
    raise Problem("app.port_taken", port=wanted or "7860-7959", host=host)


def credentials(host: str, auth: str | None) -> tuple[str, str] | None:
    """Return the name and password to ask for: those given, made ones on an address others can reach, or None on a local one.

    Raises:
        Problem: `auth` is not of the form user:password.
    """
    from studio.interface.language import Problem

    if auth:
        user, colon, password = auth.partition(":")
        if not (user and colon and password):
            raise Problem("app.bad_auth")
        return user, password
    if host in LOCAL:
        return None
    password = secrets.token_urlsafe(12)
    print(f"Others can reach {host}, so the studio asks for a password: user studio, password {password}", flush=True)
    return "studio", password


if __name__ == "__main__":
    sys.exit(main())

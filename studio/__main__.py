"""`python -m studio`: read the flags, start the server, say where it is."""

import argparse
import atexit
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from studio import flags
from studio.core import locations
from studio.core.network import listening
from studio.core.processes import collector
from studio.train.execution.executors import termination
from studio.train.loop import output

BACKLOG = 2048  # connections that wait until the page is there; as many as uvicorn lets wait


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the flags of the command line."""
    is_module = Path(sys.argv[0]).name == "__main__.py"
    parser = argparse.ArgumentParser(
        prog="python -m studio" if is_module else "finetune-studio",
        description="A studio for fine-tuning language models, in a browser window.",
    )
    own = flags.add(parser, locations.default_workspace())
    options = parser.parse_args(argv)
    flags.make_absolute(own, options)
    return options


def main() -> int:
    """Start the studio and serve until it is interrupted."""
    try:
        return run(arguments())
    except KeyboardInterrupt:  # before there was anything to save
        return 130


def run(options: argparse.Namespace) -> int:
    """Open the workspace, serve it until a signal ends that, and return the exit code."""
    prepare_process()
    if options.stop_seconds is not None:
        os.environ[termination.GRACE_VARIABLE] = str(options.stop_seconds)  # for the processes that train, too
    with collector.paused():
        import uvicorn

        from studio import app, opening
        from studio.core.i18n import Problem, Words
        from studio.core.processes.ownership import Owned
        from studio.core.workspace import Workspace
        from studio.demo import fresh_copy, withheld
        from studio.shutdown import Shutdown, serve
        from studio.web.guard import rules
        from studio.web.guard.credentials import certificate

    workspace, words, mine = Workspace(options.workspace.resolve()), Words(options.language or "en"), None
    try:
        tls = certificate(options.ssl_certfile, options.ssl_keyfile)
        auth = credentials(options, bool(tls))
        guarding = rules(options.host, options.allowed_host, auth, options.root_path, options.framed_by)
        open_port = listen(options.host, options.port)
        here = address(options.host, open_port.getsockname()[1], options.root_path, bool(tls))
        if options.demo:
            withheld.begin()
            workspace = Workspace(fresh_copy.make(workspace.models, words))
        if options.look:
            opening.open_read_only(workspace, words)
        else:
            mine = opening.own(workspace, here, words)
        studio = app.make(workspace)
    except Owned as owned:
        return opening.refuse(owned, words)
    except Problem as problem:
        print(words.tell(problem), file=sys.stderr)
        return 1
    with collector.paused():
        application = app.application(studio, guarding, options.language)
    if os.environ.get("FINETUNE_STUDIO_WARM_UP") != "0":  # a studio of a test mostly ends before it needs them
        threading.Timer(3, app.warm_up, [workspace]).start()
    print(f"The studio is at {here}  (stop it with Ctrl-C)", flush=True)
    config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=2, server_header=False, **tls)
    serve(config, open_port, Shutdown(studio, termination.grace(), words))
    if mine:
        mine.release()
    return 0


def address(host: str, port: int, root_path: str, is_https: bool) -> str:
    """Return where a browser finds the studio."""
    if "://" in root_path:
        return root_path
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if is_https else 'http'}://{shown}:{port}{root_path}"


def prepare_process() -> None:
    """Set what must be set before the heavy libraries come."""
    output.install()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = place_for_uploads()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with collector.paused():
        from studio.models.hub import logins

        logins.keep_huggingface()
    # In one process LLaMA-Factory trains on one device; the person who wants another names it in this variable.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def place_for_uploads() -> str:
    """Make the folder in which what a browser sends lies for a while, remove those of studios that were killed, and
    return it.

    gradio's own place is one folder for every gradio program and every person of the machine.
    """
    for left in Path(tempfile.gettempdir()).glob("studio-uploads-*"):
        with contextlib.suppress(OSError):  # another person's, or just gone
            if time.time() - left.stat().st_mtime > 24 * 3600 and not _is_alive(left):
                shutil.rmtree(left)
    made = tempfile.mkdtemp(prefix=f"studio-uploads-{os.getpid()}-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _is_alive(uploads: Path) -> bool:
    number = uploads.name.split("-")[2]
    return number.isdecimal() and psutil.pid_exists(int(number))


def listen(host: str, requested: int | None) -> socket.socket:
    """Listen at `requested`, or at the first free port from 7860 on. Raises Problem where it is taken, or all are.

    From now on nobody else gets the port, and whoever connects waits for the page and is not turned away.
    """
    from studio.core.i18n import Problem

    for port in [requested] if requested else range(7860, 7960):
        with contextlib.suppress(OSError):
            return listening.listen(host, port, BACKLOG)
    raise Problem("app.port_taken", port=requested or "7860-7959", host=host)


def credentials(options: argparse.Namespace, is_https: bool) -> tuple[str, str] | None:
    """Return the name and password to ask for, None for nobody to ask, and print what the person should know of them.

    Raises:
        Problem: what is given is no name and password.
    """
    from studio.core.i18n import Problem
    from studio.web.guard.credentials import credentials
    from studio.web.guard.hosts import KnownHosts

    auth, problems = credentials(options.host, options.auth, options.auth_file)
    if KnownHosts(options.host).is_open and not is_https:
        problems.append(Problem("guard.plain_http"))
    if auth is None and options.allowed_host:
        problems.append(Problem("guard.proxy_open", name=options.allowed_host[0]))
    for one in problems:
        print(one, flush=True)
    return auth


if __name__ == "__main__":
    sys.exit(main())

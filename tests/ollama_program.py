"""A small server that speaks the documented part of Ollama's native API; `on_the_path(folder)` makes it the program
`ollama`, of which `ollama serve` reads OLLAMA_HOST and OLLAMA_MODELS. It answers nothing itself.
"""

import hashlib
import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STORE = Path(os.environ.get("OLLAMA_MODELS", "."))


def on_the_path(folder: Path) -> Path:
    """Make the program `ollama` in a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "ollama"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return folder


def models() -> dict[str, dict]:
    file = STORE / "models.json"
    return json.loads(file.read_text()) if file.exists() else {}


def keep(known: dict[str, dict]) -> None:
    (STORE / "models.json").write_text(json.dumps(known))


def full(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


class Ollama(BaseHTTPRequestHandler):
    """Ollama's native API, as far as docs/api.md of its repository has it, and the list of OpenAI's."""

    def answer(self, status: int, value: object = None) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, *lines: dict) -> None:
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_HEAD(self):
        self.answer(200 if (STORE / self.path.rsplit("/", 1)[1]).exists() else 404)

    def do_GET(self):
        if self.path == "/api/version":
            self.answer(200, {"version": "0.30.0"})
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in models()]})
        else:
            listed = [
                {"name": name, "size": one["size"], "modified_at": "2026-11-26T00:00:00Z", "digest": one["digest"]}
                for name, one in models().items()
            ]
            self.answer(200, {"models": listed})

    def do_DELETE(self):
        known, name = models(), full(json.loads(self.body())["model"])
        if name not in known:
            self.answer(404, {"error": f"model '{name}' not found"})
            return
        del known[name]
        keep(known)
        self.answer(200)

    def do_POST(self):
        body = self.body()
        if self.path.startswith("/api/blobs/"):
            digest = self.path.rsplit("/", 1)[1]
            if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
                self.answer(400, {"error": "digest mismatch"})
                return
            (STORE / digest).write_bytes(body)
            self.answer(201)
            return
        asked, known = json.loads(body), models()
        name = full(asked.get("model") or asked.get("source", ""))
        if self.path == "/api/create":
            (file, digest), *_ = asked["files"].items()
            if not (STORE / digest).exists():
                self.stream({"status": "reading"}, {"error": f"pull model manifest: {file}"})
                return
            made = {"size": (STORE / digest).stat().st_size, "digest": digest, "template": asked.get("template", "")}
            keep(known | {name: made | {"parameters": asked["parameters"]}})
            self.stream({"status": "parsing GGUF"}, {"status": "success"})
        elif self.path == "/api/pull" and name.startswith("gone"):
            self.stream({"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"})
        elif self.path == "/api/pull":
            keep(known | {name: {"size": 7, "digest": "sha256:0", "template": "", "parameters": {}}})
            part = {"status": "pulling 0", "digest": "sha256:0", "total": 7}
            self.stream({"status": "pulling manifest"}, part, part | {"completed": 7}, {"status": "success"})
        elif name not in known:
            self.answer(404, {"error": f"model '{name}' not found"})
        elif self.path == "/api/copy":
            keep(known | {full(asked["destination"]): known[name]})
            self.answer(200)
        elif self.path == "/api/show":
            template = known[name]["template"]
            lines = "\n".join(f"{key} {value}" for key, value in known[name]["parameters"].items())
            self.answer(200, {"modelfile": f"FROM x\nTEMPLATE {template}", "template": template, "parameters": lines})
        else:
            self.answer(404, {"error": "404 page not found"})


if __name__ == "__main__":
    assert sys.argv[1:] == ["serve"]
    STORE.mkdir(parents=True, exist_ok=True)
    host, port = os.environ["OLLAMA_HOST"].rsplit(":", 1)
    if host.startswith("["):
        ThreadingHTTPServer.address_family = socket.AF_INET6
    ThreadingHTTPServer((host.strip("[]"), int(port)), Ollama).serve_forever()

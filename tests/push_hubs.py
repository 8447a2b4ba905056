"""Both hubs as far as a model is sent to them: their own upload protocols, on this machine."""

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_secret0123456789"


@dataclass
class PushHub:
    """A server that takes models. repos: files by name, of each model. blobs: weights by their SHA-256. puts: the blobs
    that were sent, in their order. fail_after: so many blobs are taken, then the connection breaks once.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    slow_s: float = 0.0
    fail_after: int | None = None

    def __enter__(self) -> "PushHub":
        hub = self

        class Handler(_Answer):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: PushHub

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/blob/"):
            return self._blob(body)
        if TOKEN not in (self.headers.get("Authorization") or "") + (self.headers.get("Cookie") or ""):
            return self._send(401, {"error": "Invalid credentials", "Message": "bad token"})
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, self.path.partition("?")[0])
            if method == self.command and found:
                return answer(self, body, *found.groups())
        return self._send(404, {"error": f"{self.command} {self.path}"})

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _blob(self, body: bytes) -> None:
        oid = self.path.removeprefix("/blob/")
        if self.hub.fail_after == len(self.hub.puts):
            self.hub.fail_after = None
            self.close_connection = True
            return
        time.sleep(self.hub.slow_s)
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.puts.append(oid)
        self.hub.blobs[oid] = body
        self._send(200, {})

    def _batch(self, body: bytes, _repo: str) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            told = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.blobs:
                told["actions"] = {"upload": {"href": f"{self.hub.url}/blob/{one['oid']}"}}
            objects.append(told)
        found = {"transfer": "basic", "objects": objects}
        self._send(200, {"Code": 200, "Success": True, "Data": found} if "/api/v1/" in self.path else found)

    # Hugging Face ---------------------------------------------------------------------------------------------------
    def _hf_create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        known = repo in self.hub.repos
        self.hub.repos.setdefault(repo, {})
        self.hub.private.setdefault(repo, asked.get("private", asked.get("visibility") == "private"))
        self._send(409 if known else 200, {"url": f"{self.hub.url}/{repo}", "name": repo})

    def _hf_preupload(self, body: bytes, _repo: str) -> None:
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith((".safetensors", ".gguf")) else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(body)["files"]
        ]
        self._send(200, {"files": files})

    def _hf_commit(self, body: bytes, repo: str) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.hub.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.repos[repo][value["path"]] = self.hub.blobs[value["oid"]]
        self._send(200, {"commitUrl": f"{self.hub.url}/{repo}/commit/0", "commitOid": "0" * 40, "success": True})

    def _hf_card(self, _body: bytes) -> None:
        self._send(200, {"errors": [], "warnings": []})

    # ModelScope -----------------------------------------------------------------------------------------------------
    def _ms_create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['Path']}/{asked['Name']}"
        if repo in self.hub.repos:  # its client asks again before each file
            return self._send(400, {"Code": 400, "Success": False, "Message": "the model already exists"})
        self.hub.repos[repo] = {}
        self.hub.private[repo] = asked["Visibility"] == 1
        return self._send(200, {"Code": 200, "Success": True, "Data": {"Path": asked["Path"], "Name": asked["Name"]}})

    def _ms_info(self, _body: bytes, repo: str) -> None:
        if repo not in self.hub.repos:
            return self._send(404, {"Code": 10010205001, "Success": False, "Message": "not found"})
        owner, name = repo.split("/")
        found = {"Path": owner, "Name": name, "id": repo, "owner": owner, "name": name}
        return self._send(200, {"Code": 200, "Success": True, "success": True, "Data": found, "data": found})

    def _ms_commit(self, body: bytes, repo: str) -> None:
        for one in json.loads(body)["actions"]:
            lfs = one["type"] == "lfs"
            content = self.hub.blobs[one["sha256"]] if lfs else base64.b64decode(one["content"])
            self.hub.repos[repo][one["path"]] = content
        self._send(200, {"Code": 200, "Success": True, "Data": {"oid": "0"}})


_REPO = r"([\w.-]+/[\w.-]+)"
_ROUTES = (
    ("POST", r"/api/repos/create", _Answer._hf_create),
    ("POST", r"/api/validate-yaml", _Answer._hf_card),
    ("POST", rf"/api/models/{_REPO}/preupload/main", _Answer._hf_preupload),
    ("POST", rf"/api/models/{_REPO}/commit/main", _Answer._hf_commit),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _Answer._batch),
    ("POST", rf"/api/v1/repos/models/{_REPO}/info/lfs/objects/batch", _Answer._batch),
    ("POST", r"/api/v1/models", _Answer._ms_create),
    ("GET", rf"/(?:api/v1|openapi/v1)/models/{_REPO}", _Answer._ms_info),
    ("POST", rf"/api/v1/repos/models/{_REPO}/commit/master", _Answer._ms_commit),
)

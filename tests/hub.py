"""A model hub on loopback that speaks the protocols of Hugging Face and ModelScope, and misbehaves when told to.

Large files are answered, as by the real hubs, with a redirect to a storage host that must never see the token.
"""

import fnmatch
import hashlib
import json
import random
import re
import struct
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "a1b2c3d4" * 5
LARGE = 100_000  # bytes from which a file is stored as LFS


def tiny_model(seed: int = 0, size: int = 1_500_000) -> dict[str, bytes]:
    """Return the files of a small model: two shards of about `size` bytes each, config, tokenizer, a folder and a dot
    file.
    """
    chance = random.Random(seed)
    shards = {
        f"model-0000{part}-of-00002.safetensors": safetensors(f"layer{part}.weight", chance.randbytes(size))
        for part in (1, 2)
    }
    index = {
        "metadata": {},
        "weight_map": {
            "layer1.weight": "model-00001-of-00002.safetensors",
            "layer2.weight": "model-00002-of-00002.safetensors",
        },
    }
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "seed": seed}
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        **shards,
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b"{}",
        "README.md": "# 小模型\n".encode(),
        "extra/note.txt": b"in a folder\n",
        ".gitattributes": b"*.safetensors filter=lfs\n",
    }


def safetensors(name: str, data: bytes) -> bytes:
    """Return a safetensors file that holds `data` as one tensor of bytes."""
    header = json.dumps({name: {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


@dataclass
class Fault:
    """What goes wrong with the files that match, so many times: a status, a cut after so many bytes, flipped bytes, a
    wrong size.
    """

    pattern: str
    status: int = 0
    cut: int = 0
    corrupt: bool = False
    listed_size: int | None = None
    times: int = 10**9
    headers: dict = field(default_factory=dict)


@dataclass
class Hub:
    """The server. `models` is {owner/name: {path: bytes}}; `tokens` {owner/name: token} makes a model gated; `rate` is
    bytes a second.

    `datasets` are of the same form.
    """

    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    rate: float | None = None
    served: int = 0  # bytes of files
    requests: list[tuple[str, str, dict]] = field(default_factory=list)  # method, path, headers

    def __enter__(self) -> "Hub":
        hub = self

        class Handler(_Answer):
            pass

        Handler.hub = hub
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # clients that are killed in the middle are what this hub is for
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fault(self, pattern: str, **what) -> Fault:
        """Let something go wrong with the files that match (`*list*` is the listing itself); return it, to be taken
        back.
        """
        self.faults.append(Fault(pattern, **what))
        return self.faults[-1]

    def take(self, path: str, *kinds: str) -> Fault | None:
        """Return the fault of one of these kinds that now strikes a file, and count it."""
        with self.lock:
            for fault in self.faults:
                if (
                    fault.times > 0
                    and fnmatch.fnmatch(path, fault.pattern)
                    and any(getattr(fault, kind) not in (0, False, None) for kind in kinds)
                ):
                    fault.times -= 1
                    return fault
        return None

    def gets(self, pattern: str) -> list[dict]:
        """Return the headers of the GET requests whose path matches."""
        return [
            headers for method, path, headers in self.requests if method == "GET" and fnmatch.fnmatch(path, pattern)
        ]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_) -> None:
        """Say nothing: tests read `hub.requests`."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        address = urlsplit(self.path)
        path, query = unquote(address.path), {key: values[0] for key, values in parse_qs(address.query).items()}
        self.hub.requests.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        routes = [
            (r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", partial(self.hf_info, self.hub.models)),
            (r"/api/datasets/([^/]+/[^/]+)(?:/revision/(.+))?", partial(self.hf_info, self.hub.datasets)),
            (rf"/datasets/([^/]+/[^/]+)/resolve/(main|{COMMIT})/(.+)", partial(self.hf_file, self.hub.datasets)),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", partial(self.hf_file, self.hub.models)),
            (r"/api/v1/models/([^/]+/[^/]+)/repo/files", self.ms_list),
            (r"/api/v1/models/([^/]+/[^/]+)/repo", self.ms_file),
            (r"/api/v1/models/([^/]+/[^/]+)", self.ms_info),
            (r"/api/v1/datasets/(\d+|[^/]+/[^/]+)/repo/tree", self.ms_data_tree),
            (r"/api/v1/datasets/([^/]+/[^/]+)/repo", self.ms_data_file),
            (r"/api/v1/datasets/([^/]+/[^/]+)", self.ms_data_info),
            (
                r"/datasets/([^/]+/[^/]+)/resolve/master/(.+)",
                lambda query, repo, path: self.ms_data_file({"FilePath": path}, repo),
            ),
            (r"/storage/([0-9a-f]{64})", self.storage),
            (r"/web/.*", lambda _: self.plain(200, "a page of another site")),
        ]
        for pattern, handle in routes:
            if match := re.fullmatch(pattern, path):
                return handle(query, *match.groups())
        return self.plain(404, {"error": "no such page"})

    # Hugging Face
    # ----------------------------------------------------------------------------------------------

    def hf_info(self, held: dict, query: dict, repo: str, revision: str | None) -> None:
        if self.strikes("list") or self.hf_refuses(held, repo, revision or "main", gate=False):
            return
        files = []
        for path, data in held[repo].items():
            one = {
                "rfilename": path,
                "size": self.listed_size(path, data),
                "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            }
            if len(data) >= LARGE:
                one["lfs"] = {"size": one["size"], "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
            files.append(one if query.get("blobs") else {"rfilename": path})
        gated = "manual" if repo in self.hub.tokens else False
        self.plain(
            200,
            {
                "id": repo,
                "modelId": repo,
                "sha": COMMIT,
                "private": False,
                "gated": gated,
                "tags": [],
                "downloads": 0,
                "siblings": files,
            },
        )

    def hf_file(self, held: dict, _: dict, repo: str, revision: str, path: str) -> None:
        if self.hf_refuses(held, repo, revision, gate=True) or self.strikes(path):
            return
        data = held[repo].get(path)
        if data is None:
            return self.plain(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        sha256 = hashlib.sha256(data).hexdigest()
        about = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        if len(data) < LARGE:
            return self.bytes_of(path, data, about)
        about |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{sha256}"'}
        self.to_storage(sha256, about)

    def hf_refuses(self, held: dict, repo: str, revision: str, gate: bool) -> bool:
        if repo not in held:
            self.plain(
                401, {"error": "Invalid username or password."}, {"X-Error-Message": "Invalid username or password."}
            )
        elif revision not in ("main", COMMIT):
            self.plain(404, {"error": f"Invalid rev id: {revision}"}, {"X-Error-Code": "RevisionNotFound"})
        elif gate and repo in self.hub.tokens and not self.knows_token(repo):
            status = 403 if self.headers.get("Authorization") else 401
            self.plain(status, {"error": "Access to this model is restricted."}, {"X-Error-Code": "GatedRepo"})
        else:
            return False
        return True

    # ModelScope
    # ----------------------------------------------------------------------------------------------

    def ms_info(self, _: dict, repo: str) -> None:
        if not self.ms_refuses(repo, "master"):
            self.plain(
                200,
                {
                    "Code": 200,
                    "Success": True,
                    "Data": {"Id": 1, "Path": repo.split("/")[0], "Name": repo.split("/")[1]},
                },
            )

    def ms_list(self, query: dict, repo: str) -> None:
        if self.strikes("list") or self.ms_refuses(repo, query.get("Revision", "master")):
            return
        files = [{"Name": "extra", "Path": "extra", "Type": "tree", "Size": 0, "Sha256": "", "Revision": COMMIT}]
        files += [
            {
                "Name": path.rpartition("/")[2],
                "Path": path,
                "Type": "blob",
                "Size": self.listed_size(path, data),
                "Revision": COMMIT,
                "Sha256": hashlib.sha256(data).hexdigest(),
                "IsLFS": len(data) >= LARGE,
                "CommittedDate": 0,
            }
            for path, data in self.hub.models[repo].items()
        ]
        self.plain(200, {"Code": 200, "Success": True, "Data": {"Files": files, "LatestCommitter": {}}})

    def ms_file(self, query: dict, repo: str) -> None:
        path = query["FilePath"]
        if self.ms_refuses(repo, query.get("Revision", "master")) or self.strikes(path):
            return
        data = self.hub.models[repo].get(path)
        if data is None:
            return self.plain(404, {"Code": 10010205001, "Message": "文件不存在", "Success": False})
        if len(data) < LARGE:
            return self.bytes_of(path, data, {}, ranges=False)
        self.to_storage(hashlib.sha256(data).hexdigest(), {})

    def ms_refuses(self, repo: str, revision: str) -> bool:
        if repo not in self.hub.models:
            self.plain(404, {"Code": 10010205001, "Message": "模型不存在", "Success": False})
        elif revision != "master":
            self.plain(404, {"Code": 10010205002, "Message": "版本不存在", "Success": False})
        elif repo in self.hub.tokens and not self.knows_token(repo):
            status = 403 if self.headers.get("Authorization") else 401
            self.plain(status, {"Code": 10010205003, "Message": "无权访问", "Success": False})
        else:
            return False
        return True

    def ms_data_info(self, _: dict, repo: str) -> None:
        if repo not in self.hub.datasets:
            return self.plain(404, {"Code": 10010205001, "Message": "数据集不存在", "Success": False})
        number = list(self.hub.datasets).index(repo) + 1
        self.plain(
            200, {"Code": 200, "Success": True, "Data": {"Id": number, "Type": 4}}
        )  # 4: files as on Hugging Face, no script

    def ms_data_tree(self, query: dict, name: str) -> None:
        files = list(self.hub.datasets.values())[int(name) - 1] if name.isdecimal() else self.hub.datasets.get(name)
        if files is None:
            return self.plain(404, {"Code": 10010205001, "Message": "数据集不存在", "Success": False})
        listed = [
            {"Name": path, "Path": path, "Type": "blob", "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest()}
            for path, data in files.items()
        ]
        self.plain(
            200, {"Code": 200, "Success": True, "Data": {"Files": listed if query.get("PageNumber") == "1" else []}}
        )

    def ms_data_file(self, query: dict, repo: str) -> None:
        data = self.hub.datasets[repo].get(query["FilePath"])
        if data is None:
            return self.plain(404, {"Code": 10010205001, "Message": "文件不存在", "Success": False})
        self.bytes_of(query["FilePath"], data, {})

    # Both
    # ----------------------------------------------------------------------------------------------

    def knows_token(self, repo: str) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.tokens[repo]}"

    def listed_size(self, path: str, data: bytes) -> int:
        fault = self.hub.take(path, "listed_size")
        return fault.listed_size if fault else len(data)

    def strikes(self, path: str) -> bool:
        fault = self.hub.take(path, "status")
        if fault:
            self.plain(
                fault.status, {"error": "told to fail", "Code": fault.status, "Message": "told to fail"}, fault.headers
            )
        return bool(fault)

    def to_storage(self, sha256: str, headers: dict) -> None:
        # Another host name for the same server, as the hubs' storage is another host: a client must not send the token
        # there.
        self.plain(302, None, {**headers, "Location": f"http://localhost:{self.hub.port}/storage/{sha256}"})

    def storage(self, _: dict, sha256: str) -> None:
        for files in (*self.hub.models.values(), *self.hub.datasets.values()):
            for path, data in files.items():
                if len(data) >= LARGE and hashlib.sha256(data).hexdigest() == sha256:
                    return self.bytes_of(path, data, {"ETag": f'"{sha256}"'})
        self.plain(404, {"error": "no such object"})

    def bytes_of(self, path: str, data: bytes, headers: dict, ranges: bool = True) -> None:
        if self.hub.take(path, "corrupt"):
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if ranges else None
        start, end = (int(asked[1]), int(asked[2] or len(data) - 1)) if asked else (0, len(data) - 1)
        if asked and start >= len(data):
            return self.plain(416, None, {"Content-Range": f"bytes */{len(data)}"})
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        for key, value in {**headers, "Content-Length": str(end + 1 - start), "Accept-Ranges": "bytes"}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.send_slowly(path, data[start : end + 1])

    def send_slowly(self, path: str, body: bytes) -> None:
        fault = self.hub.take(path, "cut")
        body, step = body[: fault.cut] if fault else body, 64 * 1024
        for start in range(0, len(body), step):
            chunk = body[start : start + step]
            try:
                self.wfile.write(chunk)
            except OSError:  # the client is gone
                self.close_connection = True
                return
            with self.hub.lock:
                self.hub.served += len(chunk)
            if self.hub.rate:
                time.sleep(len(chunk) / self.hub.rate)
        if fault:
            self.wfile.flush()
            self.connection.shutdown(2)
            self.close_connection = True

    def plain(self, status: int, body: object, headers: dict | None = None) -> None:
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

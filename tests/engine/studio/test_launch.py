"""launch.py: what is installed, what is noticed, and what a person is told when it cannot go on."""

import ast
import base64
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, costs_at_most, free_port
from packaging.requirements import Requirement

import launch
from studio.core import installing, installing_by_uv

SET_UP = installing.is_installed(launch.VENV, launch.LOCK)


def make_wheel(folder: Path, version: str, files: int = 1) -> str:
    """Write the wheel of a package `lodger` with that many modules into `folder`, and return its line for a lock."""
    content = {f"lodger/part{number:05}.py": f"NUMBER = {number}\n" for number in range(files)} | {
        "lodger/__init__.py": f'VERSION = "{version}"\n'
    }
    info = f"lodger-{version}.dist-info"
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: lodger\nVersion: {version}\n"
    content[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for name, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    content[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = folder / f"lodger-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in content.items():
            wheel.writestr(name, text)
    return f"lodger=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="session")
def empty_venv(tmp_path_factory):
    """A venv as launch.py makes it, in the place of one whose making was cut off, to be copied: it takes seconds."""
    venv = tmp_path_factory.mktemp("venv") / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    installing.make_venv(venv, launch.Voice("en"))
    return venv


@pytest.fixture
def place(tmp_path, empty_venv, monkeypatch):
    """A folder with a venv, room for a lock, and a pip that knows only the wheels beside it."""
    shutil.copytree(empty_venv, tmp_path / ".venv", symlinks=True, ignore=shutil.ignore_patterns("pip"))
    pip = "pip"  # its thousand files are the same for all
    (installing.site_packages(tmp_path / ".venv") / pip).symlink_to(installing.site_packages(empty_venv) / pip)
    (tmp_path / "wheels").mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("STUDIO_WITHOUT_UV", "1")
    return tmp_path


def install(place: Path) -> None:
    installing.install(place / ".venv", place / "requirements.lock", launch.Voice("en"))


def lodger(place: Path, expression: str) -> str:
    """Return what an expression about the installed package says, in the Python of the venv."""
    command = [str(installing.venv_python(place / ".venv")), "-c", f"import lodger; print({expression})"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_lock_is_installed_once_mended_and_a_changed_one_again(place, monkeypatch, capsys):
    lock = place / "requirements.lock"
    lock.write_text(make_wheel(place / "wheels", "1.0"))
    assert not installing.is_installed(place / ".venv", lock)
    install(place)
    told = capsys.readouterr().out
    assert "[1/1]" in told and "lodger" in told
    assert lodger(place, "lodger.VERSION") == "1.0"
    assert not (place / ".venv" / "tmp").exists()

    with monkeypatch.context() as closed:
        closed.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a second start must not run anything"))
        with costs_at_most(0.2):
            install(place)

    # Metadata without RECORD is not taken for an installed package.
    site = installing.site_packages(place / ".venv")
    (site / "lodger-1.0.dist-info" / "RECORD").unlink()
    (site / "lodger" / "part00000.py").unlink()
    (site / "~odger").mkdir()
    installing.stamp_of(place / ".venv", lock).unlink()
    install(place)
    assert (site / "lodger" / "part00000.py").exists() and not (site / "~odger").exists()

    lock.write_text(make_wheel(place / "wheels", "2.0"))
    assert not installing.is_installed(place / ".venv", lock)
    install(place)
    assert lodger(place, "lodger.VERSION") == "2.0"


def test_an_install_that_was_killed_is_picked_up_again(place):
    lock, parts = place / "requirements.lock", 2000
    lock.write_text(make_wheel(place / "wheels", "1.0", parts))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"import launch, pathlib; from studio.core import installing; p = pathlib.Path({str(place)!r})\n"
        "installing.install(p / '.venv', p / 'requirements.lock', launch.Voice('en'))"
    )
    first = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.DEVNULL)
    package = installing.site_packages(place / ".venv") / "lodger"
    while not package.exists() or len(list(package.glob("*.py"))) < 20:
        assert first.poll() is None, "the install ended before it could be killed"
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert len(list(package.glob("part*.py"))) < parts, "killed too late to test anything"
    assert not installing.is_installed(place / ".venv", lock)
    install(place)
    assert len(list(package.glob("part*.py"))) == parts
    assert installing.is_installed(place / ".venv", lock)


@pytest.fixture
def uv(place, monkeypatch):
    """The uv of this machine, or one that pip gets; allowed again."""
    monkeypatch.delenv("STUDIO_WITHOUT_UV")
    found = installing_by_uv.find_uv(installing.venv_python(place / ".venv"), place / "none.lock")
    if found is None:
        pytest.skip("there is no uv on this machine")
    return found


def test_uv_installs_the_same_from_where_pip_looks_and_compiles_it(place, uv, capsys):
    lock = place / "requirements.lock"
    lock.write_text(make_wheel(place / "wheels", "1.0"))
    install(place)
    assert "uv installs them" in capsys.readouterr().out and installing.is_installed(place / ".venv", lock)
    assert lodger(place, "lodger.VERSION") == "1.0"
    assert list((installing.site_packages(place / ".venv") / "lodger" / "__pycache__").glob("part00000.*.pyc"))
    lock.write_text(make_wheel(place / "wheels", "2.0"))
    install(place)
    assert lodger(place, "lodger.VERSION") == "2.0"


def test_what_uv_left_half_placed_is_placed_anew(place, uv, monkeypatch):
    """uv writes RECORD with the rest: what a killed one leaves is taken for installed, by pip too."""
    lock, venv = place / "requirements.lock", place / ".venv"
    lock.write_text(make_wheel(place / "wheels", "1.0"))
    install(place)
    part = installing.site_packages(venv) / "lodger" / "part00000.py"
    for without in ("", "1"):
        monkeypatch.setenv("STUDIO_WITHOUT_UV", without)
        part.unlink()
        installing.stamp_of(venv, lock).unlink()
        installing.begun_in(venv).touch()
        install(place)
        assert part.is_file() and not installing.begun_in(venv).exists(), without


def test_where_uv_fails_pip_does_it_or_says_what_is_wrong(place, monkeypatch, capsys):
    (place / "uv").write_text('#!/bin/sh\ntest "$1" = --version || { echo no >&2; exit 2; }\n')
    (place / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)
    monkeypatch.delenv("STUDIO_WITHOUT_UV")
    lock = place / "requirements.lock"
    lock.write_text(make_wheel(place / "wheels", "1.0"))
    install(place)
    told = capsys.readouterr().out
    assert "pip takes over" in told and lodger(place, "lodger.VERSION") == "1.0"
    assert not installing.begun_in(place / ".venv").exists()


def test_uv_is_told_where_a_persons_pip_looks(place, monkeypatch):
    python = installing.venv_python(place / ".venv")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    (place / "pip.conf").write_text(
        "[global]\nindex-url = https://one.example/simple\nextra-index-url =\n  https://two.example/simple\n"
        "  https://three.example/simple\ncert = /c.pem\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(place / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")  # takes the place of that of the file
    arguments, environment = installing_by_uv.settings_of_pip(python)
    assert " ".join(arguments) == (
        "--index-url https://mine.example/simple --extra-index-url https://two.example/simple"
        " --extra-index-url https://three.example/simple --index-strategy unsafe-best-match"
    )
    assert environment == {"SSL_CERT_FILE": "/c.pem"}


def test_a_venv_that_was_cut_off_is_made_anew(place):
    python = installing.venv_python(place / ".venv")
    assert subprocess.call([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0


def test_a_wheel_that_was_changed_is_refused(place):
    line = make_wheel(place / "wheels", "1.0")
    make_wheel(place / "wheels", "1.0", files=2)
    (place / "requirements.lock").write_text(line)
    with pytest.raises(installing.Fault) as fault:
        install(place)
    assert fault.value.name == "bad_hash" and not installing.is_installed(place / ".venv", place / "requirements.lock")


def test_no_network_is_told_in_one_sentence(place, monkeypatch, capsys):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    (place / "requirements.lock").write_text(f"six==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(installing.Fault) as fault:
        install(place)
    assert fault.value.name == "no_network" and "six" in fault.value.facts["package"]
    assert "trying again" in capsys.readouterr().out


def test_no_disk_space_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 3 * 10**9, 3 * 10**9))
    with pytest.raises(installing.Fault) as fault:
        installing.install(tmp_path / ".venv", ROOT / "requirements.lock", launch.Voice("en"))
    assert fault.value.name == "no_disk" and fault.value.facts["free"] == "3.0"
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13), (3, 14, 0)])
def test_a_wrong_python_is_refused(version):
    with pytest.raises(installing.Fault) as fault:
        launch.check_python(version)
    assert "3.12" in launch.Voice("en").text(fault.value.name, **fault.value.facts)
    launch.check_python((3, 11, 0))
    launch.check_python((3, 12, 9))


def read_by_launch() -> list[Path]:
    """Return the project's files that are read before launch.py knows that the Python is the right one."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import launch; print(*(one.__file__ for one in"
    code += " sys.modules.values() if (getattr(one, '__file__', '') or '').startswith(sys.argv[1])), sep=chr(10))"
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT) + os.sep]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"launch.py", "installing.py", "flags.py"} <= {os.path.basename(path) for path in found}
    return [Path(path) for path in found]


def test_an_old_python_reads_launch_py_and_is_told(tmp_path):
    for path in read_by_launch():
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))
    old = next(
        (name for name in ("python3.6", "python3.7", "python3.8", "python3.9", "python3.10") if launch.runs(name)), None
    )
    if old:
        told = subprocess.run([old, str(ROOT / "launch.py"), "--language", "en"], capture_output=True, text=True)
        assert told.returncode == 1 and told.stderr.startswith("This is Python 3.") and "Traceback" not in told.stderr


def test_every_sentence_that_is_told_is_written_in_both_languages():
    told = {
        name
        for path in (ROOT / "launch.py", *(ROOT / "studio" / "core").glob("installing*.py"))
        for name in re.findall(r'(?:say|_say|_tell|Fault)\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }
    told |= {"python_better", "python_wrong"}
    told |= set(
        re.findall(r'"launch\.(starter_\w+)"', (ROOT / "studio" / "models" / "starter.py").read_text(encoding="utf-8"))
    )
    findings = [
        node
        for node in ast.walk(ast.parse((ROOT / "studio" / "doctor.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"
    ]
    for key in (finding.args[2] for finding in findings):
        told |= {
            f"doctor_{choice.value}" for choice in ([key.body, key.orelse] if isinstance(key, ast.IfExp) else [key])
        }
    assert len(told) > 50
    for language in ("en", "zh"):
        assert told <= set(launch.Voice(language).words), language


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock", "requirements-uv.lock"])
def test_the_lock_pins_everything_by_hash_and_names_no_place(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(
        r"https?:|--index|--extra|--find-links|--trusted|file:|\.org|\.com|\.cn|/home|/root|/tmp", text
    )
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", text).strip()) if entry]
    assert len(entries) > 5 or name == "requirements-uv.lock" and len(entries) == 1
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==\S+", entry) and "--hash=sha256:" in entry, entry


def test_the_lock_keeps_within_the_ranges_of_pyproject():
    pins = dict(re.findall(r"(?m)^([a-z0-9.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pins["torch"] == "2.11.0"
    for line in project["dependencies"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(pins[wanted.name]), line


@pytest.mark.skipif(not SET_UP, reason="this environment was not set up by launch.py")
def test_a_second_setup_takes_less_than_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, str(ROOT / "launch.py"), "setup"], check=True, stdout=subprocess.DEVNULL)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1


@pytest.mark.skipif(not SET_UP, reason="this environment was not set up by launch.py")
@pytest.mark.parametrize("has_model", [False, True])
def test_a_start_goes_on_without_the_starter_model_and_asks_for_none_beside_others(tmp_path, has_model):
    if has_model:
        (tmp_path / "models" / "mine").mkdir(parents=True)
        (tmp_path / "models" / "mine" / "config.json").write_text("{}")
    offline = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    offline |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, str(ROOT / "launch.py"), "--port", str(taken.getsockname()[1]), "--language", "en"]
        command += ["--workspace", str(tmp_path)]
        done = subprocess.run(command, env=offline, capture_output=True, text=True)
    assert done.returncode == 1 and "is in use" in done.stderr  # it came as far as to open its port
    assert ("could not be downloaded" in done.stderr) is not has_model
    if not has_model:
        command[2:2] = ["setup"]
        done = subprocess.run(command, env=offline, capture_output=True, text=True)
        assert done.returncode == 1 and "could not be downloaded" in done.stderr and "Ready" not in done.stdout


@pytest.mark.skipif(not SET_UP, reason="this environment was not set up by launch.py")
def test_the_command_becomes_the_studio_and_ends_with_it(tmp_path):
    (tmp_path / "models").symlink_to(ROOT / "models")
    port = free_port()
    command = [
        sys.executable,
        str(ROOT / "launch.py"),
        "--port",
        str(port),
        "--workspace",
        str(tmp_path),
        "--language",
        "en",
    ]
    with (tmp_path / "log").open("w+") as log:
        studio = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"SSH_CONNECTION": "1", "LC_ALL": "C.UTF-8"}
        )
        try:
            end = time.time() + 240
            while not launch.answers("127.0.0.1", port):
                assert studio.poll() is None and time.time() < end, (tmp_path / "log").read_text()
                time.sleep(0.02)
            # It listens long before its libraries are read: the port is its own, and who comes now waits for the page.
            assert not launch.is_served("127.0.0.1", port, 0.1) and launch.is_served("127.0.0.1", port, 240)
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=240).status == 200
            taken = subprocess.run(command, capture_output=True, text=True)
            assert taken.returncode == 1 and f"Port {port} is in use" in taken.stderr
        finally:
            studio.terminate()
            studio.wait(timeout=240)
        told = (tmp_path / "log").read_text()
    assert f"http://127.0.0.1:{port}" in told and f"ssh -L {port}:" in told
    assert not launch.answers("127.0.0.1", port)


def test_the_doctor_looks_at_everything_and_says_what_is_missing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "studio.doctor", "127.0.0.1", port, str(tmp_path), "en"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = {line[10:24].strip(): line.split()[0] for line in done.stdout.splitlines()[:-1]}
    assert set(lines) == {
        "Python",
        "driver",
        "CUDA",
        "torch",
        "bf16",
        "bitsandbytes",
        "disk",
        "memory",
        "port",
        "modelscope.cn",
        "huggingface.co",
        "docker",
        "ollama",
        "chromium",
    }
    assert set(lines.values()) <= {"good", "optional", "missing"}
    assert lines["torch"] == lines["bf16"] == lines["bitsandbytes"] == "good" and lines["port"] == "missing"
    assert done.returncode == 1 and done.stderr == ""


def test_the_doctor_tells_a_full_disk_and_a_hub_out_of_reach(tmp_path, monkeypatch):
    from studio import doctor

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 10**9, 10**9))
    assert doctor.check_disk(tmp_path / "not" / "there").state == doctor.MISSING
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    finding = doctor.check_hub("huggingface.co")
    assert finding.state == doctor.OPTIONAL and "refused" in json.dumps(finding.facts, default=str)


def test_a_bare_python_can_start_it():
    """Before the environment is there, the launcher and what it asks of the starter model must do with the standard
    library alone.
    """
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import launch; from studio.models.starter import is_complete;"
        " print(is_complete.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, timeout=240
    )
    assert done.stdout.strip() == "is_complete", done.stderr

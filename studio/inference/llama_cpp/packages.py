"""What of llama.cpp comes from which package, by its hash, and how it is fetched: no compiler, no node."""

import base64
import hashlib
import os
import platform
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child, Output
from studio.core.storage import atomic, files

RELEASE = "v0.5.0"  # of llama.cpp, in the converter and in the library
REGISTRY = "https://registry.npmjs.org"
TIMEOUT_S = 60.0
LOOK_S = 0.2
LOG_END = 8192


@dataclass(frozen=True)
class NpmPackage:
    """A package of npm: its version, and the SHA-512 of its archive in base64."""

    name: str
    version: str
    sha512: str


@dataclass(frozen=True)
class Wheel:
    """A wheel of PyPI: its version, its SHA-256, and what its processor must have, as /proc/cpuinfo names it."""

    name: str
    version: str
    sha256: str
    instructions: frozenset[str] = frozenset()


SOURCE = NpmPackage(
    "node-llama-cpp",
    "3.22.1",
    "bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==",
)
LIBRARIES = {
    ("linux", "x86_64"): NpmPackage(
        "@node-llama-cpp/linux-x64",
        "3.22.1",
        "5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg==",
    ),
    ("linux", "aarch64"): NpmPackage(
        "@node-llama-cpp/linux-arm64",
        "3.22.1",
        "W+7naKCXX9/eEjjFmRS8vvx91QyLXDbeFxexZc3bh/PtQABZgmRL3C0AtYYXn4YGTj/3Qor4lWZn2tpjZFPLdQ==",
    ),
}
# For the processors of all; one that was built for its builder's ends at an instruction that others do not have.
SERVERS = {
    ("linux", "x86_64"): Wheel(
        "xllamacpp",
        "2026.10.11549",
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261",
        frozenset({"avx2", "bmi2", "f16c", "fma"}),
    ),
    ("linux", "aarch64"): Wheel(
        "xllamacpp", "2026.10.11549", "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e"
    ),
}
CPUINFO = Path("/proc/cpuinfo")


def machine() -> tuple[str, str]:
    """Return the system and the processor of this machine, as the packages are sorted by them."""
    return sys.platform, {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())


def library() -> NpmPackage:
    """Return the package of llama.cpp's library for this machine. Raises Problem where there is none."""
    if machine() not in LIBRARIES:
        raise Problem("llama_cpp.no_build", machine=" ".join(machine()))
    return LIBRARIES[machine()]


def server() -> Wheel | None:
    """Return the package of llama.cpp's server for this machine, None where there is none that its processor runs."""
    wheel = SERVERS.get(machine())
    return wheel if wheel and wheel.instructions <= _instructions() else None


def _instructions() -> set[str]:
    """Return what the processor of this machine has beyond the least, nothing where the system does not tell."""
    told = CPUINFO.read_text("utf-8", "replace") if files.is_file(CPUINFO) else ""
    found = re.search(r"(?m)^(?:flags|Features)\s*:(.*)", told)
    return set(found[1].split()) if found else set()


@contextmanager
def making(target: Path, spare: int) -> Iterator[Path]:
    """Give a folder in which something is put together that `put` then moves to `target`; it goes with what is left.

    Args:
        spare: bytes that must be free there.

    Raises:
        Problem: fewer are, or the disk refuses, here or inside of the block.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.clear_beside(target.parent)
        free = shutil.disk_usage(target.parent).free
        if free < spare:
            raise Problem("llama_cpp.no_room", needed=spare / 2**20, free=free / 2**20, path=target.parent)
        with atomic.scratch(target.parent) as scratch:
            yield scratch
    except OSError as error:
        raise Problem("workspace.unwritable", path=error.filename or target, reason=reasons.of(error)) from error


def put(made: Path, target: Path, scratch: Path) -> None:
    """Move what was made in `scratch` to its place; what another release left there goes with `scratch`."""
    if target.exists():
        atomic.move(target, scratch / "old")
    atomic.move(made, target)


def fetch_npm(package: NpmPackage, folder: Path, check: Callable[[], None]) -> Path:
    """Return the archive of a package, fetched into `folder` and as its hash says.

    npm fetches it where it is installed, with whatever mirror and proxy it is set up for; else it comes from the
    registry that npm would use.

    Args:
        check: is called again and again, and may raise to stop.

    Raises:
        Problem: the registry cannot be reached, has no such package, or gives another file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = _by_npm(package, folder, check) if shutil.which("npm") else _by_http(package, folder, check)
    digest = base64.b64encode(_sha512(archive)).decode()
    if digest != package.sha512:
        archive.unlink()
        raise Problem("llama_cpp.other_file", package=package.name, version=package.version)
    return archive


def unpack(archive: Path, folder: Path) -> Path:
    """Return the folder of a package's files, unpacked below `folder`. Raises Problem where the archive is broken."""
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise Problem("llama_cpp.broken", file=archive.name, reason=reasons.of(error)) from error
    return folder / "package"


def install_wheel(wheel: Wheel, folder: Path, scratch: Path, check: Callable[[], None]) -> None:
    """Let pip put a wheel into `folder`. Raises Problem where it cannot."""
    lock = f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
    pip_install(lock, folder, scratch, wheel.name, check)


def pip_install(lock: str, folder: Path, scratch: Path, name: str, check: Callable[[], None]) -> None:
    """Let pip put packages into `folder`, without what they depend on.

    Args:
        lock: lines of a requirements file, each with its hash.
        scratch: where pip may write meanwhile.
        name: of the package that is told where it cannot.

    Raises:
        Problem: pip fails.
    """
    file = scratch / "packages.lock"
    file.write_text(lock, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-input", "--require-hashes", "--no-compile"]
    command += ["--disable-pip-version-check", "--target", str(folder), "-r", str(file)]
    # Wheels pass through TMPDIR, and /tmp is often a small disk in memory.
    run(command, scratch / "pip.log", name, check, os.environ | {"TMPDIR": str(scratch)})


def run(
    command: list[str], log: Path, package: str, check: Callable[[], None], environment: dict[str, str] | None = None
) -> None:
    """Run a program that fetches or unpacks a package. Raises Problem with what it said last where it fails."""
    with Child(command, output=Output(log=log), environment=environment, folder=log.parent) as child:
        while child.code is None:
            check()
            _wait(child)
    if child.code:
        said = files.end_of(log, LOG_END).decode("utf-8", "replace").split("\n")
        told = [line.strip() for line in said if "error" in line.lower()] or [line for line in said if line.strip()]
        raise Problem("llama_cpp.not_fetched", package=package, reason=reasons.of_end(child.code, (told or [""])[0]))


def _wait(child: Child) -> None:
    end = time.monotonic() + LOOK_S
    while child.code is None and time.monotonic() < end:
        time.sleep(0.02)


def _by_npm(package: NpmPackage, folder: Path, check: Callable[[], None]) -> Path:
    command = [shutil.which("npm") or "npm", "pack", f"{package.name}@{package.version}", "--pack-destination"]
    run([*command, str(folder)], folder / "npm.log", package.name, check)
    name = f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}.tgz"
    return folder / name


def _by_http(package: NpmPackage, folder: Path, check: Callable[[], None]) -> Path:
    file = folder / f"{package.name.rpartition('/')[2]}-{package.version}.tgz"
    address = f"{registry()}/{package.name}/-/{file.name}"
    try:
        with _answer(address) as answer, open(file, "wb") as stream:
            for piece in answer.iter_bytes(2**18):
                check()
                stream.write(piece)
    except httpx.HTTPError as error:
        reason = reasons.network(error)
        raise Problem("llama_cpp.not_fetched", package=package.name, reason=reason) from error
    except OSError as error:
        raise Problem("workspace.unwritable", path=file, reason=reasons.of(error)) from error
    return file


@contextmanager
def _answer(address: str) -> Iterator[httpx.Response]:
    with httpx.stream("GET", address, follow_redirects=True, timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        yield answer


def registry() -> str:
    """Return the address of the npm registry that this machine is set up for."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/")
    settings = Path.home() / ".npmrc"
    text = settings.read_text("utf-8", "replace") if files.is_file(settings) else ""
    found = re.search(r"(?m)^\s*registry\s*=\s*(https?://\S+)", text)
    return found[1].rstrip("/") if found else REGISTRY


def _sha512(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha512").digest()

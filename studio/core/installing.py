"""Installs what a lock pins into an environment of its own, so that a person sees it move.

An install that was cut off is picked up again.

launch.py makes the studio's own environment with this, the studio those of the stages that its own libraries cannot
train. It runs on a bare Python: standard library only, and no syntax newer than Python 3.6, so that an old Python too
gets a sentence instead of a traceback.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from studio.core.installing_by_uv import LOCK as UV_LOCK
from studio.core.installing_by_uv import Progress, UvRun, begun_in, find_uv

# What a whole install takes: 6.4 GB in .venv, and on the way 2.9 GB of wheels.
INSTALL_BYTES = 95 * 10**8
SPARE_BYTES = 10**9
NETWORK_SIGNS = (
    "establish a new connection",
    "name resolution",
    "name or service",
    "no matching distribution",
    "timed out",
    "proxyerror",
    "connection broken",
    "connectionreset",
    "connection reset",
    "max retries",
    "sslerror",
    "incompleteread",
    "protocolerror",
)


class Fault(Exception):
    """Something a person must mend, told in one sentence: the name of the sentence in words/<language>/launch.json, and
    its facts.
    """

    def __init__(self, name, **facts):
        super().__init__(name)
        self.name, self.facts = name, facts


def venv_python(venv):
    """Return the path of the Python inside `venv`."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def stamp_of(venv, lock):
    """Return the file that says which content of `lock` has been installed whole into `venv`."""
    return venv / (lock.name + ".installed")


def is_installed(venv, lock):
    """Tell, in a few milliseconds, whether `lock` as it is now has been installed whole into `venv`."""
    try:
        return (
            venv_python(venv).exists()
            and stamp_of(venv, lock).read_text() == hashlib.sha256(lock.read_bytes()).hexdigest()
        )
    except OSError:
        return False


def make_venv(venv, voice):
    """Make `venv` if it is not there, and make it anew if its making was cut off (it has no pip that runs)."""
    python = venv_python(venv)
    if (
        python.exists()
        and subprocess.call(
            [str(python), "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        == 0
    ):
        return
    voice.say("making_venv", path=venv)
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Fault(
            "no_venv", version="%d.%d" % sys.version_info[:2], reason=(done.stdout.strip().splitlines() or ["?"])[-1]
        )


def check_disk(venv):
    """Raise Fault unless the disk of `venv` has room for what is still to be installed."""
    here = (
        sum(entry.stat().st_size for entry in venv.rglob("*") if entry.is_file() and not entry.is_symlink())
        if venv.exists()
        else 0
    )
    needed = max(SPARE_BYTES, INSTALL_BYTES - here)
    free = shutil.disk_usage(str(venv.parent)).free
    if free < needed:
        raise Fault("no_disk", path=venv.parent, needed="%.1f" % (needed / 1e9), free="%.1f" % (free / 1e9))


def site_packages(venv):
    """Return the folder of `venv` in which packages are installed (one that may not be there yet)."""
    return next(iter(venv.glob("lib/python*/site-packages")), venv / "Lib" / "site-packages")


def clear_torn(venv):
    """Remove what a killed pip left behind, which the next pip would take for installed packages.

    pip writes RECORD last of all, so metadata without it is a torn install; `~name` is an old release that was being
    moved away.
    """
    shutil.rmtree(str(venv / "tmp"), ignore_errors=True)
    site = site_packages(venv)
    torn = [folder for folder in site.glob("*.dist-info") if not (folder / "RECORD").exists()]
    for folder in torn + [path for path in site.glob("~*") if path.is_dir()]:
        shutil.rmtree(str(folder))


def number_of_packages(lock):
    """Return how many packages `lock` pins."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return sum("==" in line and not line.lstrip().startswith("#") for line in lines)


class PipRun:
    """Runs pip so that a person sees it move: pip's own bars on a terminal, one plain line per package in a pipe."""

    def __init__(self, venv, lock, voice):
        self.venv, self.voice = venv, voice
        self.total = number_of_packages(lock)
        self.lock, self.arrived, self.package, self.reported_at = lock, 0, "", time.time()
        self.errors, self.temporary, self.placing = [], venv / "tmp", False

    def run(self, keep_open):
        """Install the lock and return pip's exit code; `keep_open` is a file whose lock pip shares, or None."""
        self.temporary.mkdir(exist_ok=True)
        command = [
            str(venv_python(self.venv)),
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "--no-warn-script-location",
            *(["--force-reinstall"] if begun_in(self.venv).exists() else []),
            "-r",
            str(self.lock),
        ]
        # Wheels pass through TMPDIR: /tmp is often a small disk in memory, and torch alone is half a gigabyte.
        environment = dict(os.environ, TMPDIR=str(self.temporary), PYTHONUNBUFFERED="1")
        piped = not sys.stdout.isatty()
        pip = subprocess.Popen(
            command,
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            pass_fds=[keep_open.fileno()] if keep_open else [],
        )
        ended = threading.Event()
        threads = [
            threading.Thread(target=self._collect, args=(pip.stderr,)),
            threading.Thread(target=self._tick, args=(ended, piped)),
        ]
        for thread in threads:
            thread.start()
        try:
            for line in pip.stdout or ():
                self._read(line)
            return pip.wait()
        finally:
            if pip.poll() is None:
                pip.terminate()
            ended.set()
            for thread in threads:
                thread.join()
            shutil.rmtree(str(self.temporary), ignore_errors=True)

    def fault(self):
        """Return the Fault that pip's errors amount to."""
        output = "".join(self.errors)
        first = next((line.strip() for line in self.errors if line.startswith("ERROR")), output.strip()[-300:] or "pip")
        if "No space left" in output:
            return Fault("no_disk", path=self.venv.parent, needed="%.1f" % (INSTALL_BYTES / 1e9), free="0.0")
        if "DO NOT MATCH THE HASHES" in output:
            return Fault("bad_hash", lock=self.lock.name)
        if any(sign in output.lower() for sign in NETWORK_SIGNS):
            missing = (
                output.rpartition("No matching distribution found for ")[2].split()[:1]
                if "No matching" in output
                else []
            )
            return Fault("no_network", package=missing[0] if missing else self.package or self.lock.name)
        return Fault("pip_failed", reason=first)

    def _read(self, line):
        words = line.split()
        if line.startswith("Ignoring "):
            self.total -= 1
        elif line.startswith(("Collecting ", "Processing ", "Requirement already satisfied: ")):
            self.arrived += 1
            self.package = words[1].replace("==", " ") if words[0] == "Collecting" else ""
            if words[0] == "Processing":
                self._say(
                    "package",
                    number=self.arrived,
                    total=self.total,
                    package=" ".join(Path(words[1]).name.split("-")[:2]),
                )
        elif line.lstrip().startswith(("Downloading ", "Using cached ")) and self.package:
            size = line.strip().rpartition(" (")[2].rstrip(")")
            self._say("package", number=self.arrived, total=self.total, package="%s (%s)" % (self.package, size))
        elif line.startswith("Installing collected packages"):
            self.placing = True
            self._say("installing")

    def _collect(self, stream):
        for line in stream:
            self.errors.append(line)
            if "Retrying" in line:
                self._say("retrying")

    def _tick(self, ended, piped):
        """Tell what moves while pip is silent: bytes that arrive (its bars show them on a terminal), then packages that
        are in place.
        """
        before = self._placed()
        while not ended.wait(1):
            placed = self._placed()
            if time.time() - self.reported_at > 5:
                arrived = sum(path.stat().st_size for path in self.temporary.glob("pip-*/*") if path.is_file())
                if placed > before:
                    self._say("placed", number=min(placed, self.total), total=self.total)
                elif piped and arrived and not self.placing:
                    self._say("arrived", megabytes=arrived // 10**6)
                before = placed

    def _placed(self):
        return sum(1 for _ in site_packages(self.venv).glob("*.dist-info/RECORD"))

    def _say(self, name, **facts):
        self.reported_at = time.time()
        self.voice.say(name, **facts)


def install(venv, lock, voice, keep_open=None):
    """Bring `venv` to exactly what `lock` pins, unless it is there already. Raises Fault with what to do when it
    cannot.
    """
    if is_installed(venv, lock):
        return
    clear_torn(venv)
    check_disk(venv)
    make_venv(venv, voice)
    voice.say("collecting", lock=lock.name)
    if not install_by_uv(venv, lock, voice, keep_open):
        pip = PipRun(venv, lock, voice)
        if pip.run(keep_open):
            raise pip.fault()
        if begun_in(venv).exists():
            begun_in(venv).unlink()
    check = subprocess.run(
        [str(venv_python(venv)), "-m", "pip", "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check.returncode:
        raise Fault("check_failed", reason=check.stdout.strip().splitlines()[0], path=venv)
    beside = stamp_of(venv, lock).with_suffix(".new")
    beside.write_text(hashlib.sha256(lock.read_bytes()).hexdigest())
    beside.replace(stamp_of(venv, lock))
    voice.say("installed", lock=lock.name)


def install_by_uv(venv, lock, voice, keep_open):
    """Install the lock by uv, and tell whether that was done; where it was not, pip has all to do."""
    python = venv_python(venv)
    uv = find_uv(python, lock.with_name(UV_LOCK))
    if uv is None:
        return False
    voice.say("uv_waiting")
    run = UvRun(uv, python, lock, Progress(site_packages(venv), number_of_packages(lock), voice.say))
    if run.run(keep_open) == 0:
        return True
    voice.say("uv_failed")
    return False


def hold_alone(voice):
    """Wait until no other launch sets up this folder, and return the file that keeps others out (None where the system
    has no such lock).

    pip inherits the file, so that a second launch also waits for the pip of a first one that was killed.
    """
    if os.name == "nt":
        return None
    import fcntl

    file = open(__file__)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        voice.say("waiting")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file

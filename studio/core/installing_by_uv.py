"""uv, which installs what a lock pins several times as fast as pip: found on this machine, or put into the environment
first.

It is never needed: whatever goes wrong with it, pip does the work and says what is wrong. Like installing.py, this runs
on a bare Python.
"""

import collections
import os
import shutil
import subprocess
import sys
import threading
import time

# The environment variable that keeps uv out of it, and the settings of pip that uv is given, which reads none of them.
WITHOUT_UV = "STUDIO_WITHOUT_UV"
_PASSED_ON = {"index-url": "--index-url", "extra-index-url": "--extra-index-url", "find-links": "--find-links"}
LOCK = "requirements-uv.lock"


def find_uv(python, lock):
    """Return a uv that runs, as the beginning of a command: this machine's, or one that pip puts beside `python` by
    `lock`. None where there is none.
    """
    if os.environ.get(WITHOUT_UV):
        return None
    inside = [str(python), "-m", "uv"]
    here = shutil.which("uv")
    for command in ([here] if here else None, inside):
        if command and _is_well(command + ["--version"]):
            return command
    if not lock.is_file():
        return None
    pip = [str(python), "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input", "--only-binary", ":all:"]
    quick = ["--disable-pip-version-check", "--retries", "0", "-r", str(lock)]
    return inside if _is_well(pip + quick) and _is_well(inside + ["--version"]) else None


def _is_well(command):
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def settings_of_pip(python):
    """Return (arguments, environment): where a person's pip looks for packages, as uv is told it."""
    told = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    kept = {}
    for line in told.stdout.splitlines():
        name, _, value = line.partition("=")
        where, _, key = name.rpartition(".")
        if where in ("global", "install", ":env:") and (where == ":env:" or key not in kept or where == "install"):
            kept[key] = value.strip().strip("'\"").replace("\\n", " ")
    arguments, environment = [], {}
    for key, flag in _PASSED_ON.items():
        for value in kept.get(key, "").split():
            arguments += [flag, value]
    if kept.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        arguments.append("--no-index")
    if kept.get("cert"):
        environment["SSL_CERT_FILE"] = kept["cert"]
    if kept.get("proxy"):
        environment["ALL_PROXY"] = kept["proxy"]
    # One index hides none of the others, as with pip: what comes is held by its hash.
    return arguments + ["--index-strategy", "unsafe-best-match"], environment


def begun_in(venv):
    """Return a file that stands while uv installs into `venv`. Left there, what is in it may look whole and is not."""
    return venv / "uv.begun"


# site: the folder in which packages are installed. total: their number. say: tells a sentence of launch.json, with its
# facts.
Progress = collections.namedtuple("Progress", "site total say")


class UvRun:
    """Runs uv so that a person sees it move: uv's own bars on a terminal, a line for each large package in a pipe."""

    def __init__(self, uv, python, lock, progress):
        """uv: the command, as a list. python: of the environment. progress: what of it is told, see `Progress`."""
        self.uv, self.python, self.lock = uv, python, lock
        self.site, self.total, self.say = progress
        self.begun, self.reported_at, self.waited_for = begun_in(self.python.parents[1]), time.time(), []

    def run(self, keep_open):
        """Install the lock and return uv's exit code; `keep_open` is a file whose lock uv shares, or None."""
        arguments, environment = settings_of_pip(self.python)
        # Compiled here, and by all cores: the first start would do it, module by module.
        command = self.uv + ["pip", "install", "--python", str(self.python), "--require-hashes", "--no-deps"]
        command += ["--compile-bytecode"] + (["--reinstall"] if self.begun.exists() else []) + arguments
        self.begun.touch()
        piped = not sys.stdout.isatty()
        uv = subprocess.Popen(
            command + ["-r", str(self.lock)],
            stdout=subprocess.DEVNULL if piped else None,
            stderr=subprocess.PIPE if piped else None,
            env=dict(os.environ, **environment),
            universal_newlines=True,
            pass_fds=[keep_open.fileno()] if keep_open else [],
        )
        ended = threading.Event()
        ticking = threading.Thread(target=self._tick, args=(ended,))
        ticking.start()
        try:
            for line in uv.stderr or ():
                self._read(line)
            code = uv.wait()
            if code == 0:
                self.begun.unlink()
            return code
        finally:
            if uv.poll() is None:
                uv.terminate()
            ended.set()
            ticking.join()

    def _read(self, line):
        words = line.split()
        if words[:1] == ["Resolved"] and words[1].isdigit():
            self.total = int(words[1])  # those of this system: the lock pins for all
        elif words[:1] == ["Downloading"] and len(words) == 3:
            self.waited_for.append(words[1])
            self._tell("uv_downloading", package=words[1], size=words[2].strip("()"))
        elif words[:1] == ["Downloaded"] and words[1] in self.waited_for:
            self.waited_for.remove(words[1])
        elif words[:1] == ["Prepared"]:
            self._tell("uv_placing")
        elif words[:1] == ["Installed"]:
            self._tell("uv_compiling")

    def _tick(self, ended):
        before = self._placed()
        while not ended.wait(1):
            if time.time() - self.reported_at > 5:
                placed = self._placed()
                if placed != before:
                    self._tell("placed", number=min(placed, self.total), total=self.total)
                elif self.waited_for:
                    self._tell("uv_waited_for", packages=", ".join(self.waited_for[:4]), number=len(self.waited_for))
                before = placed

    def _placed(self):
        return sum(1 for _ in self.site.glob("*.dist-info/RECORD"))

    def _tell(self, name, **facts):
        self.reported_at = time.time()
        self.say(name, **facts)

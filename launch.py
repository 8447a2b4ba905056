#!/usr/bin/env python3
"""Set the studio up and open it: `python3 launch.py` is the one command a person needs.

    python3 launch.py           make .venv, install requirements.lock, fetch the starter model, start the studio
    python3 launch.py setup     all of that but the start
    python3 launch.py test ...  set up, add what the tests need, and run pytest with the arguments that follow
    python3 launch.py doctor    look the machine over: what is good, what is missing, how to mend it

Standard library only, and no syntax newer than Python 3.6, so that an old Python too gets a sentence instead of a
traceback.
"""

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "requirements-test.lock"
PYTHONS = ((3, 11), (3, 12))
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  what a person may ask for, with a password
PORTS = range(7860, 7960)
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


class Voice:
    """Speaks to the person in the language of `--language`, or of the machine."""

    def __init__(self, language=None):
        spoken = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
        self.language = language or ("zh" if spoken.startswith("zh") else "en")
        path = ROOT / "studio" / "core" / "words" / self.language / "launch.json"
        self.words = json.loads(path.read_text(encoding="utf-8"))

    def text(self, name, **facts):
        """Return the sentence `name` with `facts` put in."""
        return self.words[name].format(**facts)

    def say(self, name, **facts):
        """Print the sentence `name`, at once, also into a pipe."""
        print(self.text(name, **facts), flush=True)


def check_python(version=sys.version_info):
    """Raise Fault unless this Python is one that every pinned package has a build for."""
    if tuple(version[:2]) not in PYTHONS:
        better = next((name for name in ("python3.12", "python3.11") if runs(name)), None)
        raise Fault("python_better" if better else "python_wrong", found="%d.%d.%d" % tuple(version[:3]), better=better)


def runs(python):
    """Tell whether a Python of that name is there and starts (a version manager leaves names on PATH that do not)."""
    return (
        bool(shutil.which(python))
        and subprocess.call([python, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    )


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


class PipTeller:
    """Runs pip so that a person sees it move: pip's own bars on a terminal, one plain line per package in a pipe."""

    def __init__(self, venv, lock, voice):
        self.venv, self.voice = venv, voice
        self.total = sum(
            "==" in line and not line.lstrip().startswith("#") for line in lock.read_text(encoding="utf-8").splitlines()
        )
        self.lock, self.seen, self.package, self.told = lock, 0, "", time.time()
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
        told = "".join(self.errors)
        first = next((line.strip() for line in self.errors if line.startswith("ERROR")), told.strip()[-300:] or "pip")
        if "No space left" in told:
            return Fault("no_disk", path=self.venv.parent, needed="%.1f" % (INSTALL_BYTES / 1e9), free="0.0")
        if "DO NOT MATCH THE HASHES" in told:
            return Fault("bad_hash", lock=self.lock.name)
        if any(sign in told.lower() for sign in NETWORK_SIGNS):
            missing = (
                told.rpartition("No matching distribution found for ")[2].split()[:1] if "No matching" in told else []
            )
            return Fault("no_network", package=missing[0] if missing else self.package or self.lock.name)
        return Fault("pip_failed", reason=first)

    def _read(self, line):
        words = line.split()
        if line.startswith("Ignoring "):
            self.total -= 1
        elif line.startswith(("Collecting ", "Processing ", "Requirement already satisfied: ")):
            self.seen += 1
            self.package = words[1].replace("==", " ") if words[0] == "Collecting" else ""
            if words[0] == "Processing":
                self._say(
                    "package", number=self.seen, total=self.total, package=" ".join(Path(words[1]).name.split("-")[:2])
                )
        elif line.lstrip().startswith(("Downloading ", "Using cached ")) and self.package:
            size = line.strip().rpartition(" (")[2].rstrip(")")
            self._say("package", number=self.seen, total=self.total, package="%s (%s)" % (self.package, size))
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
            if time.time() - self.told > 5:
                arrived = sum(path.stat().st_size for path in self.temporary.glob("pip-*/*") if path.is_file())
                if placed > before:
                    self._say("placed", number=min(placed, self.total), total=self.total)
                elif piped and arrived and not self.placing:
                    self._say("arrived", megabytes=arrived // 10**6)
                before = placed

    def _placed(self):
        return sum(1 for _ in site_packages(self.venv).glob("*.dist-info/RECORD"))

    def _say(self, name, **facts):
        self.told = time.time()
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
    teller = PipTeller(venv, lock, voice)
    if teller.run(keep_open):
        raise teller.fault()
    check = subprocess.run(
        [str(venv_python(venv)), "-m", "pip", "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check.returncode:
        raise Fault("check_failed", reason=check.stdout.strip().splitlines()[0], path=venv)
    beside = stamp_of(venv, lock).with_suffix(".new")
    beside.write_text(hashlib.sha256(lock.read_bytes()).hexdigest())
    beside.replace(stamp_of(venv, lock))
    voice.say("installed", lock=lock.name)


def setup(workspace, voice, locks=(LOCK,), starter=True):
    """Do whatever is missing before the studio can start: environment, packages, and unless it only looks the starter
    model.
    """
    from studio.models.starter import NAME, is_complete

    if all(is_installed(VENV, lock) for lock in locks) and (not starter or is_complete(workspace / "models" / NAME)):
        return
    alone = hold_alone(voice)
    for lock in locks:
        install(VENV, lock, voice, alone)
    if starter and not is_complete(workspace / "models" / NAME):
        command = [str(venv_python(VENV)), "-m", "studio.models.starter", str(workspace / "models"), voice.language]
        code = subprocess.call(command, cwd=str(ROOT))
        if code:
            sys.exit(code)
    if alone:
        alone.close()


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


def answers(host, port):
    """Tell whether something listens on `port` of `host`."""
    try:
        socket.create_connection(("127.0.0.1" if host in EVERYWHERE else host, port), timeout=0.5).close()
        return True
    except OSError:
        return False


def is_alive(process):
    """Tell whether a process of this number is there."""
    try:
        os.kill(process, 0)
        return True
    except OSError:
        return False


def show(host, port, voice, scheme="http", studio=None):
    """Wait until the studio answers (two minutes at most) and open it in a browser where there is a display; over ssh
    say how to reach it.

    The studio prints its address itself. The browser is on this machine, so a sub-path, which only a proxy shows, is
    left out.
    """
    end = time.time() + 120
    while not answers(host, port):
        if time.time() > end or studio and not is_alive(studio):
            return
        time.sleep(0.1)
    away = bool(os.environ.get("SSH_CONNECTION"))
    if away and host in ("127.0.0.1", "localhost"):
        voice.say("forward", port=port, machine=socket.gethostname())
    elif not away and (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        shown = "127.0.0.1" if host in EVERYWHERE else "[%s]" % host if ":" in host else host
        webbrowser.open("%s://%s:%d/" % (scheme, shown, port))


def start(options, voice):
    """Become the studio: on POSIX this very process turns into it, so that signals and the exit code are the studio's
    own.
    """
    port = options.port or next((port for port in PORTS if not answers(options.host, port)), PORTS[0])
    if answers(options.host, port):
        raise Fault("port_taken", port=port)
    command = [
        str(venv_python(VENV)),
        "-m",
        "studio",
        "--host",
        options.host,
        "--port",
        str(port),
        "--workspace",
        str(options.workspace),
    ]
    for flag, value in (
        ("--root-path", options.root_path),
        ("--auth-file", options.auth_file),
        ("--language", options.language),
        ("--ssl-certfile", options.ssl_certfile),
        ("--ssl-keyfile", options.ssl_keyfile),
    ):
        command += [flag, str(value)] if value else []
    for flag, values in (("--allowed-host", options.allowed_host), ("--framed-by", options.framed_by)):
        command += [part for value in values for part in (flag, value)]
    command += ["--look"] if options.look else []
    command += ["--stop-seconds", str(options.stop_seconds)] if options.stop_seconds is not None else []
    if options.auth is not None:
        # In the environment, so that it leaves the list of processes with this command.
        if os.environ.get("STUDIO_AUTH") not in (None, options.auth):
            raise Fault("auth_twice")
        os.environ["STUDIO_AUTH"] = options.auth
        voice.say("auth_seen")
    os.chdir(str(ROOT))
    scheme = "https" if options.ssl_certfile else "http"
    if os.name == "nt":
        threading.Thread(target=show, args=(options.host, port, voice, scheme), daemon=True).start()
        sys.exit(subprocess.call(command))
    studio, child = os.getpid(), os.fork()
    if child == 0:
        # Forked twice, so that the one who opens the browser is no child of the studio and leaves no zombie with it.
        if os.fork() == 0:
            show(options.host, port, voice, scheme, studio)
        os._exit(0)
    os.waitpid(child, 0)
    os.execv(command[0], command)  # noqa: S606  the studio takes the place of this process


def add_browser(voice):
    """Install Chromium and a Chinese font, which the tests of the page need, where this may be done; tell how
    otherwise.
    """
    chromium = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    fonts = shutil.which("fc-list") and subprocess.run(["fc-list", ":lang=zh"], stdout=subprocess.PIPE).stdout.strip()
    if chromium and fonts:
        return
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    sudo = [] if root else ["sudo", "-n"]
    allowed = root or (shutil.which("sudo") and subprocess.call(["sudo", "-n", "true"], stderr=subprocess.DEVNULL) == 0)
    if not (shutil.which("apt-get") and allowed):
        voice.say("browser_by_hand")
        return
    voice.say("browser_installing")
    apt = sudo + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    subprocess.call(apt + ["update"])
    if subprocess.call(apt + ["install", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]):
        voice.say("browser_by_hand")


def parse(arguments):
    """Return the options of a start, a setup or a doctor; `test` hands everything after it to pytest."""
    parser = argparse.ArgumentParser(
        prog="launch.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", nargs="?", choices=("start", "setup", "test", "doctor"), default="start")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (any but 127.0.0.1 demands a password)"
    )
    parser.add_argument("--port", type=int, help="port to listen on (default: the first free one from 7860 on)")
    parser.add_argument("--root-path", metavar="PATH", help="sub-path under which a reverse proxy serves the studio")
    parser.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help="ask for this name and password (seen in the list of processes while setting up)",
    )
    parser.add_argument(
        "--auth-file",
        metavar="FILE",
        type=Path,
        help="take USER:PASSWORD from the first line of a file; or give it in STUDIO_AUTH",
    )
    parser.add_argument(
        "--allowed-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name under which a proxy or a tunnel shows the studio (may be given again)",
    )
    parser.add_argument(
        "--framed-by",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="a page that may show the studio in a frame, such as http://localhost:8888 (may be given again)",
    )
    parser.add_argument("--ssl-certfile", metavar="FILE", type=Path, help="serve https with this certificate (PEM)")
    parser.add_argument(
        "--ssl-keyfile", metavar="FILE", type=Path, help="the key of the certificate (PEM, without a passphrase)"
    )
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        type=Path,
        default=ROOT,
        help="folder of data/, models/ and saves/ (default: this one)",
    )
    parser.add_argument(
        "--look", "--read-only", action="store_true", help="only look at the workspace: nothing in it is changed"
    )
    parser.add_argument(
        "--stop-seconds",
        metavar="N",
        type=float,
        help="how long a run may take to save its checkpoint when the studio is ended (60 when left out)",
    )
    parser.add_argument("--language", choices=("en", "zh"))
    split = arguments.index("test") + 1 if "test" in arguments[:1] else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.pytest = arguments[split:]
    options.workspace = options.workspace.expanduser().resolve()
    for name in (
        "auth_file",
        "ssl_certfile",
        "ssl_keyfile",
    ):  # the studio runs in another folder than the one these are named from
        if getattr(options, name):
            setattr(options, name, Path(os.path.abspath(os.path.expanduser(str(getattr(options, name))))))
    return options


def main(arguments):
    """Do what the command line asks. Returns the exit code of what ended before the studio took over."""
    options = parse(arguments)
    voice = Voice(options.language)
    try:
        check_python()
        if options.verb == "doctor":
            python = str(venv_python(VENV)) if venv_python(VENV).exists() else sys.executable
            command = [
                python,
                "-m",
                "studio.doctor",
                options.host,
                str(options.port or PORTS[0]),
                str(options.workspace),
                voice.language,
            ]
            return subprocess.call(command, cwd=str(ROOT))
        setup(
            options.workspace, voice, (LOCK, TEST_LOCK) if options.verb == "test" else (LOCK,), starter=not options.look
        )
        if options.verb == "test":
            add_browser(voice)
            # All of them go faster in two processes; a few do not.
            return subprocess.call(
                [str(venv_python(VENV)), "-m", "pytest"] + (options.pytest or ["-n", "2", "--dist", "worksteal"]),
                cwd=str(ROOT),
            )
        if options.verb == "start":
            start(options, voice)
        voice.say("ready")
        return 0
    except Fault as fault:
        print(voice.text(fault.name, **fault.facts), file=sys.stderr)
        return 1
    except OSError as error:
        print(voice.text("disk_refuses", path=error.filename or ROOT, reason=error.strerror), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        voice.say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Set the studio up and open it: `python3 launch.py` is the one command a person needs.

    python3 launch.py           make .venv, install requirements.lock, fetch the starter model, start the studio
    python3 launch.py setup     all of that but the start, and the starter model also beside others
    python3 launch.py test ...  set up, add what the tests need, and run pytest with the arguments that follow
    python3 launch.py doctor    look the machine over: what is good, what is missing, how to mend it

Standard library only, and no syntax newer than Python 3.6, so that an old Python too gets a sentence instead of a
traceback.
"""

import argparse
import contextlib
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

from studio import flags as studio_flags
from studio.core import installing

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "requirements-test.lock"
PYTHONS = ((3, 11), (3, 12))
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  what a person may ask for, with a password
PORTS = range(7860, 7960)


class Voice:
    """Speaks to the person in the language of `--language`, or of the machine."""

    def __init__(self, language=None):
        self.language = language or studio_flags.language_of_machine()
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
        raise installing.Fault(
            "python_better" if better else "python_wrong", found="%d.%d.%d" % tuple(version[:3]), better=better
        )


def runs(python):
    """Tell whether a Python of that name is there and starts (a version manager leaves names on PATH that do not)."""
    return (
        bool(shutil.which(python))
        and subprocess.call([python, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    )


def setup(workspace, voice, locks=(LOCK,), starter=True):
    """Do whatever is missing before the studio can start: environment, packages, and if it is to be made the starter
    model. Returns the exit code of what makes that, 0 where nothing is left to be made.
    """
    from studio.models.starter import NAME, is_complete

    code = 0
    if all(installing.is_installed(VENV, lock) for lock in locks) and (
        not starter or is_complete(workspace / "models" / NAME)
    ):
        return code
    alone = installing.hold_alone(voice)
    for lock in locks:
        installing.install(VENV, lock, voice, alone)
    if starter and not is_complete(workspace / "models" / NAME):
        command = [
            str(installing.venv_python(VENV)),
            "-m",
            "studio.models.starter",
            str(workspace / "models"),
            voice.language,
        ]
        code = subprocess.call(command, cwd=str(ROOT))
    if alone:
        alone.close()
    return code


def answers(host, port):
    """Tell whether something listens on `port` of `host`."""
    try:
        socket.create_connection(("127.0.0.1" if host in EVERYWHERE else host, port), timeout=0.5).close()
        return True
    except OSError:
        return False


def is_served(host, port, seconds):
    """Tell whether a page comes from `port` of `host` within so many seconds: a studio listens before it has one."""
    try:
        where = "127.0.0.1" if host in EVERYWHERE else host
        with contextlib.closing(socket.create_connection((where, port), timeout=seconds)) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            connection.recv(1)  # whatever it says, over https that this was none
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
    """Wait until the studio answers, for as long as the process `studio` lives (where that is not known, two minutes),
    and open it in a browser where there is a display; over ssh say how to reach it.

    A first demo works for minutes before it answers. The studio prints its address itself. The browser is on this
    machine, so a sub-path, which only a proxy shows, is left out.
    """
    end = time.time() + 120
    while not is_served(host, port, 30):
        if not is_alive(studio) if studio else time.time() > end:
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
        raise installing.Fault("port_taken", port=port)
    options.port = port
    # Not the password: it would be seen in the list of processes.
    given = studio_flags.command_line(options.flags, options, left_out=("auth",))
    command = [str(installing.venv_python(VENV)), "-m", "studio"] + given
    if options.auth is not None:
        # In the environment, so that it leaves the list of processes with this command.
        if os.environ.get("STUDIO_AUTH") not in (None, options.auth):
            raise installing.Fault("auth_twice")
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
    flags = studio_flags.add(parser, ROOT)
    split = arguments.index("test") + 1 if "test" in arguments[:1] else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.pytest = arguments[split:]
    studio_flags.make_absolute(flags, options)
    options.flags = flags
    return options


def main(arguments):
    """Do what the command line asks. Returns the exit code of what ended before the studio took over."""
    options = parse(arguments)
    voice = Voice(options.language)
    try:
        check_python()
        if options.verb == "doctor":
            python = str(installing.venv_python(VENV)) if installing.venv_python(VENV).exists() else sys.executable
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
        from studio.models.starter import is_wanted  # an old Python cannot read it

        is_start = options.verb == "start"
        code = setup(
            options.workspace,
            voice,
            (LOCK, TEST_LOCK) if options.verb == "test" else (LOCK,),
            starter=not options.look and (not is_start or is_wanted(options.workspace / "models")),
        )
        if code and not is_start:  # the studio opens without the starter model too
            return code
        if options.verb == "test":
            add_browser(voice)
            # One process more than cores: while one waits for a page or a run, another computes. A few tests go faster
            # in one.
            processes = str(min(4, (os.cpu_count() or 1) + 1))
            return subprocess.call(
                [str(installing.venv_python(VENV)), "-m", "pytest"]
                + (options.pytest or ["-n", processes, "--dist", "worksteal"]),
                cwd=str(ROOT),
            )
        if options.verb == "start":
            start(options, voice)
        voice.say("ready")
        return 0
    except installing.Fault as fault:
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

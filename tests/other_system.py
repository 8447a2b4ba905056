"""`python tests/other_system.py SYSTEM ARGUMENTS...`: imports every module of the studio and starts it, while its code
finds what another system has: `win32` or `darwin`.

Libraries have their own ways round and find this machine as it is; what is taken away is taken from the code of the
studio alone.
"""

import builtins
import ctypes
import importlib
import pkgutil
import sys
import types
from pathlib import Path

POSIX_SIGNALS = {"SIGKILL", "SIGHUP", "SIGXCPU", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM", "SIGPIPE"}
# What Python's documentation marks as "Availability: Unix", of what one might use.
POSIX = {
    "os": {"O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "fork", "forkpty", "killpg", "getpgid", "setsid"}
    | {
        "setpgid",
        "geteuid",
        "getuid",
        "getgid",
        "sysconf",
        "statvfs",
        "fstatvfs",
        "uname",
        "nice",
        "getloadavg",
        "wait",
    }
    | {"sched_getaffinity", "sched_setaffinity", "pread", "pwrite", "mkfifo", "chown", "fchdir", "posix_fallocate"}
    | {"sync", "fdatasync", "register_at_fork", "set_blocking"},
    "signal": POSIX_SIGNALS | {"alarm", "setitimer", "pthread_kill", "pthread_sigmask"},
    "select": {"poll", "epoll"},
    "time": {"tzset", "clock_settime"},
}
GONE = {
    "win32": (POSIX, {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline", "crypt"}),
    "darwin": (
        {
            "os": {
                "sched_getaffinity",
                "sched_setaffinity",
                "posix_fallocate",
                "fdatasync",
                "memfd_create",
                "pidfd_open",
            }
        },
        set(),
    ),
}
# A child of the studio makes torch absent for itself; these two are programs.
ALONE = {"studio.core.processes.limited_child", "studio.__main__"}
_import = builtins.__import__


class Poorer(types.ModuleType):
    """A module without some of its names."""

    def __init__(self, whole: types.ModuleType, missing: set[str], **instead: object):
        super().__init__(whole.__name__)
        self.__dict__.update({name: value for name, value in vars(whole).items() if name not in missing} | instead)


def no_library(*_, **__):
    """Fail as the C library does that is asked for by no name, or has not the function."""
    raise OSError("there is no such library on this system")


def pretend(system: str) -> None:
    """Let the code of the studio find that system from now on."""
    missing, modules = GONE[system]
    poorer = {name: Poorer(importlib.import_module(name), names) for name, names in missing.items()}
    poorer["sys"] = Poorer(sys, {"getwindowsversion"}, platform=system)
    poorer["ctypes"] = Poorer(ctypes, set(), CDLL=no_library)
    if system == "win32":
        poorer["os"].name = "nt"

    def find(name, globals=None, locals=None, fromlist=(), level=0):
        if level or not str((globals or {}).get("__name__", "")).startswith("studio"):
            return _import(name, globals, locals, fromlist, level)
        if name in modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return poorer.get(name) or _import(name, globals, locals, fromlist, level)

    builtins.__import__ = find


def main(system: str, *arguments: str) -> int:
    pretend(system)
    import studio

    for module in pkgutil.walk_packages(studio.__path__, "studio."):
        if module.name not in ALONE:
            importlib.import_module(module.name)
    print("every module was imported", flush=True)
    program = importlib.import_module("studio.__main__")
    sys.argv = ["studio", *arguments]
    return program.main()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main(*sys.argv[1:]))

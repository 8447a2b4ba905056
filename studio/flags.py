"""The flags of the studio's command line, for `finetune-studio`, `python -m studio` and launch.py, which hands them on.

launch.py reads this on a bare Python: standard library only, and no syntax newer than Python 3.6.
"""

import argparse
import os
from pathlib import Path


def language_of_machine():
    """Return the language that the environment of this process asks for, "zh" or "en"."""
    spoken = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if spoken.startswith("zh") else "en"


def port(text):
    """Return the number of a port, 0 for the first free one. Raises ArgumentTypeError where there is no such port."""
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def add(parser, workspace):
    """Add the studio's flags to a parser of argparse.

    Args:
        parser: the argparse.ArgumentParser that gets the flags.
        workspace: the folder (a Path) that is the workspace when no flag names one.

    Returns:
        The flags, a list of argparse.Action in the order in which they are shown: what `command_line` takes.
    """
    many = {"action": "append", "default": []}
    add = parser.add_argument
    return [
        add("--host", default="127.0.0.1", help="address to listen on; any but a local one demands a password"),
        add("--port", type=port, help="port to listen on; the first free one from 7860 on when left out"),
        add("--root-path", metavar="PATH", default="", help="sub-path under which a reverse proxy serves the studio"),
        add(
            "--auth",
            metavar="USER:PASSWORD",
            help="ask for this name and password (seen in the list of processes until the studio has started)",
        ),
        add(
            "--auth-file",
            metavar="FILE",
            type=Path,
            help="take USER:PASSWORD from the first line of a file; or give it in STUDIO_AUTH",
        ),
        add(
            "--allowed-host",
            metavar="NAME",
            help="a further name under which a proxy or a tunnel shows the studio (may be given again)",
            **many,
        ),
        add(
            "--framed-by",
            metavar="ADDRESS",
            help="a page that may show the studio in a frame, such as http://localhost:8888 (may be given again)",
            **many,
        ),
        add("--ssl-certfile", metavar="FILE", type=Path, help="serve https with this certificate (PEM)"),
        add("--ssl-keyfile", metavar="FILE", type=Path, help="the key of the certificate (PEM, without a passphrase)"),
        add(
            "--workspace",
            metavar="DIR",
            type=Path,
            default=workspace,
            help="folder that holds data/, models/ and saves/, made if it is not there (default: %(default)s)",
        ),
        add("--look", "--read-only", action="store_true", help="only look at the workspace: nothing in it is changed"),
        add("--demo", action="store_true", help="a fresh workspace with work in it; nothing deletes or downloads"),
        add(
            "--stop-seconds",
            metavar="N",
            type=float,
            help="how long a run may take to save its checkpoint when the studio is ended (60 when left out)",
        ),
        add("--language", choices=("en", "zh"), help="language of the page; the browser's when left out"),
    ]


def make_absolute(flags, options):
    """Make every path in `options` (an argparse.Namespace) absolute: the studio may run in another folder than the one
    these are named from.
    """
    for flag in flags:
        value = getattr(options, flag.dest)
        if isinstance(value, Path):
            setattr(options, flag.dest, Path(os.path.abspath(os.path.expanduser(str(value)))))


def command_line(flags, options, left_out=()):
    """Return `options` as the list of arguments that gives them to another process; those named in `left_out`, and what
    is as it would be without a flag, do not stand in it.
    """
    line = []
    for flag in flags:
        value = getattr(options, flag.dest)
        if flag.dest in left_out or value == flag.default:
            continue
        name = flag.option_strings[0]
        for one in value if isinstance(value, list) else [value]:
            line += [name] if one is True else [name, str(one)]
    return line

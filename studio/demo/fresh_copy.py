"""The workspace of a demo: a copy, in a temporary folder, of one in which the work was done once on this machine."""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import psutil

import studio
from studio.core import locations
from studio.core.i18n import Problem, Words
from studio.core.processes.child import Child, Output
from studio.core.storage import atomic
from studio.models import starter

FINISHED = "demo.finished"  # written when all the work is done: the folder in which it was, which its files name
PREFIX = "studio-demo-"
LINKED = (".safetensors", ".pt", ".pth", ".bin")  # replaced whole, never written into: a link is as good as a copy


def make(models: Path, words: Words) -> Path:
    """Return the folder of a fresh demo, which is deleted when this process ends.

    Args:
        models: where the starter model is, or is fetched to.
        words: the language of the demo's data and of what is said meanwhile.

    Raises:
        Problem: the work failed, or the disk has no room.
    """
    remove_left_behind()
    worked = locations.environments() / "demo" / f"{studio.__version__}-{words.language}"
    if not (worked / FINISHED).is_file():
        print(words("demo.first"), flush=True)
        _work(worked, starter.fetch_starter(models, lambda *_: None), words)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(worked, folder, dirs_exist_ok=True, symlinks=True, copy_function=_copy)
    _move_names(folder, (folder / FINISHED).read_text(encoding="utf-8"))
    return folder


def remove_left_behind() -> None:
    """Remove the workspaces of demos that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = left.name[len(PREFIX) :].partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _work(worked: Path, model: Path, words: Words) -> None:
    """Do the work beside `worked`, and put it in its place when all of it is there."""
    worked.parent.mkdir(parents=True, exist_ok=True)
    with atomic.scratch(worked) as beside:
        folder = beside / "workspace"
        shutil.copytree(locations.SHIPPED_DATA, folder / "data")
        (folder / "models").mkdir()
        (folder / "models" / starter.NAME).symlink_to(model.resolve(), target_is_directory=True)
        log = worked.parent / f"{worked.name}.log"
        command = [sys.executable, "-m", "studio.demo.work", str(folder), words.language]
        with open(log, "wb") as errors, Child(command, output=Output(errors=errors)) as child:
            while (line := child.next_line()) is not None:
                print(line.decode().rstrip(), flush=True)
            if child.wait():
                raise Problem("demo.failed", file=log)
        atomic.write_whole(folder / FINISHED, str(folder))
        shutil.rmtree(worked, ignore_errors=True)
        atomic.move(folder, worked)


def _copy(source: str, target: str) -> None:
    if source.endswith(LINKED):
        with contextlib.suppress(OSError):  # another disk
            os.link(source, target)
            return
    shutil.copy2(source, target)


def _move_names(folder: Path, before: str) -> None:
    """Let the files of a copied workspace name their own folder: recipes and adapters hold whole paths."""
    old, new = os.fsencode(before), os.fsencode(folder)
    for path in folder.rglob("*"):
        if path.suffix not in LINKED and path.is_file() and old in (found := path.read_bytes()):
            path.write_bytes(found.replace(old, new))

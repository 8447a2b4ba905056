"""The child process of a download: it lists, fetches and checks with the hub's own client, and can be killed at any
moment.

It reads one line of JSON (see `studio.models.hub.download`), ends when its input ends, that is with the studio,
and writes what happens as lines of JSON behind a mark. What has arrived whole stands in `files/`, noted in
`verified.json` with its hash; a file that is not whole ends in `.incomplete`, and the next process goes on from its
last byte.
"""

import contextlib
import fnmatch
import json
import os
import shutil
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.processes.child import end_with_input, print_line
from studio.core.workspace import write_json
from studio.models.hub.hubs import Damaged, Hiccup, HubFile, has_hash, open_hub, partial_path
from studio.models.library.tokenizer_files import read_json

EVENT_PREFIX = "\x1e"
FILES_AT_ONCE = 4
SPARE_BYTES = 100_000_000
NOTED_BYTES = 1_000_000
LONGEST_BACKOFF_S = 60.0
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# Further copies of the weights that stand beside `model*.safetensors` in many repositories.
COPIES = (
    "pytorch_model*",
    "consolidated*",
    "*.pth",
    "*.pt",
    "*.ckpt",
    "*.h5",
    "*.msgpack",
    "*.onnx*",
    "*.gguf",
    "*.tflite",
    "*.ot",
    "original/*",
    "onnx/*",
    "openvino/*",
    "coreml/*",
    "metal/*",
)


def print_event(**event: object) -> None:
    """Write an event for the studio, from any thread."""
    print_line(EVENT_PREFIX + json.dumps(event, ensure_ascii=False, default=str))


class Fetch:
    """One download, from the listing to a whole and checked folder."""

    def __init__(self, order: dict):
        self.order = order
        self.folder = Path(order["folder"])
        self.files = self.folder / "files"
        self.is_model = order.get("kind", "model") == "model"
        address = (order[name] for name in ("source", "repo", "revision", "endpoint", "token"))
        self.hub = open_hub(*address, "model" if self.is_model else "dataset")
        self.lock = threading.Lock()
        self.verified: dict[str, str] = read_json(self.folder / "verified.json")

    def run(self) -> None:
        """Do it all; every step is told. Raises Problem."""
        with alone(self.folder, self.order["repo"]):
            listed = self.persist(self.hub.files)
            chosen, skipped = select_files(listed, self.order["include"], self.order["exclude"])
            warnings = check_listing(chosen, self.order["repo"]) if self.is_model else []
            for file in chosen:
                self.target(file)
            self.clear_others(chosen)
            total = sum(file.size for file in chosen)
            print_event(plan={"total_bytes": total, "files": len(chosen)})
            self.check_space(total)
            pool = ThreadPoolExecutor(FILES_AT_ONCE)
            for done in as_completed(
                [pool.submit(self.bring, file) for file in sorted(chosen, key=lambda file: file.size)]
            ):
                done.result()
            warnings += check_arrived(self.files) if self.is_model else []
            self.clear_others(chosen)
            origin = {name: self.order[name] for name in ("source", "repo", "revision")}
            write_json(
                self.files / ".download.json",
                {
                    **origin,
                    "commit": self.hub.commit,
                    "downloaded": time.time(),
                    "bytes": total,
                    "files": {file.path: {"size": file.size, "hash": file.hash} for file in chosen},
                },
            )
            print_event(
                done={
                    "bytes": total,
                    "files": len(chosen),
                    "commit": self.hub.commit,
                    "skipped_files": len(skipped),
                    "skipped_bytes": sum(file.size for file in skipped),
                    "warnings": warnings,
                }
            )

    def target(self, file: HubFile) -> Path:
        """Return where a file goes. Raises Problem where its path would lead out of the folder."""
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts or "\\" in file.path or not path.parts:
            raise Problem("downloads.bad_file", repo=self.order["repo"], file=file.path)
        return self.files.joinpath(*path.parts)

    def clear_others(self, chosen: list[HubFile]) -> None:
        """Remove what an earlier try with other patterns or of another revision left."""
        targets = {target for file in chosen for target in (self.target(file), partial_path(self.target(file)))}
        for path in self.files.rglob("*"):
            if path.is_file() and path not in targets:
                path.unlink()

    def check_space(self, total: int) -> None:
        """Raise Problem where the disk has no room for what is still to come of `total` bytes."""
        arrived = sum(path.stat().st_size for path in self.files.rglob("*") if path.is_file())
        needed, free = total - arrived, shutil.disk_usage(self.folder).free
        if needed + SPARE_BYTES > free:
            raise Problem(
                "downloads.no_space",
                needed=f"{needed / 1e9:.1f}",
                free=f"{free / 1e9:.1f}",
                path=self.folder.parents[1],
            )

    def bring(self, file: HubFile) -> None:
        """Fetch a file, unless it stands there whole. Raises Problem."""
        target, note = self.target(file), file.hash or f"size:{file.size}"
        if target.is_file() and target.stat().st_size == file.size:
            if self.verified.get(file.path) == note or has_hash(target, file.size, file.hash):
                return self.note(file, note)
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.size:
            self.persist(lambda: self.hub.fetch(file, target), partial_path(target), file)
        else:
            target.touch()
        self.note(file, note)

    def note(self, file: HubFile, note: str) -> None:
        """Remember that a file is whole, so that the next process need not read it again; a small one is read as fast
        as noted.
        """
        if file.size < NOTED_BYTES:
            return
        with self.lock:
            self.verified[file.path] = note
            write_json(self.folder / "verified.json", self.verified)

    def persist(self, step, part: Path | None = None, file: HubFile | None = None):
        """Do a step, again and again while its trouble may pass, waiting longer each time; bytes that came make the
        patience new.

        Raises:
            Problem: the trouble is no passing one, or it did not pass; `part` keeps what has arrived.
        """
        tried, damaged, before = 0, 0, size_of(part)
        while True:
            try:
                return step()
            except Problem:
                raise
            except Damaged as error:
                damaged += 1
                if damaged == self.hub.tries_of_damaged:
                    raise Problem("downloads.damaged", repo=self.order["repo"], file=file.path) from error
                continue
            except Exception as error:
                trouble = self.hub.trouble(error)
                if isinstance(trouble, Problem):
                    raise trouble from error
                tried = 1 if size_of(part) > before else tried + 1
                before = size_of(part)
                self.pause(trouble, tried)

    def pause(self, trouble: Hiccup, tried: int) -> None:
        """Wait after the try with that number. Raises Problem after the last."""
        tries = self.order["tries"]
        if tried >= tries:
            raise Problem(
                "downloads.gave_up", repo=self.order["repo"], hub=self.hub.title, reason=trouble.reason, tries=tries
            )
        wait = (
            trouble.wait_s
            if trouble.wait_s is not None
            else min(self.order["first_wait_s"] * 2 ** (tried - 1), LONGEST_BACKOFF_S)
        )
        print_event(
            waiting={
                "reason": trouble.reason,
                "wait": f"{wait:.0f}",
                "wait_s": wait,
                "attempt": tried + 1,
                "tries": tries,
            }
        )
        time.sleep(wait)
        print_event(waiting=None)


def select_files(listed: list[HubFile], include: list[str], exclude: list[str]) -> tuple[list[HubFile], list[HubFile]]:
    """Return the files to fetch and those left out. Dot files (git's own) are never fetched.

    With no patterns, copies of the weights in other forms are left out where `model*.safetensors` is there.
    """

    def matches(file: HubFile, patterns) -> bool:
        return any(
            fnmatch.fnmatch(file.path, pattern + "*" if pattern.endswith("/") else pattern) for pattern in patterns
        )

    visible = [
        file
        for file in listed
        if not any(part.startswith(".") and part != ".." for part in PurePosixPath(file.path).parts)
    ]
    if not include and not exclude and any(fnmatch.fnmatch(file.path, "model*.safetensors") for file in visible):
        exclude = COPIES
    chosen = [file for file in visible if (not include or matches(file, include)) and not matches(file, exclude)]
    selected = set(chosen)
    return chosen, [file for file in visible if file not in selected]


def check_listing(chosen: list[HubFile], repo: str) -> list[dict]:
    """Return warnings about what would be fetched, as sentences. Raises Problem where it would be no model."""
    names = [file.path for file in chosen]
    if "config.json" not in names:
        raise Problem("downloads.not_a_model", repo=repo)
    weights = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in WEIGHTS)]
    if not weights:
        raise Problem("downloads.no_weights", repo=repo)
    if not any(name.endswith(".safetensors") for name in weights):
        return [{"key": "downloads.pickle_only", "facts": {"files": ", ".join(weights[:3])}}]
    return []


def check_arrived(files: Path) -> list[dict]:
    """Return warnings about a folder that has arrived whole. Raises Problem where its config or its index of shards is
    not sound.
    """
    config = read_json(files / "config.json")
    if not config:
        raise Problem("downloads.bad_config")
    index = read_json(files / "model.safetensors.index.json").get("weight_map", {})
    if not isinstance(index, dict) or not all(isinstance(shard, str) and "\0" not in shard for shard in index.values()):
        raise Problem(
            "models.broken_config",
            file="model.safetensors.index.json",
            reason=Reason("reasons.of_field", field="weight_map", reason=Reason("reasons.field_object")),
        )
    missing = sorted({shard for shard in index.values() if not (files / shard).is_file()})
    if missing:
        raise Problem("downloads.missing_shard", file=missing[0], count=len(missing))
    return [{"key": "downloads.has_code", "facts": {}}] if "auto_map" in config else []


def size_of(path: Path | None) -> int:
    return path.stat().st_size if path and path.exists() else 0


@contextlib.contextmanager
def alone(folder: Path, repo: str):
    """Hold the folder for this process; another one that is just ending (its studio was killed) is waited for. Raises
    Problem.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / "lock", timeout=10):
            yield
    except Timeout:
        raise Problem("downloads.elsewhere", repo=repo) from None


def main() -> None:
    """Do the order on the first line of the input."""
    order = json.loads(sys.stdin.readline())
    end_with_input()
    try:
        Fetch(order).run()
    except Problem as problem:
        print_event(problem={"key": problem.key, "facts": problem.facts})
    except Exception as error:
        traceback.print_exc()
        print_event(problem={"key": "jobs.fault", "facts": {"reason": reasons.of_fault(error)}})
    sys.stdout.flush()
    # Other files' threads may sit in a read; what they have is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()

"""`python -m studio.export.push.push_child`: send a model's files to a hub, through the hub's own client.

The order is the first line of the input, so that the token stands in no argument and no environment. Each file is a
commit of its own, so that what arrived before a stop is not sent again: both hubs tell which weights they have. The
config goes last: without it nobody takes a half for a model.
"""

import json
import sys
import traceback
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import end_with_input
from studio.models.hub.fetch import print_event
from studio.models.hub.hubs import TITLES

LAST = ("config.json",)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a model that are sent, in their order: weights first, the config last."""
    found = [file for file in folder.rglob("*") if file.is_file()]
    seen = [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    return sorted(seen, key=lambda file: (file.name in LAST, -file.stat().st_size, str(file)))


class HuggingFace:
    """A model of Hugging Face, or of a mirror that speaks its protocol."""

    def __init__(self, order: dict):
        from huggingface_hub import HfApi

        self._api, self._repo = HfApi(endpoint=order["endpoint"] or None, token=order["token"]), order["repo"]

    def create(self, private: bool) -> str:
        """Make the model's place where there is none yet, and return its address."""
        return str(self._api.create_repo(self._repo, private=private, exist_ok=True))

    def send(self, file: Path, name: str) -> None:
        """Send a file; what the hub has already is not sent again."""
        self._api.upload_file(path_or_fileobj=str(file), path_in_repo=name, repo_id=self._repo)


class ModelScope:
    """A model of ModelScope."""

    def __init__(self, order: dict):
        from modelscope_hub.api import HubApi

        self._address, self._repo = order["endpoint"] or "https://modelscope.cn", order["repo"]
        self._api = HubApi(token=order["token"], endpoint=self._address)

    def create(self, private: bool) -> str:
        """Make the model's place where there is none yet, and return its address."""
        if not self._api.repo_exists(self._repo, "model"):
            self._api.create_repo(self._repo, "model", visibility="private" if private else "public")
        return f"{self._address}/models/{self._repo}"

    def send(self, file: Path, name: str) -> None:
        """Send a file; weights that the hub has already are not sent again."""
        self._api.upload_file(
            repo_id=self._repo, repo_type="model", path_or_fileobj=str(file), path_in_repo=name, disable_tqdm=True
        )


HUBS = {"huggingface": HuggingFace, "modelscope": ModelScope}


def push(order: dict) -> None:
    """Send what an order names, and tell how far it is. Raises Problem with what the hub said."""
    folder, hub = Path(order["folder"]), HUBS[order["source"]](order)
    files = files_of(folder)
    total, sent = sum(file.stat().st_size for file in files), 0
    try:
        address = hub.create(order["private"])
        for number, file in enumerate(files, 1):
            name = str(file.relative_to(folder))
            print_event(sending={"file": name, "number": number, "files": len(files), "sent": sent, "total": total})
            hub.send(file, name)
            sent += file.stat().st_size
    except Exception as error:  # the clients raise dozens of kinds
        traceback.print_exc()
        raise told(error, order) from error
    print_event(done={"url": address, "bytes": total, "files": len(files)})


def told(error: Exception, order: dict) -> Problem:
    """Return what went wrong in a sentence without the token."""
    answer = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(answer, "status_code", None)
    facts = {"hub": TITLES[order["source"]], "repo": order["repo"]}
    if status == 401:
        return Problem("push.bad_token", **facts)
    if status == 403:
        return Problem("push.no_access", **facts)
    reason = " ".join(str(error).split())[:300].replace(order["token"], "…") or type(error).__name__
    if isinstance(error, OSError) and status is None:
        return Problem("push.network", reason=reason, **facts)
    return Problem("push.refused", reason=reason, **facts)


def main() -> None:
    """Do the order on the first line of the input."""
    order = json.loads(sys.stdin.readline())
    end_with_input()
    try:
        push(order)
    except Problem as problem:
        print_event(problem={"key": problem.key, "facts": problem.facts})
    except Exception as error:  # a fault of the program
        traceback.print_exc()
        print_event(problem={"key": "jobs.fault", "facts": {"reason": reasons.of_fault(error)}})


if __name__ == "__main__":
    main()

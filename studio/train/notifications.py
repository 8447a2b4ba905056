"""Notices for a person who is not looking: what happened to the runs, for the browser's own notices and for a webhook.

The webhook's address is kept among the person's own settings (`trust.folder()`), one file for each workspace, in no
recipe and on no page: whoever knows it can write to that channel. An address in a workspace's own files is never used:
a workspace that came from somebody else would send what happens here to them.
"""

import hashlib
import json
import os
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from studio.core import reasons, trust
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.network import web_address
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.records import Record
from studio.core.workspace import Workspace, write_json
from studio.train import runs
from studio.train.recipe import recipes

FORMER_FILE = ".notices.json"  # in saves/, where earlier releases kept the address
ANNOUNCED = ("finished", "failed", "interrupted")  # whoever stopped a run knows
SILENT_S = 120.0
TIMEOUT_S = 10
THREAD = "notice"


def webhook(saves: Path) -> str:
    """Return the address that notices go to: the one set on the page, else STUDIO_WEBHOOK, else ""."""
    return _settings_or_none(saves).webhook or os.environ.get("STUDIO_WEBHOOK", "")


def set_webhook(saves: Path, address: str, language: str = "en") -> str:
    """Keep the address, "" for none, and the language to write in; return its host. Raises Problem where it is no web
    address.
    """
    address = address.strip()
    if address and not _host(address):
        raise Problem("notices.bad_address")
    write_json(file(saves), {"webhook": address, "language": language}, mode=0o600)
    return _host(address)


def file(saves: Path) -> Path:
    """Return where the webhook of a workspace is kept."""
    return trust.folder() / f"notices-{hashlib.sha256(os.fsencode(files.real(saves))).hexdigest()[:16]}.json"


def host(saves: Path) -> str:
    """Return the host of the webhook, which may be shown, "" where none is set."""
    return _host(webhook(saves))


def _host(address: str) -> str:
    """Return the host of a web address, "" for what is none; a space in it or a port that cannot be makes it none."""
    parts = web_address.split(address)
    return parts.hostname if parts else ""


def fault(saves: Path) -> Problem | None:
    """Return what is wrong with the file of the webhook, or that an older one is not used any more; None where nothing
    is.
    """
    try:
        _load(saves)
        former = (
            records.load(saves / FORMER_FILE, NotificationSettings) if _is_former(saves) else NotificationSettings()
        )
    except Problem as wrong:
        return wrong
    return Problem("notices.not_used", host=_host(former.webhook)) if former.webhook else None


def send(address: str, text: str) -> None:
    """Send a text to a webhook as {"text": ...}, as Slack, Feishu relays and many others take it. Raises Problem where
    it is not taken, or the address is none.
    """
    if not _host(address):
        raise Problem("notices.bad_address")
    body = json.dumps({"text": text}).encode()
    try:
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
    except (OSError, ValueError, HTTPException) as error:
        cause = getattr(error, "reason", None)  # what urllib wraps; an answer of the server has a text there
        reason = reasons.of(cause if isinstance(cause, Exception) else error)
        raise Problem("notices.not_taken", host=_host(address), reason=reason) from error


def tell(run: runs.Run, key: str, facts: dict[str, object]) -> None:
    """Send a notice of a run to the webhook, where there is one, without making anybody wait.

    A webhook that does not take it is printed into the log, and nothing else happens: a notice must never stop a run.
    """
    saves = run.folder.parents[2]
    if address := webhook(saves):
        words = Words(_settings_or_none(saves).language)
        threading.Thread(
            target=_try, args=(address, f"{_title(run)}: {words(key, **facts)}"), name=THREAD, daemon=True
        ).start()


def _title(run: runs.Run) -> str:
    """Return the whole name of a run, after what a person called it later."""
    return f"{run.label} ({run.name})" if run.info().label else run.name


def _try(address: str, text: str) -> None:
    try:
        send(address, text)
    except Problem as problem:
        print(problem)


class NotificationSettings(Record):
    """Where notices are sent, "" for nowhere, and in which language."""

    webhook: str = ""
    language: Literal[LANGUAGES] = "en"

    @field_validator("webhook")
    @classmethod
    def is_address(cls, address: str) -> str:
        """Refuse what is no web address."""
        if address and not _host(address):
            raise ValueError("it is no web address")
        return address


def _settings_or_none(saves: Path) -> NotificationSettings:
    try:
        return _load(saves)
    except Problem:
        return NotificationSettings()  # the page says so, see `fault`


def _load(saves: Path) -> NotificationSettings:
    return records.load(file(saves), NotificationSettings) if files.exists(file(saves)) else NotificationSettings()


def _is_former(saves: Path) -> bool:
    return not files.exists(file(saves)) and files.exists(saves / FORMER_FILE)


def since(workspace: Workspace, moment: float) -> list[dict[str, object]]:
    """Return {id, run, label, key, facts} of what happened to runs after a moment (seconds since 1970):
    warnings, silence, and their ends.
    """
    found = []
    for run in runs.all_runs(workspace):
        # A silent run writes nothing, so files that are older by that silence are looked at too.
        if not run.is_foreign and files.stamp(run.events_file)[1] / 1e9 >= moment - 10 * SILENT_S:
            found += _of_run(run, moment)
    return found


def _of_run(run: runs.Run, moment: float) -> list[dict[str, object]]:
    status = runs.status(run)
    happened = [(warning["time"], warning["key"], warning.get("facts", {})) for warning in status.warnings]
    if (seconds := silence(status)) is not None:
        happened.append((status.last_time + patience(status), "notices.silent", {"minutes": round(seconds / 60)}))
    if status.state in ANNOUNCED:
        happened.append((status.ended or 0, *ended(run, status)))
    return [
        {"id": f"{run.name}:{when}:{key}", "run": run.name, "label": run.label, "key": key, "facts": facts}
        for when, key, facts in happened
        if when > moment
    ]


def ended(run: runs.Run, status: runs.Status) -> tuple[str, dict]:
    """Return the sentence on the end of a run as (key, facts): the fault's own, or that it finished or was cut off, and
    whether it can go on.
    """
    if status.state == "failed" and status.error:
        problem = Sentence(key=status.error["key"], facts=status.error.get("facts", {})).problem()
        return problem.key, problem.facts
    is_lost = status.state == "interrupted" and recipes.resumable_step(run) is None
    return "notices.interrupted_lost" if is_lost else f"notices.{status.state}", {
        "step": status.step,
        "total": status.total_steps,
        "loss": "–" if status.loss is None else f"{status.loss:.4g}",
    }


def patience(status: runs.Status) -> float:
    """Return the seconds after which a run that writes nothing counts as silent: ten steps, two minutes at least."""
    return max(SILENT_S, 10 * (status.pace() or 0))


def silence(status: runs.Status) -> float | None:
    """Return for how many seconds a run at work has written nothing, None while that is no longer than its steps
    explain.
    """
    if status.state != "running" or status.pace() is None:
        return None
    seconds = status.quiet()
    return seconds if seconds > patience(status) else None

"""The downloads and imports, newest first, each with its progress and what can be done."""

from dataclasses import dataclass

from studio.core.i18n import Problem, Words
from studio.core.jobs import Job, sentence_text
from studio.models.gguf import gguf_import
from studio.models.hub import catalogue
from studio.models.hub.download import KIND
from studio.models.models_context import ModelsContext

TEMPLATE = "models/page/hub/downloads.html"
SHOWN, FAULTS_SHOWN = 30, 20
# Faults after which the other hub may help.
HUB_IS_LOST = ("downloads.gave_up", "downloads.refused", "downloads.no_hub", "downloads.no_model")
# Faults after which another token may help.
ASKS_TOKEN = ("downloads.gated", "downloads.no_access", "downloads.bad_token", "downloads.no_model")


@dataclass(frozen=True)
class DownloadRow:
    """A download, or the import of a GGUF file (`is_import`).

    `origin` says from where; `other_hub` is (hub, owner/name) where the other hub has the model too and this one did
    not bring it; `message` is what it does or why it failed, "" where it says nothing; `progress` is 0 to
    1, None where it is not known.
    """

    id: str
    name: str
    state: str
    is_active: bool
    is_import: bool
    origin: str
    message: str
    progress: float | None
    can_resume: bool
    asks_token: bool
    other_hub: tuple[str, str] | None

    @property
    def tone(self) -> str:
        """The state by which it is coloured."""
        return "running" if self.state in ("queued", "preparing") else self.state


@dataclass(frozen=True)
class DownloadsContext:
    """`faults` are those of records of jobs that cannot be read."""

    rows: list[DownloadRow]
    faults: list[Problem]


def downloads(words: Words, context: ModelsContext) -> DownloadsContext:
    """Return what is on its way or over; what a job says is told in `words`."""
    jobs = sorted(
        [*context.jobs.all(KIND), *context.jobs.all(gguf_import.KIND)], key=lambda job: job.created, reverse=True
    )
    return DownloadsContext(
        [_row(words, context, job) for job in jobs[:SHOWN]], list(context.jobs.faults.values())[:FAULTS_SHOWN]
    )


def _row(words: Words, context: ModelsContext, job: Job) -> DownloadRow:
    is_import = job.kind != KIND
    file = str(job.facts.get("file", "")).rpartition("/")[2]
    is_over = job.state == "finished" and not job.active
    return DownloadRow(
        job.id,
        str(job.facts.get("name")),
        job.state,
        job.active,
        is_import,
        f"GGUF · {file}" if is_import else f"{job.facts.get('hub')} · {job.facts.get('repo')}",
        sentence_text(job.message if is_over else job.error or job.message, words) or "",
        job.progress,
        context.jobs.can_resume(job.id),
        (job.error or {}).get("key") in ASKS_TOKEN,
        None if is_import or job.active else _other_hub(job),
    )


def _other_hub(job: Job) -> tuple[str, str] | None:
    """Return where the other hub has the model of a download that its own hub did not bring, None where it is not known
    to.
    """
    if (job.error or {}).get("key") not in HUB_IS_LOST:
        return None
    source, repo = str(job.facts.get("source")), str(job.facts.get("repo"))
    other = "huggingface" if source == "modelscope" else "modelscope"
    addresses = (one.address(other) for one in catalogue.entries() if one.address(source) == repo)
    return next(((other, address) for address in addresses if address), None)

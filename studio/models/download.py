"""STUB, being filled: downloads of models from ModelScope and Hugging Face through the hubs' own clients, each in a child process."""

from dataclasses import dataclass

from studio.jobs import Job, Jobs
from studio.workspace import Workspace

SOURCES = ("modelscope", "huggingface")


@dataclass(frozen=True)
class Request:
    """What to download. `name` is the folder under `models/` (None: the last part of `repo`); patterns are shell-like (`*.safetensors`).

    With neither include nor exclude, further copies of the same weights (pickles beside safetensors, ONNX, GGUF, `original/`) are left out.
    """

    source: str  # one of SOURCES
    repo: str  # owner/name
    revision: str | None = None  # branch, tag or commit
    name: str | None = None
    endpoint: str | None = None  # a mirror's address, as https://host
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Downloads:
    """Downloads of one workspace; each is a job of kind "download" whose facts are the request's fields, `name` filled in.

    While it runs job.message is {"key": "downloads.fetching" | "downloads.listing" | "downloads.checking" | "downloads.waiting", "facts":
    {done, total, speed, left (texts, as "1.2 GB", "0:48"), done_bytes, total_bytes, bytes_per_s, left_s, files_done, files_total, attempt}}.
    Its result: {"name", "path", "bytes", "files", "commit", "skipped_files", "skipped_bytes", "warnings": [{"key", "facts"}]}.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs): ...

    def start(self, request: Request, token: str | None = None) -> Job:
        """Begin (or take up again where an earlier download of the same model stopped). The token is kept in memory only.

        Raises Problem at once: an address that is none, a bad name, a model of that name on disk, the same model being downloaded.
        Everything else (no such model, no access, no space, no network) becomes the job's error.
        """

    def pause(self, job: str) -> Job:
        """Stop, keeping what arrived; `resume` goes on from there."""

    def resume(self, job: str, token: str | None = None) -> Job:
        """Go on with a stopped, failed or interrupted download; bytes that arrived are not fetched again. Raises Problem."""

    def cancel(self, job: str, keep: bool = False) -> Job:
        """Stop and, unless `keep`, remove what arrived. Raises Problem."""

    def arrived_bytes(self, job: str) -> int:
        """Return the bytes on disk of a download that is not finished (what cancel would remove)."""

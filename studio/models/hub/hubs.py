"""The two model hubs behind one face, through their own Python clients: list the files of a model or of a data set,
fetch one, and say what went wrong.

Used in the child process of a download only (`studio.models.hub.fetch`), so the clients' settings can be set here for
good.
"""

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage.atomic import move
from studio.models.hub import addresses

Kind = Literal["model", "dataset"]
TITLES = {"modelscope": "ModelScope", "huggingface": "Hugging Face"}
_NOT_THERE = {"model": "downloads.no_model", "dataset": "downloads.no_dataset"}
LISTING_TIMEOUT_S = 30
LONGEST_WAIT_S = 600


@dataclass(frozen=True)
class HubFile:
    """A file of a model as the hub lists it. `hash` is "sha256:..." or "git:..." (git's name of a blob), None where
    none is told.
    """

    path: str
    size: int
    hash: str | None


@dataclass(frozen=True)
class Hiccup:
    """A trouble that may pass: the network, a busy hub. `wait_s` is what the hub asks to wait, `reason` is for the
    person.
    """

    reason: str | Reason
    wait_s: float | None = None


class Damaged(Exception):
    """What arrived is not what the hub lists: another size or another hash. What arrived is removed."""


def open_hub(
    source: str, repo: str, revision: str | None, endpoint: str | None, token: str | None, kind: Kind = "model"
) -> "HuggingFace | ModelScope":
    """Return the hub that `source` names, set on one model, or data set.

    Without a token of its own the login of the hub's client on this machine counts, but only for the hub's own address:
    a mirror belongs to somebody else, who has no business with it. Where no `endpoint` is given, the environment may
    still name one (HF_ENDPOINT, MODELSCOPE_ENDPOINT), so what counts is the one that the client will use.
    """
    return {"huggingface": HuggingFace, "modelscope": ModelScope}[source](repo, revision, endpoint, token, kind)


def partial_path(target: Path) -> Path:
    """Return where the bytes of a file gather until it is whole: what ModelScope's client uses, and here Hugging Face
    too.
    """
    return target.with_suffix(target.suffix + ".incomplete")


def has_hash(path: Path, size: int, expected: str | None) -> bool:
    """Tell whether the file has the hash that the hub lists; True where the hub lists none (its size is then all there
    is).
    """
    if expected is None:
        return True
    kind, _, hexadecimal = expected.partition(":")
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest() == hexadecimal


class HuggingFace:
    """A model or a data set on Hugging Face or a mirror of it."""

    title = TITLES["huggingface"]
    tries_of_damaged = 2

    def __init__(self, repo: str, revision: str | None, endpoint: str | None, token: str | None, kind: Kind = "model"):
        from huggingface_hub import constants, get_token

        # The client loses the chunk at hand when the line is cut, and tells nothing before it is full: its own 10 MB
        # are too much of both.
        constants.DOWNLOAD_CHUNK_SIZE = 64 * 1024
        self.repo, self.revision, self.endpoint, self.has_token = repo, revision, endpoint, bool(token)
        # False: none at all; None: the login, as the client sends it by itself. It is held back from that where the
        # environment names a mirror, which is no matter here where the hub's own address was typed.
        login = None if addresses.gets_login("huggingface", constants.ENDPOINT) else get_token() or False
        self.token = token or (login if addresses.gets_login("huggingface", endpoint or constants.ENDPOINT) else False)
        self.kind, self.commit = kind, None

    def files(self) -> list[HubFile]:
        """Return the files; from now on files are fetched from the commit that this listing saw."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint, token=self.token)
        info = api.repo_info(
            self.repo, revision=self.revision, files_metadata=True, timeout=LISTING_TIMEOUT_S, repo_type=self.kind
        )
        self.commit = info.sha
        if any(one.size is None for one in info.siblings or []):
            raise Problem("downloads.no_hub", repo=self.repo, hub=self.title, revision=self.revision)
        return [HubFile(one.rfilename, one.size, self._hash(one)) for one in info.siblings or []]

    def _hash(self, one) -> str | None:
        if one.lfs and one.lfs.sha256:
            return f"sha256:{one.lfs.sha256}"
        return f"git:{one.blob_id}" if one.blob_id and not one.lfs else None

    def fetch(self, file: HubFile, target: Path) -> None:
        """Fetch a file to `target`, from the byte where an earlier try ended. Raises Damaged, OSError or an error of
        the client.

        `hf_hub_download` begins every file anew (since 1.0 its partial files belong to one process), so this uses the
        function below it.
        """
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        if file.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            raise Problem("downloads.too_large", file=file.path, repo=self.repo)
        part = partial_path(target)
        revision = self.commit or self.revision
        url = hf_hub_url(self.repo, file.path, revision=revision, endpoint=self.endpoint, repo_type=self.kind)
        headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
        part.touch()
        if part.stat().st_size > file.size:
            part.write_bytes(b"")
        with open(part, "r+b") as output:
            try:
                http_get(url, output, resume_size=output.seek(0, os.SEEK_END), headers=headers, expected_size=file.size)
            except OSError as error:
                # The client tells a wrong size by a plain OSError; one of the system has a number, one of HTTP a
                # response.
                if error.errno is None and not hasattr(error, "response"):
                    part.unlink()
                    raise Damaged from error
                raise
        if not has_hash(part, file.size, file.hash):
            part.unlink()
            raise Damaged
        move(part, target)

    def trouble(self, error: Exception) -> Problem | Hiccup:
        """Return what an error of the client means: a problem for the person, or a hiccup to wait out."""
        import httpx
        from huggingface_hub import errors

        facts = {"repo": self.repo, "hub": self.title, "revision": self.revision}
        kinds = [
            (errors.GatedRepoError, "downloads.no_access" if self.has_token else "downloads.gated"),
            (errors.RevisionNotFoundError, "downloads.no_revision"),
            (errors.RepositoryNotFoundError, _NOT_THERE[self.kind]),
            (errors.HFValidationError, _NOT_THERE[self.kind]),
        ]
        for kind, key in kinds:
            if isinstance(error, kind):
                return Problem(key, **facts)
        if isinstance(error, errors.HfHubHTTPError):
            if error.response.status_code == 401 and not self.has_token:
                return Problem(
                    _NOT_THERE[self.kind], **facts
                )  # so Hugging Face hides what is private from what is not there
            return of_status(error.response.status_code, error.response.headers.get("Retry-After"), facts)
        if isinstance(error, httpx.HTTPError):
            return Hiccup(reasons.network(error))
        return of_others(error, facts)


class ModelScope:
    """A model or a data set on ModelScope or a mirror of it."""

    title = TITLES["modelscope"]
    tries_of_damaged = 1  # the client has tried again itself

    def __init__(self, repo: str, revision: str | None, endpoint: str | None, token: str | None, kind: Kind = "model"):
        # One layer of retries, ours, which can be seen; no limit on the time of a large file; no locks outside the
        # download's folder.
        os.environ |= {
            "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "0",
            "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",
            "MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT": str(30 * 24 * 3600),
            "MODELSCOPE_DOWNLOAD_FILE_LOCK": "false",
        }
        from modelscope_hub import HubApi
        from modelscope_hub.config import HubConfig

        self.repo, self.revision, self.has_token = repo, revision, bool(token)
        # "": none at all; None: the login.
        login = None if addresses.gets_login("modelscope", HubConfig(endpoint=endpoint).endpoint) else ""
        self.api = HubApi(endpoint=endpoint, token=token or login)
        self.kind, self.commit = kind, None

    def files(self) -> list[HubFile]:
        """Return the files."""
        from modelscope_hub.errors import NotExistError

        try:
            listed = self.api.list_repo_files(self.repo, self.kind, revision=self.revision)
        except NotExistError:
            if self.revision:
                # Either may be missing, and the listing does not say which: if the model is there, it is the revision.
                self.api.legacy.get_repo_info(self.repo, self.kind)
                raise Problem("downloads.no_revision", repo=self.repo, hub=self.title, revision=self.revision) from None
            raise
        return [HubFile(one.path, one.size, one.sha256 and f"sha256:{one.sha256}") for one in listed if not one.is_dir]

    def fetch(self, file: HubFile, target: Path) -> None:
        """Fetch a file to `target`, from the byte where an earlier try ended. Raises Damaged, OSError or an error of
        the client.
        """
        from modelscope_hub.errors import FileIntegrityError

        folder = target.parents[len(Path(file.path).parts) - 1]
        try:
            self.api.download_file(
                self.repo,
                self.kind,
                file.path,
                revision=self.revision,
                local_dir=folder,
                file_size=file.size,
                expected_sha256=file.hash and file.hash.partition(":")[2],
            )
        except FileIntegrityError as error:
            raise Damaged from error

    def trouble(self, error: Exception) -> Problem | Hiccup:
        """Return what an error of the client means: a problem for the person, or a hiccup to wait out."""
        from modelscope_hub import errors

        facts = {"repo": self.repo, "hub": self.title, "revision": self.revision}
        if isinstance(error, errors.NotExistError):
            return Problem(_NOT_THERE[self.kind], **facts)
        if isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError)):
            return Problem("downloads.no_access" if self.has_token else "downloads.gated", **facts)
        if isinstance(error, errors.APIError):
            return of_status(error.status_code, getattr(error, "retry_after", None), facts)
        if isinstance(error, errors.NetworkError):
            return Hiccup(reasons.network(error))
        return of_others(error, facts)


def of_status(status: int | None, retry_after: object, facts: dict) -> Problem | Hiccup:
    """Return what an HTTP status means that no error of the client's own names. `retry_after` is what the hub said, in
    seconds.
    """
    if status in (408, 429) or (status or 0) >= 500:
        seconds = str(retry_after or "").strip()
        return Hiccup(
            f"HTTP {status}", min(float(seconds), LONGEST_WAIT_S) if seconds.replace(".", "", 1).isdigit() else None
        )
    if status == 401:
        return Problem("downloads.bad_token", **facts)
    if status == 403:
        return Problem("downloads.no_access", **facts)
    return Problem("downloads.refused", status=status, **facts)


def of_others(error: Exception, facts: dict) -> Problem | Hiccup:
    """Return what an error means that does not come from HTTP: the disk, a server that is no hub; any other is raised
    again.
    """
    if isinstance(error, ValueError):  # an answer that is not the hub's JSON
        return Problem("downloads.no_hub", **facts)
    if isinstance(error, ConnectionError):
        return Hiccup(reasons.network(error))
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Problem("downloads.disk_full", path=error.filename or "models/")
        return Problem("workspace.unwritable", path=error.filename or "models/", reason=reasons.of(error))
    raise error

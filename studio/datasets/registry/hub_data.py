"""Data on a hub: what a person types as its address, and the entry by which LLaMA-Factory fetches it."""

import re
from dataclasses import dataclass
from itertools import islice

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem, Reason
from studio.datasets.files import columnar
from studio.datasets.registry import modelscope_rows
from studio.datasets.schema.forms import Mapping, always_converted, described
from studio.models.hub import addresses

KEYS = {"huggingface": "hf_hub_url", "modelscope": "ms_hub_url"}
_PREFIXES = {"hf:": "huggingface", "ms:": "modelscope"}
_REPO = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Address:
    """A dataset on a hub: `hub` is "huggingface" or "modelscope", `repo` is owner/name."""

    hub: str
    repo: str


def address(typed: str, default: str = "huggingface") -> Address | None:
    """Return the hub address that a person typed: a page's address, `ms:owner/name`, `hf:owner/name`, or plain
    owner/name; else None.

    Raises:
        Problem: a page of another branch than the usual one, which LLaMA-Factory cannot fetch.
    """
    text, page = typed.strip(), addresses.page(typed)
    if page and page.source:
        if not page.is_dataset or page.endpoint or not _REPO.fullmatch(page.repo):
            return None
        if page.revision not in (None, *addresses.DEFAULT_BRANCHES):
            raise Problem("datasets.hub_revision", repo=page.repo, revision=page.revision)
        return Address(page.source, page.repo)
    for beginning, hub in _PREFIXES.items():
        if text.startswith(beginning):
            repo = "/".join(text[len(beginning) :].split("?")[0].strip("/").split("/")[:2])
            return Address(hub, repo) if _REPO.fullmatch(repo) else None
    return Address(default, text) if _REPO.fullmatch(text) and not re.search(r"\.\w{2,7}$", text) else None


def first_rows(where: Address, options: dict, count: int = 20) -> list[dict]:
    """Return the first rows of data on a hub, by the hub's own library and without fetching the rest. Takes seconds.

    Args:
        where: the address.
        options: of them `subset`, `split` and `folder` say which rows.
        count: how many rows.

    Raises:
        Problem: the hub cannot be reached, or has no such data.
    """
    if where.hub != "modelscope":
        llamafactory.load()
    try:
        if where.hub == "modelscope":
            rows = modelscope_rows.first(where.repo, options, count)
        else:
            from datasets import load_dataset
            from huggingface_hub import constants

            found = load_dataset(
                where.repo,
                name=options.get("subset"),
                data_dir=options.get("folder"),
                streaming=True,
                split=options.get("split") or "train",
                token=None if addresses.gets_login("huggingface", constants.ENDPOINT) else False,
            )
            rows = [columnar.plain(dict(row)) for row in islice(found, count)]
    except Exception as error:  # each hub's library has its own faults for what the network, the hub or the data refuse
        if missing := re.search(r"No module named '([\w.]+)'", str(error)):
            raise Problem("datasets.hub_library", repo=where.repo, package=missing[1]) from error
        raise Problem("datasets.hub_refuses", repo=where.repo, reason=reasons.of(error)) from error
    if not rows:
        raise Problem("datasets.hub_refuses", repo=where.repo, reason=Reason("reasons.no_rows"))
    return rows


def entry(where: Address, mapping: Mapping | None, options: dict) -> dict:
    """Return the entry of `dataset_info.json` for data on a hub.

    Args:
        where: the address.
        mapping: how its rows are to be read; None where they are in LLaMA-Factory's alpaca form.
        options: of them `subset`, `split`, `folder` and `num_samples` go into the entry.

    Raises:
        Problem: the form is one that must be converted, which cannot be done before the data is here.
    """
    found = {KEYS[where.hub]: where.repo}
    if mapping:
        if always_converted(mapping):
            raise Problem("datasets.hub_needs_file", repo=where.repo)
        found |= described(mapping)
    return found | {key: options[key] for key in ("subset", "split", "folder", "num_samples") if options.get(key)}

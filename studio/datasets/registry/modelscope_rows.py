"""The first rows of data on ModelScope, read in a process of its own.

ModelScope's library streams by putting itself in the place of Hugging Face's in the whole process, and stays there: the
studio, which also downloads from Hugging Face, must not be that process.
"""

import json
import subprocess
import sys
from itertools import islice

from studio.core import locations
from studio.datasets.files import columnar

_LIMIT_S = 90  # the library tries again and again where a hub does not answer


def first(repo: str, options: dict, count: int) -> list[dict]:
    """Return the first `count` rows of `repo` ("owner/name"), without fetching the rest. Takes about 10 s.

    `options` may hold `split`, `subset` and `folder`.

    Raises:
        RuntimeError: with the words of ModelScope's library, where it cannot have the rows.
    """
    asked = json.dumps({"repo": repo, "options": options, "count": count})
    try:
        child = subprocess.run(
            [sys.executable, "-m", "studio.datasets.registry.modelscope_rows"],
            input=asked,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_LIMIT_S,
            cwd=locations.ROOT,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"no answer in {_LIMIT_S} s") from error
    said = child.stdout.rstrip().rpartition("\n")[2]
    if not said.startswith("{"):
        raise RuntimeError(child.stderr.strip().rpartition("\n")[2] or f"the reader ended with {child.returncode}")
    answer = json.loads(said)
    if "refused" in answer:
        raise RuntimeError(answer["refused"])
    return answer["rows"]


def main() -> None:
    """Read {repo, options, count} from standard input and print {rows} or {refused} as the last line."""
    asked = json.load(sys.stdin)
    options = asked["options"]
    try:
        from modelscope import MsDataset

        found = MsDataset.load(
            asked["repo"],
            subset_name=options.get("subset"),
            data_dir=options.get("folder"),
            split=options.get("split") or "train",
            use_streaming=True,
        )
        answer = {"rows": [columnar.plain(dict(row)) for row in islice(found, asked["count"])]}
    except Exception as error:  # the library has faults of many kinds for what the network, the hub or the data refuse
        answer = {"refused": str(error) or type(error).__name__}
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()

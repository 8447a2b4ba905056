"""The first rows of data on ModelScope, read in a process of its own.

ModelScope's library streams by putting itself in the place of Hugging Face's in the whole process, and stays there: the
studio, which also downloads from Hugging Face, must not be that process.
"""

import json
import os
import sys
import time
from itertools import islice

from studio.core.processes.child import Child, Output, end_with_input
from studio.datasets.files import columnar
from studio.models.hub import logins

_LIMIT_S = 90  # the library tries again and again where a hub does not answer
_LONGEST_ANSWER = 64 * 2**20  # bytes
_ANSWER = "the rows: "  # marks the line that is the answer among what the library prints


def first(repo: str, options: dict, count: int) -> list[dict]:
    """Return the first `count` rows of `repo` ("owner/name"), without fetching the rest. Takes about 10 s.

    `options` may hold `split`, `subset` and `folder`.

    Raises:
        RuntimeError: with the words of ModelScope's library, where it cannot have the rows.
    """
    question = {"repo": repo, "options": options, "count": count}
    until, last = time.monotonic() + _LIMIT_S, ""
    command = [sys.executable, "-m", "studio.datasets.registry.modelscope_rows"]
    with Child(
        command, environment={**os.environ, "PYTHONIOENCODING": "utf-8"}, output=Output(longest_line=_LONGEST_ANSWER)
    ) as child:
        child.send(json.dumps(question).encode())
        while (line := child.next_line(max(0.0, until - time.monotonic()))) is not None:
            if not line:
                raise RuntimeError(f"no answer in {_LIMIT_S} s")
            last = line.decode("utf-8", "replace").strip() or last
        code = child.wait()
    if not last.startswith(_ANSWER):
        raise RuntimeError(last or f"the reader ended with {code}")
    answer = json.loads(last.removeprefix(_ANSWER))
    if "refused" in answer:
        raise RuntimeError(answer["refused"])
    return answer["rows"]


def main() -> None:
    """Read {repo, options, count} from the first line of the input and print {rows} or {refused} as the last line."""
    request = json.loads(sys.stdin.readline())
    end_with_input()
    options = request["options"]
    try:
        with logins.kept():
            from modelscope import MsDataset

            found = MsDataset.load(
                request["repo"],
                subset_name=options.get("subset"),
                data_dir=options.get("folder"),
                split=options.get("split") or "train",
                use_streaming=True,
            )
            answer = {"rows": [columnar.plain(dict(row)) for row in islice(found, request["count"])]}
    except Exception as error:  # the library has faults of many kinds for what the network, the hub or the data refuse
        answer = {"refused": str(error) or type(error).__name__}
    print("\n" + _ANSWER + json.dumps(answer))


if __name__ == "__main__":
    main()

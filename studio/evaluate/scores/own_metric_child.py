"""The process of an own metric: takes the file's text, then a row a line, and answers each by a line."""

import json
import math
import os
import signal
import sys
import traceback
from collections.abc import Callable

from studio.core.processes.child import end_with_parent

LONGEST = 300  # characters of a fault


def load(source: str, file: str) -> Callable:
    """Return the function `score` of a metric's text. Raises what the text raises, and TypeError where it has none."""
    space = {"__name__": "own_metric", "__file__": file}
    exec(compile(source, file, "exec"), space)  # noqa: S102  the person allowed this very text
    if not callable(space.get("score")):
        raise TypeError("there is no function score(prediction, reference, row)")
    return space["score"]


def value_of(result: object) -> float | None:
    """Return what a metric returned as a number or None. Raises TypeError for anything else."""
    if result is None:
        return None
    try:
        value = float(result)  # numpy's and torch's numbers too
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise TypeError(f"it returned {repr(result)[:80]}, which is no number") from error
    if isinstance(result, str) or not math.isfinite(value):
        raise TypeError(f"it returned {repr(result)[:80]}, which is no finite number")
    return value


def fault(error: BaseException, file: str) -> dict:
    """Return what a metric raised and the line of its file, the last that was at work; 0 where it was in none."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno or 0)
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return {"fault": words[:LONGEST], "line": lines[-1] if lines else 0}


def main() -> None:
    """Answer until there are no more rows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the studio's to hear
    questions = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())  # a metric that asks for input gets none, and no row of another
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a metric prints is no answer
    end_with_parent(int(sys.argv[1]))
    score, file = None, ""
    for line in questions:
        question = json.loads(line)
        try:
            if score is None:
                file = question["file"]
                score = load(question["source"], file)
                answer: dict = {}
            else:
                answer = {"value": value_of(score(question["prediction"], question["reference"], question["row"]))}
        except (Exception, SystemExit) as error:  # told by row and line, and the next row is scored
            answer = fault(error, file)
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()

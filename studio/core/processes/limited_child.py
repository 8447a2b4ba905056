"""The child process of `limited`: reads a question a line, answers a line, until the studio closes its end."""

import importlib
import json
import os
import signal
import sys

# Most of what is done here does not compute; torch would take seconds and hundreds of megabytes, and is taken for
# absent.
for _absent in ("tensorflow", "jax", "flax", *(() if "heavy" in sys.argv[2:] else ("torch",))):
    sys.modules[_absent] = None

from studio.core.i18n import Problem  # noqa: E402
from studio.core.processes import collector, limited  # noqa: E402
from studio.core.processes.child import end_with_parent  # noqa: E402


def answer(question: dict) -> dict:
    """Return {result}, or {problem, facts}, {refused}, {fault} or {limit} where there is none."""
    limited.limit_process(question["seconds"], question["mib"])
    try:
        module, _, name = question["target"].partition(":")
        if not module.startswith("studio."):
            return {"fault": f"{module} is not the studio's"}
        return {"result": getattr(importlib.import_module(module), name)(*question["arguments"])}
    except Problem as problem:
        return {"problem": problem.key, "facts": problem.facts}
    except MemoryError:
        return {"limit": "limited.too_large"}
    except ValueError as error:
        return {"refused": str(error)[:2000]}
    except Exception as error:  # whatever a hostile file makes of a library: the studio tells it, and goes on
        return {"fault": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def written(result: dict) -> bytes:
    """Return an answer as one line of JSON, or in its place that it is too long for one, or none."""
    try:
        line = json.dumps(result, default=str).encode() + b"\n"
    except MemoryError:
        line = b'{"limit": "limited.too_large"}\n'
    except (ValueError, TypeError, RecursionError) as error:
        line = json.dumps({"fault": f"{type(error).__name__}: the answer is no JSON"}).encode() + b"\n"
    return line if len(line) <= limited.ANSWER_BYTES else b'{"limit": "limited.too_long"}\n'


def main() -> None:
    """Answer until there are no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the studio's to hear
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    end_with_parent(int(sys.argv[1]))
    if "heavy" in sys.argv[2:]:
        # Its threads and its gigabytes of addresses are no part of what a model takes.
        with collector.paused():
            import torch  # noqa: F401
            from transformers import modeling_utils  # noqa: F401
    out.write(b"ready\n")
    out.flush()
    for line in sys.stdin.buffer:
        out.write(written(answer(json.loads(line))))
        out.flush()


if __name__ == "__main__":
    main()

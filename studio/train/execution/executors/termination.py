"""A training process that is asked to end, as all are when a machine is shut down, leaves a checkpoint to resume from
first.
"""

import json
import os
import signal
import threading

from studio.core.storage import files
from studio.train.runs import Run
from studio.train.runs.stop_request import ABORT, StopRequest

GRACE_S = 60.0
GRACE_VARIABLE = "STUDIO_STOP_SECONDS"  # the same for the studio, its workers and torchrun's agent
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
_TAIL = 16_384


def grace() -> float:
    """Return how many seconds a run may take to save its checkpoint when its process is asked to end."""
    try:
        return max(0.0, float(os.environ.get(GRACE_VARIABLE, GRACE_S)))
    except ValueError:
        return GRACE_S


def save_first(run: Run, stop_request: StopRequest) -> None:
    """Let the signals that end this process interrupt the run: it saves, in `grace()` seconds at most, and its last
    state says so.

    At once goes what has nothing to save: an aborted run, one that is still loading, and one of a group of which
    another has failed. A second signal hastens nothing, since torchrun's agent sends on what each process is sent by
    the system too.
    """
    asked = threading.Event()

    def leave(number: int) -> None:
        run.say("state", state="interrupted", saved=False)
        os._exit(128 + number)

    def on_signal(number: int, _) -> None:
        """Let the run save and leave after `grace()` seconds; at once where there is nothing to save."""
        if stop_request.asked() == ABORT or _has_failed(run):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not stop_request.at_step:
            leave(number)
        elif not asked.is_set():
            asked.set()
            stop_request.interrupt()
            timer = threading.Timer(grace(), leave, [number])
            timer.daemon = True
            timer.start()

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)


def _has_failed(run: Run) -> bool:
    """Tell whether the last state that was written of a run is that it failed; by the end of its events, quick enough
    for a signal.
    """
    try:
        lines = files.end_of(run.events_file, _TAIL).splitlines()
    except OSError:
        return False
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "state":
            return event.get("state") == "failed"
    return False

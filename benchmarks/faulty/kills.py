"""A studio that is killed at a random moment while it trains and while three callers write, and is started again."""

import contextlib
import http.client
import threading
import time

from benchmarks.faulty.ledger import Ledger, begin_run, keep_writing
from benchmarks.faulty.victim import Tally, Victim

CALLERS, LONGEST_S = 3, 12.0


def kill_again_and_again(start, ledger: Ledger, tally: Tally, times: int) -> None:
    """Kill a studio so many times, each time looking for all that was acknowledged. `start` starts one on the same
    workspace.
    """
    victim = start()
    for number in range(times):
        if not victim.started():
            victim = start()
            continue
        moment = ledger.chance.uniform(0.05, LONGEST_S)
        writing = [keep_writing(ledger, victim, part) for part in range(CALLERS)]
        writing.append(threading.Thread(target=_train, args=(ledger, victim, number), daemon=True))
        writing[-1].start()
        time.sleep(moment)
        victim.kill()
        for thread in writing:
            thread.join(60)
        for refused in set(ledger.refused):
            tally.note(f"refused without a reason: {refused}")
        ledger.refused.clear()
        tally.tried["kill -9"] = tally.tried.get("kill -9", 0) + 1
        print(f"  killed after {moment:.1f} s of writing; {ledger.count} writes acknowledged so far", flush=True)
        victim = start()
        if victim.started():
            look(victim, ledger, tally, f"kill {number + 1}")
    end_all(victim)


def _train(ledger: Ledger, victim: Victim, number: int) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):  # the studio may be killed before it answers
        begin_run(ledger, victim, number)


def look(victim: Victim, ledger: Ledger, tally: Tally, after: str) -> None:
    """Look for what was acknowledged, and draw the page."""
    ledger.look(victim, tally, after)
    victim.draw()


def end_all(victim: Victim) -> None:
    """End a studio and what it trains."""
    if victim.process.poll() is None:
        victim.end_runs()
    victim.__exit__()

"""How the studio ends: on the first signal it lets the run that it trains save a checkpoint, on the second it goes at
once.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time

from studio.core.i18n import Words
from studio.train import runs
from studio.train.execution.executors.termination import SIGNALS
from studio.train.recipe import recipes
from studio.web.streams import OpenRequests

REPORT_EVERY_S = 5.0
JOBS_S = 2.0


class Shutdown:
    """The one answer to Ctrl-C, SIGTERM and a terminal that closes. The page is served for as long as a run saves.

    Runs in processes of their own are not touched, unless the studio is the first process of a container, which ends
    with it.
    """

    def __init__(self, studio, seconds: float, words: Words):
        self._studio, self._seconds, self._words = studio, seconds, words
        self._begun = False
        self._stop_serving = threading.Event()
        self._reported_at = 0.0

    @property
    def may_end(self) -> bool:
        """Whether all that can be saved is saved."""
        return self._stop_serving.is_set()

    def on_signal(self, number: int, _=None) -> None:
        """Begin to end; end at once where that has begun already."""
        if self._begun:
            with contextlib.suppress(OSError):
                os.write(2, b"\n")
            os._exit(128 + number)
        self._begun = True
        threading.Thread(target=self._end, name="shutdown", daemon=True).start()

    def install(self) -> None:
        """Take the signals, but for one that this process was told to pass over (nohup)."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.on_signal)

    def _end(self) -> None:
        try:
            trainer, words = self._studio.trainer, self._words
            self._send_on()
            jobs = threading.Thread(target=self._studio.jobs.interrupt, args=(JOBS_S,), daemon=True)
            jobs.start()
            for run, saved in trainer.end(self._seconds, self._report):
                step = recipes.resumable_step(run)
                key = "app.ended_saved" if saved and step else "app.ended_late" if step else "app.ended_lost"
                self._print(words(key, run=run.name, step=step, seconds=f"{self._seconds:g}"))
            if others := trainer.others_at_work():
                self._print(words("app.ended_others", count=others))
            jobs.join(JOBS_S)
        except Exception as fault:  # whatever goes wrong here, the studio must still end
            self._print(f"{type(fault).__name__}: {fault}")
        finally:
            self._stop_serving.set()

    def _report(self, run, passed: float) -> None:
        if self._reported_at and time.monotonic() - self._reported_at < REPORT_EVERY_S:
            return
        first, self._reported_at = not self._reported_at, time.monotonic()
        key = "app.ending" if first else "app.ending_still"
        self._print(
            self._words(
                key, run=run.name, seconds=f"{self._seconds:g}", passed=round(passed), step=runs.written(run).step
            )
        )

    def _print(self, sentence: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # the terminal may be what went away
            print(sentence, file=sys.stderr, flush=True)

    def _send_on(self) -> None:
        if os.getpid() == 1:
            self._studio.trainer.end_others()
            self._studio.deploy.interrupt()


def serve(config, listening: socket.socket, shutdown: Shutdown) -> None:
    """Serve by a uvicorn configuration, at a socket that listens, until `shutdown` says that it may end."""
    import uvicorn

    requests = config.app = OpenRequests(config.app)

    class Server(uvicorn.Server):
        """A server whose signals are the studio's to answer."""

        @contextlib.contextmanager
        def capture_signals(self):
            shutdown.install()
            yield

        async def on_tick(self, counter: int) -> bool:
            if shutdown.may_end:
                self.should_exit = True
            return await super().on_tick(counter)

        async def shutdown(self, sockets=None) -> None:
            requests.end()
            await super().shutdown(sockets)

    Server(config).run([listening])

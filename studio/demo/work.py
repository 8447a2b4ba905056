"""The work that a demo shows, done once on this machine: `python -m studio.demo.work FOLDER en|zh`.

Two runs that differ in the learning rate, an evaluation of both beside their base on rows that neither saw, a merged
model, and a conversation. It goes through the endpoints, as a person's script would, so what a demo shows was measured.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from studio import api, app
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.models.starter import NAME
from studio.train.runs import ACTIVE

RATES = (1e-3, 2e-4)
POLL_S = 0.5


def do(folder: Path, language: str, say: Callable[[str], object]) -> None:
    """Do the work in a workspace that has the starter model, saying each step. Raises RuntimeError where one failed."""
    words = Words(language)
    studio = app.make(Workspace(folder))
    call = {one.__name__: one for one in api.all_endpoints(studio, words)}
    recipe = {"dataset": f"identity_{language}", "val_size": 0.1, "eval_strategy": "steps", "eval_steps": 10}
    runs = []
    for rate in RATES:
        say(words("demo.trains", rate=f"{rate:g}"))
        run = call["train_start"](recipe | {"learning_rate": rate}).run
        _wait(lambda run=run: call["train_status"](run).state, ACTIVE)
        runs.append(run)
    say(words("demo.evaluates"))
    evaluation = call["evaluate_predict"]([NAME, *runs], [f"held-out:{runs[0]}"]).evaluation
    _wait(lambda: call["evaluate_result"](evaluation).state, ACTIVE)
    say(words("demo.merges"))
    job = call["export_merge"](NAME, runs[0]).job
    _wait(lambda: call["job_status"](job).state, ACTIVE)
    say(words("demo.chats"))
    conversation = call["chat_new"]([NAME, runs[0]]).conversation
    for question in (words("demo.question_who"), words("demo.question_made")):
        call["chat_say"](conversation, question)
        _wait(lambda: "running" if call["chat_picture"](conversation).busy else "finished", ACTIVE)
    studio.jobs.interrupt(5)


def _wait(state: Callable[[], str], active: tuple) -> None:
    """Wait until a thing is over. Raises RuntimeError where it ended otherwise than well."""
    while (now := state()) in active:
        time.sleep(POLL_S)
    if now != "finished":
        raise RuntimeError(f"it ended as {now}")


if __name__ == "__main__":
    person = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what the libraries print goes to the log
    do(Path(sys.argv[1]), sys.argv[2], lambda text: person.write(f"{text}\n"))

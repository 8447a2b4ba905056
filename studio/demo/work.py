"""The work that a demo shows, done once on this machine: `python -m studio.demo.work FOLDER en|zh`.

Two runs that differ in the learning rate, an evaluation of both beside their base on rows that neither saw, a merged
model, and a conversation. It goes through the endpoints, as a person's script would, so what a demo shows was measured.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

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

    def tell(tenths: int) -> None:
        say(f"  {words('demo.share', percent=10 * tenths)}")

    studio = app.make(Workspace(folder))
    call = {one.__name__: one for one in api.all_endpoints(studio, words)}
    recipe = {"dataset": f"identity_{language}", "val_size": 0.1, "eval_strategy": "steps", "eval_steps": 10}
    runs = []
    for rate in RATES:
        say(words("demo.trains", rate=f"{rate:g}"))
        run = call["train_start"](recipe | {"learning_rate": rate}).run
        _wait(partial(_of_run, call["train_status"], run), tell)
        runs.append(run)
    say(words("demo.evaluates"))
    evaluation = call["evaluate_predict"]([NAME, *runs], [f"held-out:{runs[0]}"]).evaluation
    _wait(partial(call["evaluate_result"], evaluation), tell)
    say(words("demo.merges"))
    job = call["export_merge"](NAME, runs[0]).job
    _wait(partial(call["job_status"], job), tell)
    say(words("demo.chats"))
    conversation = call["chat_new"]([NAME, runs[0]]).conversation
    for question in (words("demo.question_who"), words("demo.question_made")):
        call["chat_say"](conversation, question)
        while call["chat_picture"](conversation).busy:
            time.sleep(POLL_S)
    studio.jobs.interrupt(5)


def _of_run(status: Callable, run: str) -> SimpleNamespace:
    now = status(run)
    return SimpleNamespace(state=now.state, progress=now.step / now.total_steps if now.total_steps else None)


def _wait(look: Callable, tell: Callable[[int], None]) -> None:
    """Wait until a thing is over, telling each tenth of it. Raises RuntimeError where it ended otherwise than well.

    Args:
        look: returns its `state` and its `progress`, 0 to 1 or None.
    """
    told = 0
    while (now := look()).state in ACTIVE:
        if (tenths := int(10 * (now.progress or 0))) > told:
            tell(tenths)
            told = tenths
        time.sleep(POLL_S)
    if now.state != "finished":
        raise RuntimeError(f"it ended as {now.state}")


if __name__ == "__main__":
    person = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what the libraries print goes to the log
    do(Path(sys.argv[1]), sys.argv[2], lambda text: person.write(f"{text}\n"))

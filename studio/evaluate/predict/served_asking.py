"""A served model answers the rows: it is sent messages, a few at a time; what it says is written down as it comes."""

from concurrent.futures import ThreadPoolExecutor

from studio.core.i18n import Problem
from studio.evaluate.evaluation import EvaluatedRow, Prediction
from studio.evaluate.predict.asking import Session, failed
from studio.inference.local.generation import LoadedTarget
from studio.inference.remote import chat_completion, engine_prompt
from studio.inference.remote.servers import ServedTarget

AT_A_TIME = 4  # questions to one server: engines that batch gain by it, others let them wait
GIVES_UP_AFTER = 8  # failures in a row: the server is gone, and the rows are asked when the evaluation goes on


def ask_served(session: Session, served: ServedTarget, rows: list[EvaluatedRow]) -> None:
    """Ask a served model all rows that it has not answered yet.

    Raises:
        Problem: it failed many times in a row, or the disk refuses.
    """
    evaluation, stop = session.evaluation, session.stop
    answered = evaluation.done(Prediction)
    missing = [row for row in rows if (row.row, served.name) not in answered]
    failures: list[Problem] = []

    def ask(row: EvaluatedRow) -> None:
        """Ask for the answer to one row and note it; nothing once it is stopped or given up."""
        if stop.is_set() or len(failures) >= GIVES_UP_AFTER:
            return
        messages = [*row.messages[:-1], row.messages[-1] | ({"images": row.images} if row.images else {})]
        answer = chat_completion.ask(served, messages, row.system, session.sampling, stop, row.tools)
        if answer.finished == "stopped":
            return
        if answer.fault:
            failures.append(answer.fault)
            evaluation.add(failed(row, served.name, answer.fault))
        else:
            failures.clear()
            prediction = Prediction(
                row=row.row,
                target=served.name,
                text=answer.text,
                tokens=answer.tokens,
                seconds=(answer.first_token_s or 0.0)
                + (answer.tokens / answer.tokens_per_s if answer.tokens_per_s else 0.0),
                finished="length" if answer.finished == "length" else "stop",
            )
            evaluation.add(prediction)
            session.on_answers([prediction])
        session.done(1)

    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="evaluate-served") as pool:
        for future in [pool.submit(ask, row) for row in missing]:
            future.result()
    if len(failures) >= GIVES_UP_AFTER:
        raise failures[-1]


def parity(served: ServedTarget, trained: LoadedTarget, row: EvaluatedRow) -> str:
    """Tell whether a server makes of a row's messages the prompt of training: "same", "differs", or "untold" where it
    has no way to say.

    Raises:
        Problem: the server cannot be reached, or refuses the messages.
    """
    if row.images:
        return "untold"
    prompt = engine_prompt.engine_prompt(served, row.messages, row.system, row.tools)
    if prompt is None:
        return "untold"
    return "same" if prompt.ids == trained.encoder.encode(row.messages, row.system, row.tools) else "differs"

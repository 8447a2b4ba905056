"""A model judges the answers of the others: each against the first target's, row by row."""

import threading

from studio.core.device_lease import free_memory
from studio.core.i18n import Problem, Reason, Words
from studio.core.jobs import Job
from studio.core.plain import plain
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Judged, Prediction, RowScores, latest
from studio.evaluate.models_in_use import ModelsInUse
from studio.evaluate.predict.served_asking import GIVES_UP_AFTER
from studio.evaluate.scores.pairwise_judge import Judgement, PairwiseJudge, check_judge, default_prompt
from studio.evaluate.settings import JudgeSettings
from studio.inference.local.generation import Batch, GrowingAnswer
from studio.inference.local.model_faults import as_problem
from studio.inference.messages import Message
from studio.inference.remote import chat_completion
from studio.inference.sampling import Sampling
from studio.inference.target_names import SERVED

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=512)
LOOKED_AT = 20  # judgements after which a judge that gave no verdict at all is asked no more


def judge_rows(evaluation: Evaluation, models: ModelsInUse, settings: JudgeSettings, job: Job) -> None:
    """Let the judge compare the answers that it has not compared yet.

    A pair that it cannot be asked, as one that is too long for it, is written down as that, and costs no other.

    Raises:
        Problem: the judge cannot be asked many times in a row, or at all, or says nothing that is a verdict; or the
            disk refuses.
        Stopped: the person stopped the job.
    """
    targets, rows = evaluation.request().targets, evaluation.read(EvaluatedRow)
    if len(targets) < 2:
        return
    judge = PairwiseJudge(_ask(models, settings.target, job), settings.prompt or default_prompt(_words(rows)))
    done, answers = evaluation.done(Judged), latest(evaluation.read(Prediction))
    pairs = [(row, target) for row in rows for target in targets[1:] if (row.row, target) not in done]
    found: list[Judgement] = []
    failures: list[Problem] = []
    for number, (row, target) in enumerate(pairs):
        job.check()
        job.report(number / len(pairs), "evaluate.judging", done=number, total=len(pairs))
        both = [answers.get((row.row, name)) for name in (targets[0], target)]
        if not all(one and one.finished != "failed" for one in both):
            continue
        try:
            judgement = judge.compare(_question(row), row.reference or "", both[0].text, both[1].text)
        except Problem as fault:
            job.check()
            failures.append(fault)
            _note_failed(evaluation, row, target, fault)
            if len(failures) >= GIVES_UP_AFTER:
                raise
            continue
        job.check()  # what was broken off is no judgement
        if judgement.asked:
            found.append(judgement)
            failures.clear()
        evaluation.add(
            Judged(
                row=row.row,
                target=target,
                verdict=judgement.verdict,
                orders=list(judgement.orders),
                odd=list(judgement.odd),
            )
        )
        evaluation.add(RowScores(row=row.row, target=target, scores={"judge": judgement.score}))
        if len(found) >= LOOKED_AT:
            check_judge(found)
    check_judge(found)
    if failures and not evaluation.done(Judged):
        raise failures[-1]


def _note_failed(evaluation: Evaluation, row: EvaluatedRow, target: str, fault: Problem) -> None:
    reason = Reason(fault.key, **fault.facts)
    evaluation.note("failed", "evaluate.unjudged", row=row.row + 1, target=evaluation.label(target), reason=reason)
    evaluation.add(Judged(row=row.row, target=target, verdict=None, fault=plain(reason)))


def _question(row: EvaluatedRow) -> str:
    return "\n\n".join(str(message.get("content") or "") for message in row.messages if message.get("role") == "user")


def _words(rows: list[EvaluatedRow]) -> Words:
    """Return the words in which the judge is asked: Chinese where the questions are."""
    text = "".join(_question(row)[:200] for row in rows[:50])
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in text)
    return Words("zh" if 4 * chinese > len(text) else "en")


def _ask(models: ModelsInUse, target: str, job: Job):
    """Return what puts messages to the judge and returns its text. Raises Problem where there is no such model."""
    if target.startswith(SERVED):
        served = models.served(target)

        def ask_server(messages: list[Message]) -> str:
            answer = chat_completion.ask(served, messages, "", SAMPLING, job.cancelled)
            if answer.fault:
                raise answer.fault
            return answer.text

        return ask_server
    (loaded,) = models.local([target])

    def ask(messages: list[Message]) -> str:
        """Return what a local judge answers. Raises Problem where it fails."""
        growing = GrowingAnswer(loaded, loaded.encoder.prompt(messages), SAMPLING)
        try:
            Batch([growing], threading.Event(), [job.cancelled]).run(SAMPLING)
        except Exception as error:  # of any library below: told as the fault of this pair
            fault = as_problem(error, "chat.failed", kind=type(error).__name__)
            free_memory()
            raise fault from None
        return growing.answer(0.0).text

    return ask

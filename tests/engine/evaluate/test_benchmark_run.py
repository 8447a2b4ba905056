"""A whole evaluation of benchmarks: asked, stopped, killed, gone on with; models of this machine and served ones."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import benchmark_sets
import pytest
from conftest import SMALL, STARTER, new_workspace, slow
from random_runs import random_run

from benchmarks import engines
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Job, Stopped
from studio.evaluate.benchmarks import benchmark_run
from studio.evaluate.benchmarks.letter_choices import LetterChoices
from studio.evaluate.benchmarks.served_choices import ServedChoices
from studio.evaluate.benchmarks.sets.incoming import bring_in
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Event, Prediction, RowScores
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.models_in_use import ModelsInUse
from studio.evaluate.settings import BenchmarkSettings
from studio.inference import target_names
from studio.inference.local.base_loading import encoder_of
from studio.inference.remote.servers import ServedTarget, ServerRegistry


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = new_workspace(tmp_path_factory.mktemp("run") / "workspace")
    bring_in(workspace, benchmark_sets.mmlu(workspace.root / "made", subjects=3, questions=2), "rooms")
    bring_in(workspace, benchmark_sets.ceval(workspace.root / "zh", subjects=2, questions=2), "zimmer")
    return workspace


@pytest.fixture(scope="module")
def servers(workspace) -> ServerRegistry:
    return ServerRegistry(workspace)


@pytest.fixture(scope="module")
def models(workspace, servers):
    models = ModelsInUse(workspace, DeviceLease(), servers)
    yield models
    models.close()


def started(workspace, targets: list[str], parts=("rooms",), **settings) -> tuple[Evaluation, Job]:
    settings = BenchmarkSettings(**{"shots": 1, **settings})
    evaluation = Evaluations(workspace).create("benchmark", targets, list(parts), settings)
    job = Job("evaluate-test", "evaluate", "evaluate.job", {})
    job._folder = evaluation.folder
    return evaluation, job


def test_every_question_of_two_sets_is_answered_once_and_scored(workspace, models):
    evaluation, job = started(workspace, [SMALL], ("rooms", "zimmer"))
    benchmark_run.run(evaluation, models, job)
    rows, found = evaluation.read(EvaluatedRow), evaluation.read(Prediction)
    assert [(row.task, row.subject) for row in rows[:2]] == [("rooms", "room_2")] * 2 and len(rows) == 10
    assert sorted(one.row for one in found) == list(range(10))
    assert all(one.asked == "letters" and one.choice in "ABCD" and len(one.shares) == 4 for one in found)
    right = {row.row: row.answer for row in rows}
    scores = {one.row: one.scores["choice"] for one in evaluation.read(RowScores)}
    assert scores == {one.row: float(one.choice == right[one.row]) for one in found}
    assert job.message["facts"] == {"done": 10, "total": 10} and job.progress == 1.0
    log = (evaluation.folder / f"1-{SMALL}" / "rooms_results.log").read_text()
    share = 100 * sum(scores[row.row] for row in rows if row.task == "rooms") / 6
    assert f"        Average: {share:.2f}" in log
    letters = json.loads((evaluation.folder / f"1-{SMALL}" / "zimmer_results.json").read_text())
    assert letters["room_1"] == {"0": found[-2].choice, "1": found[-1].choice} or set(letters) == {"room_0", "room_1"}


def test_what_was_stopped_goes_on_and_nothing_is_asked_twice(workspace, models, monkeypatch):
    evaluation, job = started(workspace, [SMALL], batch=1)
    real, asked = LetterChoices._choose, []

    def counted(self, questions, batch):
        asked.extend(one.asked.row.row for one in questions)
        if len(asked) == 2:
            job.cancelled.set()
        return real(self, questions, batch)

    monkeypatch.setattr(LetterChoices, "_choose", counted)
    with pytest.raises(Stopped):
        benchmark_run.run(evaluation, models, job)
    assert len(evaluation.read(Prediction)) == 2
    with open(evaluation.file(Prediction), "a") as file:
        file.write('{"row": 5, "targ')  # what a killed process leaves
    evaluation.file(RowScores).write_text("")  # killed between an answer and its score
    job.cancelled.clear()
    benchmark_run.run(evaluation, models, job)
    assert sorted(asked) == list(range(6))
    assert sorted(one.row for one in evaluation.read(RowScores)) == list(range(6))


def test_a_set_that_is_not_there_is_told_before_anything_is_loaded(workspace, models):
    for name, key in (
        ("mmlu", "benchmarks.not_here"),
        ("../etc", "benchmarks.missing"),
        ("none", "benchmarks.missing"),
    ):
        evaluation, job = started(workspace, [SMALL], (name,))
        with pytest.raises(Problem) as caught:
            benchmark_run.run(evaluation, models, job)
        assert caught.value.key == key and not evaluation.file(EvaluatedRow).exists()


def test_a_model_that_computes_no_numbers_fails_alone(workspace, models):
    """A run that has diverged, in one batch with its base."""
    diverged = random_run(workspace, "diverged", model=SMALL, strength=math.inf).name
    evaluation, job = started(workspace, [SMALL, diverged])
    benchmark_run.run(evaluation, models, job)
    by_target = {name: [one for one in evaluation.read(Prediction) if one.target == name] for name in (SMALL, diverged)}
    rows = sorted(one.row for one in evaluation.read(EvaluatedRow))
    assert [sorted(one.row for one in found) for found in by_target.values()] == [rows, rows]
    assert all(one.fault is None and one.choice for one in by_target[SMALL])
    for one in by_target[diverged]:
        assert one.finished == "failed" and one.choice is None and one.fault["key"] == "benchmarks.no_numbers"
        assert one.fault["facts"] == {"speaker": diverged}
    assert evaluation.done(Prediction) == {(row, SMALL) for row in rows}


def test_fewer_examples_than_asked_for_are_told_once(workspace, models):
    (workspace.root / "own.csv").write_text("question,A,B,answer\nOne?,x,y,A\n")
    bring_in(workspace, workspace.root / "own.csv", "bare")
    evaluation, job = started(workspace, [SMALL], ("bare",), shots=5)
    benchmark_run.run(evaluation, models, job)
    benchmark_run.run(evaluation, models, job)
    told = [event for event in evaluation.read(Event) if event.event == "shots"]
    assert [one.facts for one in told] == [{"task": "bare", "shots": 0, "wanted": 5}]


class Server:
    """A server of OpenAI's API. `behave` makes the answer of a request's body: (status, reply)."""

    def __init__(self, behave):
        self.asked: list[dict] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                self.reply(200, {"data": [{"id": "m"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                self.reply(*behave(body))

            def reply(self, status: int, value: dict) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


def said(text: str, logprobs: object = None) -> dict:
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": text}, "logprobs": logprobs}]}


def told(token: str, shares: dict[str, float]) -> dict:
    top = [{"token": one, "logprob": math.log(share)} for one, share in shares.items()]
    return {"content": [{"token": token, "logprob": math.log(shares[token]), "top_logprobs": top}]}


def run_served(workspace, servers, models, server: Server, name: str) -> Evaluation:
    added = servers.add(server.url, name=name)
    evaluation, job = started(workspace, [f"served:{added.name}/m"])
    benchmark_run.run(evaluation, models, job)
    return evaluation


def test_a_server_that_tells_probabilities_is_asked_for_them(workspace, servers, models):
    shares = {"C": 0.5, "A": 0.2, "B": 0.1, "D": 0.05, "The": 0.1}
    with Server(lambda body: (200, said("C", told("C", shares)))) as server:
        found = run_served(workspace, servers, models, server, "tells").read(Prediction)
    assert {(one.choice, one.asked) for one in found} == {("C", "probabilities")}
    assert found[0].shares == pytest.approx([0.2 / 0.85, 0.1 / 0.85, 0.5 / 0.85, 0.05 / 0.85])
    assert all(body["max_tokens"] == 1 and body["logprobs"] for body in server.asked)


TRAPS = {
    # what llama.cpp's server does where the probabilities of a prompt's tokens are asked: the one token, and it is sure
    "only the token that was said": lambda body: (
        200,
        said("B", {"content": [{"token": "B", "logprob": 0.0, "top_logprobs": [{"token": "B", "logprob": 0.0}]}]}),
    ),
    "every letter alike": lambda body: (200, said("B", told("B", dict.fromkeys("ABCD", 0.25)))),
    "no word of them": lambda body: (200, said("B")),
    "refuses to tell": lambda body: (
        (400, {"error": {"message": "no logprobs"}}) if "logprobs" in body else (200, said("B"))
    ),
    "another form": lambda body: (200, {"choices": 3} if "logprobs" in body else said("B")),
}


@pytest.mark.parametrize("kind", TRAPS)
def test_chance_is_never_taken_for_an_answer(workspace, servers, models, kind):
    with Server(TRAPS[kind]) as server:
        evaluation = run_served(workspace, servers, models, server, kind.replace(" ", "-"))
    found = evaluation.read(Prediction)
    assert {(one.choice, one.asked, one.shares, one.text) for one in found} == {("B", "text", None, "B")}
    events = [event.key for event in evaluation.read(Event)]
    assert events.count("benchmarks.asked_as_text") == 1


OF_ONE_QUESTION = {
    "too long": lambda body: (400, {"error": {"message": "exceeds the available context size"}}),
    "a passing fault": lambda body: (500, {"error": {"message": "try again"}}) if "logprobs" in body else said_b(body),
    "no probabilities": lambda body: (200, said("B")),
    "another form": lambda body: (200, {"choices": 3} if "logprobs" in body else said("B")),
}


def said_b(body: dict) -> tuple[int, dict]:
    """Return "B" as an answer, with the probabilities where they are asked for."""
    return 200, said("B", told("B", {"B": 0.6, "A": 0.3}) if "logprobs" in body else None)


@pytest.mark.parametrize(
    "kind, questions",
    [(kind, ("one", "odd", "two", "three")) for kind in OF_ONE_QUESTION] + [("too long", ("odd", "one", "two"))],
)
def test_what_one_question_brings_changes_how_no_other_is_asked(kind, questions):
    odd = OF_ONE_QUESTION[kind]
    with Server(lambda body: odd(body) if "odd" in body["messages"][-1]["content"] else said_b(body)) as server:
        choices = ServedChoices(ServedTarget("served:s/m", server.url, "m"), 42, threading.Event())

        def asked(question: str) -> str:
            try:
                return choices.ask([{"role": "user", "content": question}], ["x", "y"]).asked
            except Problem as problem:
                return problem.key

        found = {question: asked(question) for question in questions}
    of_odd = {"too long": "served.refused", "a passing fault": "served.server_error"}.get(kind, "text")
    assert found == dict.fromkeys(questions, "probabilities") | {"odd": of_odd}


def test_a_server_that_is_gone_is_told_and_asked_again_later(workspace, servers, models):
    with Server(lambda body: (503, {"error": {"message": "busy"}})) as server:
        servers.add(server.url, name="gone")
        evaluation, job = started(workspace, ["served:gone/m"], ("rooms", "zimmer"))
        with pytest.raises(Problem):
            benchmark_run.run(evaluation, models, job)
    assert {one.finished for one in evaluation.read(Prediction)} == {"failed"}
    assert not evaluation.done(Prediction)


@slow  # the traps above ask a server for probabilities, test_llama_cpp.py asks llama.cpp, test_letter_choices.py here
def test_llama_cpp_chooses_as_the_same_model_here(workspace, servers, models, starter_gguf, tmp_path):
    (target,) = target_names.resolve(workspace, [STARTER.name])
    encoder = encoder_of(target.base, target)
    (tmp_path / "trained.jinja").write_text(encoder.template._get_jinja_template(encoder.tokenizer), encoding="utf-8")
    with engines.llama_cpp(starter_gguf, tmp_path / "llama.log", tmp_path / "trained.jinja") as engine:
        added = servers.add(engine.url, name="llama")
        evaluation, job = started(workspace, [f"served:llama/{added.models[0]}", STARTER.name])
        benchmark_run.run(evaluation, models, job)
    found = {(one.row, one.asked): one for one in evaluation.read(Prediction)}
    assert {asked for _, asked in found} == {"probabilities", "letters"} and len(found) == 12
    for row in range(6):
        here, served = found[row, "letters"], found[row, "probabilities"]
        assert served.shares == pytest.approx(here.shares, abs=0.08)  # its products are of 8 bits
        first, second = sorted(here.shares)[:-3:-1]
        assert served.choice == here.choice or first - second < 0.08

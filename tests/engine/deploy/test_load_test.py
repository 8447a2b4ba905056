"""Load tests: llama.cpp's server measured and held against its own count, what goes wrong, stopping and going on."""

import csv
import io
import json
import threading

import odd_server
import pytest
from conftest import is_sentence, new_workspace

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.datasets.registry.collection import Collection
from studio.deploy.load_test import engine_facts, load_prompts
from studio.deploy.load_test.load_records import SentRequest, StepBegun, StepEnded
from studio.deploy.load_test.load_report_files import FORMS, report_file
from studio.deploy.load_test.load_settings import LoadSettings
from studio.deploy.load_test.load_summary import summary
from studio.deploy.load_test.load_test_service import LoadTestService
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServerRegistry

SHORT = LoadSettings(concurrency=[1], requests=3, max_tokens=8, prompt_tokens=24)


@pytest.fixture(scope="module")
def odd():
    yield from odd_server.running()


@pytest.fixture
def service(tmp_path, monkeypatch) -> LoadTestService:
    monkeypatch.setattr(openai_client, "_keys", {})
    workspace = new_workspace(tmp_path)
    jobs = Jobs(workspace)
    yield LoadTestService(jobs, Collection(workspace, jobs), ServerRegistry(workspace))
    jobs.interrupt(10)


def served(service: LoadTestService, url: str, model: str, name: str = "here") -> str:
    service.servers.add(url, name=name)
    return f"served:{name}/{model}"


def measured(service: LoadTestService, targets: list[str], settings: LoadSettings):
    test = service.start(targets, settings)
    job = service._jobs.wait(service.job(test.id).id, 120)
    assert job.state == "finished", service._jobs.log(job.id) or job.error
    return test, summary(test, settings)


def test_no_request_is_lost_at_eight_at_a_time_and_the_engine_counts_the_same(service, llama_engine):
    name = served(service, llama_engine.url, model_of(llama_engine))
    settings = LoadSettings(concurrency=[8, 1, 8], requests=9, max_tokens=8, prompt_tokens=48, whole_length=True)
    test, steps = measured(service, [name], settings)
    assert [one.concurrency for one in steps] == [1, 8]
    for step in steps:
        assert (step.answered, step.failed, step.is_over, step.is_counted) == (9, 0, True, True), step.faults
        assert step.tokens == 9 * 8 and abs(step.engine_tokens - step.tokens) <= 0.05 * step.tokens
        assert step.memory > 100 * 2**20
        # The lengths were found by two short questions: what was sent is as long as was asked for.
        assert abs(step.prompt_tokens / 9 - 48) <= 6
        assert 0 < step.ttft.p50 <= step.ttft.p95 <= step.ttft.p99 <= step.latency.p99
        assert 0 < step.itl.p50 and 0 < step.tpot.p50 < step.latency.p50
        assert step.tokens_s == pytest.approx(step.tokens / step.seconds)
    sent = test.read(SentRequest)
    assert sorted((one.step, one.number) for one in sent) == [(step, at) for step in (0, 1) for at in range(9)]
    for one in sent:  # the definitions: first token, gaps and the rest after the last piece make up the whole
        assert one.ttft_s + sum(one.gaps_s) <= one.latency_s + 1e-3 and len(one.gaps_s) <= one.tokens


def model_of(engine) -> str:
    return openai_client.client(engine.url).models.list().data[0].id


def test_questions_of_a_dataset_are_asked_with_their_system_prompt_in_the_order_of_the_seed(service, odd):
    name = served(service, f"http://{odd.place}/v1", "good")
    asked = []
    for seed in (1, 1, 2):
        odd.asked.clear()
        measured(service, [name], SHORT.model_copy(update={"dataset": "system_prompts", "seed": seed, "requests": 4}))
        asked.append(odd.asked[2:])
    assert asked[0] == asked[1] != asked[2] and len(asked[0]) == 4
    assert all(one["messages"][0]["role"] == "system" and one["max_tokens"] == 8 for one in asked[0])


def test_prompts_made_to_length_differ_from_their_first_word_on_and_between_runs():
    fit = load_prompts.TokenFit.of(46, 174)
    assert (fit.around, fit.of_a_word) == (30, 1.0) and fit.words(128) == 98
    assert load_prompts.TokenFit.of(None, 10) == load_prompts.TokenFit() == load_prompts.TokenFit.of(9, 9)
    settings = SHORT.model_copy(update={"prompt_tokens": 64})
    first, again, other = (load_prompts.made(settings, "m", fit, run) for run in ("a", "a", "b"))
    texts = [question(at)["messages"][0]["content"] for question in (first, other) for at in range(30)]
    assert len(set(texts)) == 60 and first(3) == again(3)


@pytest.mark.parametrize("model", ["error", "bare-status", "plain-error", "network-error"])
def test_what_a_server_does_wrong_is_told_of_the_request_and_the_others_count(service, odd, model):
    name = served(service, f"http://{odd.place}/v1", model)
    test = service.start([name], SHORT)
    job = service._jobs.wait(service.job(test.id).id, 240)
    assert job.state == "failed"  # the first question, which counts for nothing, shows it at once
    for language in ("en", "zh"):
        assert is_sentence(service._jobs.status(job.id, Words(language)).error)
    assert test.read(StepBegun) == []


def test_a_server_that_fails_in_between_is_counted_and_named(service, odd, monkeypatch):
    calls = iter(range(100))
    good, failing = odd_server.BEHAVIOURS["good"], odd_server.BEHAVIOURS["bare-status"]
    monkeypatch.setitem(
        odd_server.BEHAVIOURS, "good", lambda at, body: (failing if next(calls) in (3, 5) else good)(at, body)
    )
    name = served(service, f"http://{odd.place}/v1", "good")
    test, (step,) = measured(service, [name], SHORT.model_copy(update={"requests": 6}))
    assert (step.answered, step.failed) == (4, 2)
    ((fault, count),) = step.faults
    assert count == 2 and is_sentence(fault.tell(Words("zh"))) and "503" in fault.tell(Words("en"))
    assert step.tokens == 4 * 7 and step.tokens_s == pytest.approx(28 / step.seconds)


def test_a_stopped_test_goes_on_where_it_stood_and_survives_the_process(service, odd, tmp_path, monkeypatch):
    good, gate, seen = odd_server.BEHAVIOURS["good"], threading.Event(), threading.Event()

    def waiting(at, body):
        if len(odd.asked) > 2 + 3:  # two questions before, and the whole first step
            seen.set()
            gate.wait(240)
        good(at, body)

    odd.asked.clear()
    monkeypatch.setitem(odd_server.BEHAVIOURS, "good", waiting)
    name = served(service, f"http://{odd.place}/v1", "good")
    test = service.start([name], SHORT.model_copy(update={"concurrency": [1, 2]}))
    assert seen.wait(240)
    service.stop(test.id)
    assert service._jobs.wait(service.job(test.id).id, 240).state == "stopped"
    gate.set()
    assert [one.step for one in test.read(StepEnded)] == [0]
    later = Jobs(service.tests.workspace)
    again = LoadTestService(later, service.collection, service.servers)
    assert again.state(test.id) == "stopped"
    again.resume(test.id)
    assert later.wait(again.job(test.id).id, 240).state == "finished"
    steps = summary(test, SHORT)
    assert [(one.concurrency, one.answered, one.is_over) for one in steps] == [(1, 3, True), (2, 3, True)]
    with pytest.raises(Problem, match="cannot be taken up"):
        again.resume(test.id)


def test_a_step_sends_nothing_new_after_its_time(service, odd):
    name = served(service, f"http://{odd.place}/v1", "good")
    _, (step,) = measured(service, [name], SHORT.model_copy(update={"requests": 100_000, "seconds": 0.3}))
    assert step.failed == 0 and 0 < step.answered < 100_000 and 0.3 <= step.seconds < 5


def test_servers_beside_each_other_and_limits_of_a_good_answer(service, odd):
    names = [served(service, f"http://{odd.place}/v1", "good", name) for name in ("one", "two")]
    test, steps = measured(service, names, SHORT.model_copy(update={"ttft_ms": 60_000, "tpot_ms": 1e-6}))
    assert [one.name for one in steps] == ["good · one", "good · two"]
    assert all(one.good == 0 for one in steps)  # no token comes within a nanosecond
    easy = SHORT.model_copy(update={"ttft_ms": 60_000})
    assert all(one.good == pytest.approx(one.requests_s) for one in summary(test, easy))
    request = test.request()
    lines = list(csv.DictReader(io.StringIO(report_file(request, steps, "csv").removeprefix("\ufeff"))))
    assert [line["server"] for line in lines] == [one.name for one in steps]
    assert float(lines[0]["ttft_p99_ms"]) == pytest.approx(1000 * steps[0].ttft.p99)
    told = json.loads(report_file(request, steps, "json"))
    assert told["test"]["targets"] == names and told["steps"][1]["output_tokens"] == 21
    table = report_file(request, steps, "md").splitlines()
    assert len({line.count("|") for line in table if line.startswith("|")}) == 1
    assert set(FORMS) == {"md", "csv", "json"}


def test_what_cannot_be_measured_is_said_before(service, odd):
    name = served(service, f"http://{odd.place}/v1", "good")
    for targets, settings, key in (
        ([], SHORT, "load_test.choose_some"),
        ([name + str(at) for at in range(5)], SHORT, "load_test.choose_some"),
        (["served:nobody/m"], SHORT, "served.no_endpoint"),
        ([name], SHORT.model_copy(update={"dataset": "no-such-set"}), "datasets.unknown"),
    ):
        with pytest.raises(Problem) as told:
            service.start(targets, settings)
        assert told.value.key == key
    assert service.tests.all() == []


def test_a_test_is_deleted_into_the_trash(service, odd):
    name = served(service, f"http://{odd.place}/v1", "good")
    test, _ = measured(service, [name], SHORT)
    assert service.delete(test.id) and service.tests.all() == [] and service.job(test.id) is None
    with pytest.raises(Problem, match="There is no load test"):
        service.state(test.id)


def test_counters_of_the_engines_are_read_and_anything_else_is_none(odd):
    text = (
        '# HELP x\nvllm:generation_tokens_total{model_name="a"} 12.0\nvllm:generation_tokens_total{model_name="b"} 3\n'
    )
    assert sum(map(float, engine_facts._WRITTEN.findall(text))) == 15
    assert engine_facts.tokens_written(f"http://{odd.place}/v1") is None
    assert engine_facts.tokens_written("http://127.0.0.1:9/v1") is None
    assert engine_facts.memory_of("http://192.0.2.1:80/v1") is None
